"""What a model must look like to be measured here: one image in, one row of scores out, one image at a time."""

from __future__ import annotations

import math

from edgeres.errors import ModelError
from targets.graph import Graph, Tensor
from targets.scaling import DTYPES


def check_classifier(graph: Graph) -> None:
    """Check that a model maps images (1, height, width, channels) to scores (1, classes).

    An open batch (-1) is accepted: it is run as 1.

    Raises:
        ModelError: another number of inputs or outputs, another rank, a fixed batch, an open size, another type; an
            image or activations larger than `MAX_INPUT` and `MAX_ARENA`.
    """
    for noun, tensors in (("input", graph.inputs), ("output", graph.outputs)):
        if len(tensors) != 1:
            names = (f"{tensor.name}: {list(tensor.signature)}" for tensor in tensors[:8])
            raise ModelError(f"expected a model with one {noun}, found {len(tensors)}", details=names, fix=_FIX)
    _check(graph.inputs[0], "input", "an image [1, height, width, channels]", rank=4)
    _check(graph.outputs[0], "output", "scores [1, classes]", rank=2)
    _require_bounded(graph)


MAX_INPUT = 1 << 24
"""Values of an image: 2,364 x 2,364 in colour. A file of a few bytes can ask for any size, and takes hours then."""

MAX_ARENA = 1 << 30
"""Bytes of activations that live at once; the largest classifiers of `keras.applications` need 0.2 GB."""


def _require_bounded(graph: Graph) -> None:
    image = graph.inputs[0].signature
    if (values := math.prod(image[1:])) > MAX_INPUT:
        raise ModelError(
            f"the model takes images of {values:,} values (shape {list(image)}), at most {MAX_INPUT:,} are accepted",
            fix="export it for smaller images",
        )
    if graph.arena_bytes > MAX_ARENA:
        raise ModelError(
            f"the model's activations take {graph.arena_bytes:,} bytes, at most {MAX_ARENA:,} are accepted",
            fix="export it for smaller images, or with fewer channels",
        )


_FIX = "export the classifier alone, from its image to its scores"


def _check(tensor: Tensor, noun: str, expected: str, *, rank: int) -> None:
    shape = list(tensor.signature)
    if len(shape) != rank:
        raise ModelError(f"expected {expected} as {noun}, found '{tensor.name}' of shape {shape}", fix=_FIX)
    if tensor.shape[0] != 1:
        raise ModelError(
            f"the {noun} '{tensor.name}' of shape {shape} has a fixed batch of {tensor.shape[0]}",
            fix="export the model with an open batch, or a batch of 1",
        )
    if any(size < 1 for size in shape[1:]):
        raise ModelError(f"the {noun} '{tensor.name}' of shape {shape} has an open size", fix="export with fixed sizes")
    if tensor.dtype not in DTYPES:
        raise ModelError(f"the {noun} '{tensor.name}' holds {tensor.dtype}, expected one of {', '.join(DTYPES)}")
    if len(tensor.scales) > 1:
        raise ModelError(f"the {noun} '{tensor.name}' has {len(tensor.scales)} scales, expected one")
