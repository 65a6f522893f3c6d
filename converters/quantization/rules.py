"""What a recipe's settings mean in the LiteRT Quantizer's own rules: later ones win, where they fit an operator."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase

from litert_quantizer import qtyping
from litert_quantizer.algorithm_manager import AlgorithmName
from litert_quantizer.recipe_manager import RecipeManager

from converters.steps import Precision, QuantizeStep
from edgeres.errors import ConfigError, suggestion
from targets.graph import Subgraph
from targets.layer_names import layer_names

_KINDS = qtyping.TFLOperationName
_INTEGER = qtyping.ComputePrecision.INTEGER
_WEIGHTED = (_KINDS.CONV_2D, _KINDS.DEPTHWISE_CONV_2D, _KINDS.FULLY_CONNECTED, _KINDS.CONV_2D_TRANSPOSE)
_NARROW = (_KINDS.CONV_2D, _KINDS.FULLY_CONNECTED)
"""What has kernels for int4 weights."""

_GRANULARITY = {"channel": qtyping.QuantGranularity.CHANNELWISE, "tensor": qtyping.QuantGranularity.TENSORWISE}
_ALGORITHMS = {
    "min-max": AlgorithmName.MIN_MAX_UNIFORM_QUANT,
    "mse": AlgorithmName.MSE,
    "octav": AlgorithmName.OCTAV,
    "gptq": AlgorithmName.MIN_MAX_UNIFORM_QUANT,  # of weights that lie on the grid already
}
_EVERYWHERE = "."


def rules(settings: QuantizeStep, graph: Subgraph) -> RecipeManager:
    """The rules for a float graph, ready for `Quantizer.load_quantization_recipe`.

    Raises:
        ConfigError: a pattern of `layers` that no layer has.
    """
    found = RecipeManager()
    if settings.mode == "float16":
        _halve(found)
    elif settings.mode == "dynamic-int8":
        _dynamic(found, settings)
    else:
        _static(found, settings, settings.mode, _EVERYWHERE)
        for scope, precision in _own(settings, graph):
            _static(found, settings, precision, scope)
        _ends(found, settings)
    return found


def own_precision(settings: QuantizeStep, layer: str) -> Precision | None:
    """What `layers` asks for a layer; None where no pattern fits."""
    return next((own for pattern, own in settings.layers.items() if fnmatchcase(layer, pattern)), None)


def _own(settings: QuantizeStep, graph: Subgraph) -> Iterator[tuple[str, Precision]]:
    """The scope (a regular expression) of each operator that has a precision of its own."""
    layers = layer_names(graph)
    for pattern in settings.layers:
        if not any(fnmatchcase(layer, pattern) for layer in layers):
            raise ConfigError(
                f"quantize.layers: no layer is named '{pattern}'", fix=suggestion(pattern, sorted(set(layers)))
            )
    for operator, layer in zip(graph.operators, layers, strict=True):
        own = own_precision(settings, layer)
        if own is not None:
            names = ";".join(graph.tensors[index].name for index in operator.outputs)
            yield f"^{re.escape(names)};$", own


def _static(found: RecipeManager, settings: QuantizeStep, precision: Precision, scope: str) -> None:
    if precision == "float32":
        found.add_quantization_config(scope, _KINDS.ALL_SUPPORTED, None, AlgorithmName.NO_QUANTIZE)
        return
    bits = 16 if precision == "int16x8" else 8
    found.add_quantization_config(scope, _KINDS.ALL_SUPPORTED, _integers(bits, 8, settings.granularity))
    for kind in _WEIGHTED:
        narrow = 4 if precision == "int4" and kind in _NARROW else 8
        algorithm = _ALGORITHMS[settings.weights]
        found.add_quantization_config(scope, kind, _integers(bits, narrow, settings.granularity), algorithm)


def _integers(activations: int, weights: int, granularity: str) -> qtyping.OpQuantizationConfig:
    return qtyping.OpQuantizationConfig(
        # Kernels take int16 symmetric only.
        activation_tensor_config=qtyping.TensorQuantizationConfig(activations, symmetric=activations == 16),
        weight_tensor_config=qtyping.TensorQuantizationConfig(weights, granularity=_GRANULARITY[granularity]),
        compute_precision=_INTEGER,
    )


def _ends(found: RecipeManager, settings: QuantizeStep) -> None:
    if settings.io == "integer":
        return
    for end in (_KINDS.INPUT, _KINDS.OUTPUT):
        if settings.io == "float32":
            found.add_quantization_config(_EVERYWHERE, end, None, AlgorithmName.NO_QUANTIZE)
        else:
            unsigned = qtyping.TensorQuantizationConfig(8, symmetric=False, dtype=qtyping.TensorDataType.UINT)
            config = qtyping.OpQuantizationConfig(unsigned, qtyping.TensorQuantizationConfig(8), _INTEGER)
            found.add_quantization_config(_EVERYWHERE, end, config)


def _dynamic(found: RecipeManager, settings: QuantizeStep) -> None:
    for kind in _WEIGHTED:
        config = qtyping.OpQuantizationConfig(
            weight_tensor_config=qtyping.TensorQuantizationConfig(8, granularity=_GRANULARITY[settings.granularity]),
            compute_precision=_INTEGER,
        )
        found.add_quantization_config(_EVERYWHERE, kind, config, _ALGORITHMS[settings.weights])


def _halve(found: RecipeManager) -> None:
    weights = qtyping.TensorQuantizationConfig(num_bits=16, dtype=qtyping.TensorDataType.FLOAT)
    config = qtyping.OpQuantizationConfig(weight_tensor_config=weights, explicit_dequantize=True)
    for kind in _WEIGHTED[:3]:
        found.add_quantization_config(_EVERYWHERE, kind, config, AlgorithmName.FLOAT_CASTING)
