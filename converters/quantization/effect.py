"""What int8 in one layer alone does to a network, and what leaving it in float32 gives back."""

from __future__ import annotations

import glob
import logging
import math
import os
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from converters.job import Job, require_classes
from converters.notebook import Changes
from converters.pipeline import float_flatbuffer
from converters.quantization.measured import measured
from converters.quantization.post_training import quantized
from converters.sensitivity import Settings
from converters.steps import QuantizeStep
from edgeres.data import Split
from edgeres.sensitivity import Cell, Findings, Part
from targets.exactness import exactness
from targets.flatbuffer import walk
from targets.graph import Operator, Subgraph
from targets.layer_names import WEIGHTED, layer_names
from targets.runtimes.cpu import CPU

WHOLE = "every layer"
"""The part that is the whole network."""

ALONE, LEFT = "alone", "all but it"
MOST_LEFT = 8
"""Layers that a recommended recipe leaves in float32 at most: each costs a pair of conversions in the middle."""

_log = logging.getLogger(__name__)

_BATCH = 32
_EXACT = 32
"""Images that run on the reference kernels too, some thirty times as slow."""
_IMAGES: int = QuantizeStep.model_fields["images"].default


class LayerEffects:
    """The layers of a float flatbuffer as parts; columns: int8 in it alone, and int8 in all but it.

    Raises:
        ModelError: the model cannot be converted, or an activation is not a number.
        DataError: the model has other classes than the data.
    """

    def __init__(self, job: Job, settings: Settings, split: Split) -> None:
        self._job, self._settings, self._split = job, settings, split
        source = float_flatbuffer(job.file)
        self._model = source.read_bytes()
        self._graph = walk(self._model).main
        require_classes(self._graph.tensors[self._graph.outputs[0]].shape[-1], job)
        self._found = measured(source, job, _IMAGES)
        self._cached: dict[tuple[tuple[str, str], ...], NDArray[np.float32]] = {}

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """The whole network, then its layers in the order in which they run."""
        total = max(1, sum(_macs(self._graph, operator) for operator in self._graph.operators))
        found: dict[str, list[int]] = {}
        for operator, layer in zip(self._graph.operators, layer_names(self._graph), strict=True):
            own = found.setdefault(layer, [0, 0])
            own[0] += _weights(self._graph, operator)
            own[1] += _macs(self._graph, operator)
        layers = tuple(Part(layer, (layer,), weights, macs / total) for layer, (weights, macs) in found.items())
        return (Part(WHOLE, tuple(found), sum(part.size for part in layers), 1.0), *layers)

    @property
    def columns(self) -> tuple[str, ...]:
        """What is int8."""
        return ALONE, LEFT

    @property
    def inputs(self) -> dict[str, str]:
        """The images that ranges follow from."""
        return {"calibration": self._job.calibration(_IMAGES).fingerprint()}

    def setting(self, part: str, column: str) -> str | None:
        """What is int8, in words; a network without all of its layers is none."""
        if part == WHOLE:
            return "int8 throughout" if column == ALONE else None
        return f"{part} in int8" if column == ALONE else f"{part} in float32"

    def macs_share(self, changes: Changes) -> float:
        """Of the network's multiply-accumulates, those in int8."""
        shares = {part.name: part.macs_share for part in self.parts}
        if ALONE in changes.values():
            return sum(shares[part] for part in changes)
        return 1 - sum(shares[part] for part in changes) if changes else 0.0

    def right(self, changes: Changes) -> NDArray[np.bool_]:
        """Whether the changed network is right about each image: bool (images,)."""
        answers: NDArray[np.bool_] = self._scores(changes).argmax(axis=1) == self._split.classes
        return answers

    def sqnr_db(self, changes: Changes) -> float | None:
        """Power of the float scores over that of their difference, in dB."""
        whole = self._scores({})
        noise = float(np.mean((self._scores(changes) - whole) ** 2))
        return 10 * math.log10(float(np.mean(whole**2)) / noise) if noise else None

    def chosen(self, findings: Findings, together: Callable[[Changes], Cell]) -> dict[str, str]:
        """The layers that must stay float32 for the drop to be within the limit; the noisiest go first.

        None where int8 throughout is within it, or where not even `MOST_LEFT` of them are enough, which is told. The
        noise of a layer alone decides, not what leaving it gives back: an activation with an outlier is rounded by the
        layer that writes it and by those that read it, so that leaving one of them changes nothing.
        """
        whole = findings.cell(WHOLE, ALONE)
        if whole is None or whole.drop_points.high <= findings.max_drop:
            return {}
        chosen: dict[str, str] = {}
        for part in findings.ranked:
            if part.name != WHOLE and len(chosen) < MOST_LEFT:
                chosen[part.name] = LEFT
                if together(chosen).drop_points.high <= findings.max_drop:
                    return chosen
        _log.warning(
            "With %d layers in float32 the interval of the drop still ends above %g points: measure more images "
            "(--within), accept more (--max-drop), or train the network as int8 (--recipe aware-int8).",
            len(chosen),
            findings.max_drop,
        )
        return {}

    def outcome(self, chosen: Changes) -> Changes:
        """What is measured as the recommendation."""
        return chosen or {WHOLE: ALONE}

    def recipe(self, changes: Changes) -> dict[str, Any]:
        """int8, with these layers in float32."""
        layers = {glob.escape(part): "float32" for part, column in changes.items() if column == LEFT}
        step = {"step": "quantize", "mode": "int8", "images": _IMAGES} | ({"layers": layers} if layers else {})
        return {"name": "int8-by-layer", "steps": [{"step": "export"}, step]}

    @property
    def remarks(self) -> tuple[str, ...]:
        """What of a drop is due to the kernels."""
        return (
            f"Int8 throughout, on {CPU.name}: {exactness(self._changed({WHOLE: ALONE}), self._inputs(0, _EXACT))}.",
        )

    def _scores(self, changes: Changes) -> NDArray[np.float32]:
        key = tuple(sorted(changes.items()))
        if key not in self._cached:
            if len(self._cached) > 1:  # that of the float network stays, and one more
                self._cached.popitem()
            self._cached[key] = self._run(self._changed(changes))
        return self._cached[key]

    def _changed(self, changes: Changes) -> bytes:
        if not changes:
            return self._model
        own: dict[str, Any] = {}
        if changes != {WHOLE: ALONE}:
            names = {glob.escape(part): "int8" if column == ALONE else "float32" for part, column in changes.items()}
            # A layer alone: the ends of the network stay as they are, too.
            own = (
                {"layers": names | {"*": "float32"}, "io": "float32"}
                if ALONE in changes.values()
                else {"layers": names}
            )
        return quantized(self._model, QuantizeStep(step="quantize", mode="int8", **own), self._found)

    def _run(self, model: bytes) -> NDArray[np.float32]:
        with CPU.open(model, threads=os.cpu_count() or 1) as session:
            return np.concatenate(
                [session.infer(self._inputs(start, _BATCH)) for start in range(0, len(self._pixels), _BATCH)]
            )

    def _inputs(self, start: int, count: int) -> NDArray[np.float32]:
        """Some of the images as the model takes them: float32 (count, height, width, channels)."""
        return np.stack([self._job.contract.normalize(pixels) for pixels in self._pixels[start : start + count]])

    @cached_property
    def _pixels(self) -> NDArray[np.uint8]:
        """Decoded once: uint8 (images, height, width, channels)."""
        return np.stack([self._split.decode(place, self._job.contract) for place in range(len(self._split))])


def _weights(graph: Subgraph, operator: Operator) -> int:
    place = WEIGHTED.get(operator.kind)
    return math.prod(graph.tensors[operator.inputs[place]].shape) if place is not None else 0


def _macs(graph: Subgraph, operator: Operator) -> int:
    """Of a convolution or a dense layer: each output value takes as many as a channel has weights."""
    place = WEIGHTED.get(operator.kind)
    if place is None:
        return 0
    weights, output = graph.tensors[operator.inputs[place]].shape, graph.tensors[operator.outputs[0]].shape
    each = math.prod(weights[1:-1]) if operator.kind == "DEPTHWISE_CONV_2D" else math.prod(weights[1:])
    return math.prod(output) * each
