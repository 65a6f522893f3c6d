"""What pruning a channel group alone does to a network: one copy of it, masked in place, one traced function."""

from __future__ import annotations

import glob
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from converters.job import Job, require_classes
from converters.notebook import Changes
from converters.pruning.analysis import analyse
from converters.pruning.criteria import Scores, scores
from converters.pruning.graph import ChannelGraph, ChannelGroup, Kept
from converters.pruning.selection import Rules, Selection
from converters.pruning.shrink import zeroed
from converters.pruning.tuning import labelled_batches
from converters.sensitivity import Settings
from converters.steps import SlimStep
from edgeres.data import Split
from edgeres.errors import ModelError
from edgeres.keras_io import load_prunable
from edgeres.native_output import muted
from edgeres.sensitivity import Cell, Findings, Part
from edgeres.training.feed import Fetch, measuring_feed, typed_failures
from edgeres.training.head import softmax_of

_BATCH = 32
"""Images in a step: of a ResNet-50 at 224x224, a few hundred megabytes of activations."""

_TAYLOR_IMAGES: int = SlimStep.model_fields["images"].default


class GroupEffects:
    """The channel groups of a model as parts, the shares that are kept of them as columns.

    Raises:
        ModelError: a layer whose channels cannot be followed, or no channel that could go.
        DataError: the model has other classes than the data.
    """

    def __init__(self, job: Job, settings: Settings, split: Split) -> None:
        self._job, self._settings, self._split = job, settings, split
        with muted():
            self._model = load_prunable(job.file)
        require_classes(self._model.output_shape[-1], job)
        self._graph = analyse(self._model)
        if not self._graph.groups:
            raise ModelError(
                f"{job.file.path} has no channels that can be removed", fix="use a recipe without pruning, such as int8"
            )
        self._groups = dict(zip(_names(self._graph.groups), self._graph.groups, strict=True))

    @property
    def parts(self) -> tuple[Part, ...]:
        """The channel groups."""
        return tuple(
            Part(name, group.producers, group.size, 1 - self._share(self._emptied(group)))
            for name, group in self._groups.items()
        )

    @property
    def columns(self) -> tuple[str, ...]:
        """The shares that are kept, the largest first."""
        return tuple(f"{share:g}" for share in self._settings.keep)

    @property
    def inputs(self) -> dict[str, str]:
        """What the choice of channels follows from, beside the model."""
        found: dict[str, str] = {"criterion": self._settings.criterion, "multiple": str(self._settings.multiple)}
        if self._settings.criterion == "random":
            found["seed"] = str(self._job.seed)
        if self._settings.criterion == "taylor":
            found["training images"] = self._job.dataset.split("train", images=_TAYLOR_IMAGES).fingerprint()
        return found

    def setting(self, part: str, column: str) -> str | None:
        """How many channels are kept, or None where rounding keeps all of them."""
        group = self._groups[part]
        width = int(self._kept({part: column}, self._any_scores)[group.channels].sum())
        return None if width == group.size else f"{width} of {group.size} channels"

    def macs_share(self, changes: Changes) -> float:
        """Of the network's multiply-accumulates, those that are left; which channels go makes no difference."""
        return self._share(self._kept(changes, self._any_scores))

    def right(self, changes: Changes) -> NDArray[np.bool_]:
        """Whether the network, without these channels, is right about each image: bool (images,).

        Raises:
            ModelError: an output that is not a number.
            DataError: an image cannot be decoded.
        """
        kept = self._kept(changes, self._scores) if changes else self._graph.everything()
        found = []
        with masking(self._model, self._graph, kept), typed_failures(self._fetch):
            for inputs, classes in self._feed:
                outputs = self._run(inputs).numpy()
                if not np.isfinite(outputs).all():
                    raise ModelError(
                        f"{self._job.file.path}: an output that is not a number",
                        fix="check the model's input: it may be preprocessed in another way",
                    )
                found.append(outputs.argmax(axis=1) == classes.numpy())
        return np.concatenate(found)

    def sqnr_db(self, changes: Changes) -> float | None:  # noqa: ARG002  # of the interface
        """Not measured: what pruning takes is no noise."""
        return None

    def chosen(self, findings: Findings, together: Callable[[Changes], Cell]) -> dict[str, str]:  # noqa: ARG002  # as above
        """For each part the strongest change whose drop is within the limit by its whole interval."""
        chosen = {}
        for part in findings.record.parts:
            for column in findings.columns:
                cell = findings.cell(part.name, column)
                if cell and cell.drop_points.high <= findings.max_drop:
                    chosen[part.name] = column
        return chosen

    def outcome(self, chosen: Changes) -> Changes:
        """All that was chosen."""
        return chosen

    @property
    def remarks(self) -> tuple[str, ...]:
        """None."""
        return ()

    def recipe(self, changes: Changes) -> dict[str, Any]:
        """A recipe with these shares; groups without a change are kept whole."""
        shares = [float(changes.get(name, 1)) for name in self._groups]
        step = {
            "step": "slim",
            "groups": group_shares(tuple(self._groups.values()), shares),
            "criterion": self._settings.criterion,
            "multiple": self._settings.multiple,
            "epochs": SlimStep.model_fields["epochs"].default,
        }
        return {"name": "slim-by-group", "steps": [step, {"step": "export"}]}

    def _kept(self, changes: Mapping[str, str], ranks: Scores) -> Kept:
        """The rules of the step `slim`, applied to a graph that has one group only: it is pruned alone."""
        kept = self._graph.everything()
        for part, column in changes.items():
            alone = replace(self._graph, groups=(self._groups[part],))
            kept &= Selection(alone, ranks, Rules(multiple=self._settings.multiple)).share(float(column))
        return kept

    def _emptied(self, group: ChannelGroup) -> Kept:
        kept = self._graph.everything()
        kept[group.channels] = False
        return kept

    def _share(self, kept: Kept) -> float:
        return self._graph.macs(kept) / self._graph.macs(self._graph.everything())

    @cached_property
    def _any_scores(self) -> Scores:
        return np.ones(self._graph.count)

    @cached_property
    def _scores(self) -> Scores:
        taylor = self._settings.criterion == "taylor"
        return scores(
            self._model,
            self._graph,
            self._settings.criterion,
            batches=labelled_batches(self._job, _TAYLOR_IMAGES) if taylor else (),
            seed=self._job.seed,
            logits=not taylor or softmax_of(self._model) is None,
        )

    @cached_property
    def _fetch(self) -> Fetch:
        return Fetch(self._split, self._job.contract)

    @cached_property
    def _feed(self) -> tf.data.Dataset:
        return measuring_feed(self._fetch, self._split.classes, self._job.contract, batch=_BATCH)

    @cached_property
    def _run(self) -> Any:
        """The network, traced once: weights are read when it runs, so masking needs no second trace."""
        shape = tf.TensorSpec((None, *self._job.contract.shape), tf.float32)
        return tf.function(lambda inputs: self._model(inputs, training=False), input_signature=[shape])


