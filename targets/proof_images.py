"""The images that a target is proved with: the first golden inputs of a bundle, or noise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeres.bundle import open_bundle
from targets.artifact import Artifact
from targets.graph import Graph, Operator, Subgraph
from targets.layer_names import WEIGHTED
from targets.target import Signature

MOST = 4
_WORK = 4e9
"""Multiplications: the reference kernels do about so many in four seconds."""


def proof_images(artifact: Artifact, graph: Graph, signature: Signature) -> tuple[NDArray[np.float32], bool]:
    """Up to `MOST` inputs (n, height, width, channels), one at least, and whether they are golden ones."""
    count = int(max(1, min(MOST, _WORK // max(1, multiplications(graph)))))
    if artifact.kind == "bundle":
        return open_bundle(Path(artifact.path)).golden.inputs[:count], True
    return _noise(artifact, graph, signature, count), False


def multiplications(graph: Graph) -> int:
    """Those of a model's convolutions and dense layers, for one image."""
    return sum(_multiplications(graph.main, operator) for operator in graph.main.operators)


def _multiplications(main: Subgraph, operator: Operator) -> int:
    """Each weight meets every position of the output."""
    place = WEIGHTED.get(operator.kind)
    if place is None or place >= len(operator.inputs) or not operator.outputs:
        return 0
    weights, output = main.tensors[operator.inputs[place]].shape, main.tensors[operator.outputs[0]].shape
    return int(np.prod(weights, dtype=np.int64)) * int(np.prod(output[1:-1], dtype=np.int64))


def _noise(artifact: Artifact, graph: Graph, signature: Signature, count: int) -> NDArray[np.float32]:
    """Noise as the model's input: through its preprocessing, or else over the range that its input can hold."""
    random = np.random.default_rng(0)
    if artifact.preprocess is not None:
        height, width = signature.input_shape[1:3]
        pixels = random.integers(0, 256, (count, height, width, 3), np.uint8)
        return np.stack([artifact.preprocess(image) for image in pixels])
    noise = random.uniform(-1, 1, (count, *signature.input_shape[1:])).astype(np.float32)
    dtype, scale, zero_point = _range(graph.main, signature)
    if not scale:
        return noise
    middle = (np.iinfo(dtype).min + np.iinfo(dtype).max) / 2
    span = np.iinfo(dtype).max - middle
    return np.asarray((noise * span + middle - zero_point) * scale, np.float32)


def _range(main: Subgraph, signature: Signature) -> tuple[str, float, int]:
    """The type, scale and zero point of the input, or of what a float one becomes first; a scale of 0 for neither."""
    if signature.input_scale:
        return signature.input_dtype, signature.input_scale, signature.input_zero_point
    for operator in main.operators:
        if operator.kind == "QUANTIZE" and operator.inputs == main.inputs:
            made = main.tensors[operator.outputs[0]]
            if made.scales:
                return made.dtype, made.scales[0], made.zero_points[0]
    return signature.input_dtype, 0.0, 0
