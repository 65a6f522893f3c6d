"""What a flatbuffer's structure says about its accuracy and speed, without running it: `.tflite` -> findings.

    bytes → `targets.flatbuffer.walk` → `View` → each rule of `RULES` → `Finding`s in the order of operators

The rules follow the 8-bit specification of LiteRT (which tensors share a scale, the softmax's 1/256) and what is known
to cost accuracy after training: batch norms that are not folded, and ranges that outliers set (Krishnamoorthi, 2018;
Nagel et al., 2019). They read types and scales, no values: how much a finding costs is measured, with `edgeres
evaluate` or `edgeres sensitivity`. They look at the main subgraph only.

Needs no TensorFlow: a device can lint what it runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from converters.quantization import lint_scales, lint_structure
from converters.quantization.lint_view import Found, View
from edgeres.findings import Finding
from targets.flatbuffer import walk
from targets.graph import Graph

RULES: dict[str, Callable[[View], Iterator[Found]]] = {
    "dynamic shape": lint_structure.dynamic_shape,
    "unfused ReLU": lint_structure.unfused_relu,
    "unfolded batch norm": lint_structure.unfolded_batch_norm,
    "float island": lint_structure.float_island,
    "float operator": lint_structure.float_operator,
    "uneven sum": lint_scales.uneven_sum,
    "uneven join": lint_scales.uneven_join,
    "requantization": lint_scales.requantization,
    "per-channel weights": lint_scales.per_channel_weights,
    "coarse softmax": lint_scales.coarse_softmax,
    "dead activation": lint_scales.dead_activation,
    "wide activation": lint_scales.wide_activation,
}
"""Name of a rule -> what finds it."""


def lint(graph: Graph, *, per_tensor: bool = False) -> tuple[Finding, ...]:
    """All findings in a file, in the order of its operators.

    `per_tensor`: it is meant for a target without kernels for per-channel weights.
    """
    view = View(graph, per_tensor)
    found = [(each.place, name, each) for name, rule in RULES.items() for each in rule(view)]
    found.sort(key=lambda entry: entry[0])
    return tuple(
        Finding(name, each.layer or view.names[place], each.consequence, each.fix, each.severity)
        for place, name, each in found
    )


def lint_bytes(content: bytes, *, per_tensor: bool = False) -> tuple[Finding, ...]:
    """All findings in a `.tflite`; see `lint`.

    Raises:
        ArtifactError: see `walk`.
    """
    return lint(walk(content), per_tensor=per_tensor)