@contextmanager
def masking(model: Any, graph: ChannelGraph, kept: Kept) -> Iterator[None]:
    """For the block, the other channels of a model are zero and nothing reads them; then it is as it was."""
    before = []
    try:
        for weight in graph.weights:
            if weight.role != "statistic" and any(axis is not None and not kept[axis].all() for axis in weight.axes):
                variable = model.get_layer(weight.layer).weights[weight.index]
                values = variable.numpy()
                before.append((variable, values))
                variable.assign(zeroed(weight, values, kept))
        yield
    finally:
        for variable, values in before:
            variable.assign(values)


def group_shares(groups: Sequence[ChannelGroup], shares: Sequence[float]) -> dict[str, float]:
    """Patterns for `slim.groups` that give each group its share: each by a layer that no other group has.

    A group all of whose layers are in other groups too shares a pattern with one, and both get the larger share.
    """
    counts = Counter(layer for group in groups for layer in group.producers)
    own = [next((layer for layer in group.producers if counts[layer] == 1), None) for group in groups]
    order = [layer for layer in own if layer] + [g.name for g, layer in zip(groups, own, strict=True) if layer is None]
    found: dict[str, float] = {}
    for group, share in zip(groups, shares, strict=True):
        first = next(layer for layer in order if layer in group.producers)  # as the step `slim` finds it
        found[first] = max(found.get(first, 0.0), share)
    return {glob.escape(layer): found[layer] for layer in order if layer in found}


def _names(groups: Sequence[ChannelGroup]) -> list[str]:
    """One name a group: two can begin with the same layer, where another joins only some of its channels."""
    seen: Counter[str] = Counter()
    names = []
    for group in groups:
        seen[group.name] += 1
        names.append(group.name if seen[group.name] == 1 else f"{group.name} ({seen[group.name]})")
    return names
