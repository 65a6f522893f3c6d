"""How sparse each layer is to become: what a recipe's settings mean for a network's layers.

By default every kernel of a convolution or a dense layer gets the same sparsity, but for two: the first, which sees
the pixels, and the last, which gives the scores. They hold few of the weights (1.4 % of a CIFAR ResNet-8's), and every
feature passes through them. Depthwise kernels stay dense always: tfmot does not prune them.
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

import tf_keras as keras

from converters.steps import PruneStep
from edgeres.errors import ConfigError, suggestion

_EXAMPLE = "for example --set 'prune.layers={stage3_*: 0.8}'"


def wanted_sparsity(model: Any, settings: PruneStep) -> dict[str, float]:
    """The sparsity of each layer that is to have zeros, by its name.

    Raises:
        ConfigError: a pattern that fits no layer, a block of a kernel that is no matrix, or nothing left to prune.
    """
    kernels = {layer.name: layer for layer in model.layers if _has_kernel(layer)}
    _require_found(settings.layers, kernels)
    found = {name: _default(name, layer, list(kernels), settings) for name, layer in kernels.items()}
    for pattern, sparsity in reversed(settings.layers.items()):  # the first match counts
        found |= {name: sparsity for name in kernels if fnmatchcase(name, pattern)}
    chosen = {name: sparsity for name, sparsity in found.items() if sparsity}
    if settings.pattern == "block":
        _require_matrices({name: kernels[name] for name in chosen})
    if not chosen:
        raise ConfigError(
            f"prune: nothing is to be pruned: of {len(kernels)} layers with a kernel, all stay dense",
            details=(_why_dense(settings),),
            fix=f"say which layers: {_EXAMPLE}; or leave the step out",
        )
    return chosen


def _has_kernel(layer: Any) -> bool:
    deep = any(len(weight.shape) > 1 for weight in layer.trainable_weights)
    return deep and not isinstance(layer, keras.layers.DepthwiseConv2D)


def _default(name: str, layer: Any, names: list[str], settings: PruneStep) -> float:
    if name in (names[0], names[-1]) and not settings.ends:
        return 0.0
    if settings.pattern == "block" and not _is_matrix(layer):
        return 0.0
    return settings.sparsity


def _is_matrix(layer: Any) -> bool:
    return all(len(weight.shape) <= 2 for weight in layer.trainable_weights)


def _require_found(patterns: Mapping[str, float], kernels: Mapping[str, Any]) -> None:
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in kernels):
            raise ConfigError(
                f"prune: layers: '{pattern}' fits no layer with a kernel to prune", fix=suggestion(pattern, kernels)
            )


def _require_matrices(layers: Mapping[str, Any]) -> None:
    for name, layer in layers.items():
        if not _is_matrix(layer):
            raise ConfigError(
                f"prune: layers: '{name}' ({type(layer).__name__}) cannot be pruned in blocks: tfmot's blocks are of "
                "dense layers' kernels only",
                fix="use the pattern unstructured or 2:4 for convolutions",
            )


def _why_dense(settings: PruneStep) -> str:
    if settings.pattern == "block":
        return "blocks are of dense layers' kernels only, and the last layer stays dense unless `ends` is true"
    return "the first and the last layer stay dense unless `ends` is true; others as `sparsity` and `layers` say"
