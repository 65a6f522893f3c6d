"""Post-training quantization of a float flatbuffer by the LiteRT Quantizer."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import numpy as np
from litert_quantizer import qtyping, quantizer, recipe, recipe_manager
from litert_quantizer.algorithm_manager import AlgorithmName
from litert_quantizer.calibrator import Calibrator
from litert_quantizer.utils import qsv_utils
from numpy.typing import NDArray

from converters.job import Job
from converters.quantization import calibration
from converters.steps import QuantizeStep
from edgeres.errors import ModelError
from edgeres.native_output import muted

Mode = Literal["float16", "dynamic-int8", "int8"]
_SIGNATURE, _INPUT = "serving_default", "image"


Ranges = Literal["min-max", "moving-average"]


def quantize(
    model: bytes, mode: Mode, *, images: Iterable[NDArray[np.float32]] = (), ranges: Ranges = "min-max"
) -> bytes:
    """Quantize a float32 flatbuffer made by `converters.export`.

    "float16": float16 weights, dequantized when the model is loaded. "dynamic-int8": int8 weights a channel,
    activations quantized while it runs. "int8": int8 weights a channel, activations, input and output.

    `images` are the calibration inputs for "int8": float32 (1, height, width, channels) each. `ranges` says how
    activation ranges follow from them: "min-max" over all images, or the library's own "moving-average" (0.95), which
    leaves rare large values out. Averaged ranges clip the logits of sure answers: -1.7 points of a CIFAR ResNet-8.

    Raises:
        ModelError: the quantizer refuses the model.
    """
    work = quantizer.Quantizer(bytearray(model))
    _RULES[mode](work)
    try:
        with muted():
            found = _calibrate(work, model, images, ranges) if work.need_calibration else None
            result = work.quantize(found, enable_progress_report=False, enable_progress_bar=False)
    except (ValueError, RuntimeError, NotImplementedError) as problem:
        raise ModelError(f"the model cannot be quantized to {mode}: {problem}") from problem
    if result.quantized_model is None:
        raise ModelError(f"the quantizer gave no model for {mode}")
    return bytes(result.quantized_model)


def run(settings: QuantizeStep, job: Job, source: Path, state: Path) -> bytes:  # noqa: ARG001  # all are called alike
    """The pipeline's step: a float32 flatbuffer to a quantized one."""
    images = calibration.inputs(job.calibration(settings.images), job.contract) if settings.material else ()
    return quantize(source.read_bytes(), settings.mode, images=images, ranges=settings.ranges)


def _calibrate(work: quantizer.Quantizer, model: bytes, images: Iterable[NDArray[np.float32]], ranges: Ranges) -> Any:
    """The range of every activation. The library's `Quantizer.calibrate` knows the moving average only."""
    data = {_SIGNATURE: [{_INPUT: image} for image in images]}  # a list: the library counts it before it reads it
    rules = recipe_manager.RecipeManager()
    rules.load_quantization_recipe(work.get_quantization_recipe())
    calibrator = Calibrator(model, num_threads=os.cpu_count() or 1, qsv_update_func=_UPDATES[ranges])
    calibrator.calibrate(data, rules)
    return calibrator.get_model_qsvs()


def _float16(work: quantizer.Quantizer) -> None:
    weights = qtyping.TensorQuantizationConfig(num_bits=16, dtype=qtyping.TensorDataType.FLOAT)
    config = qtyping.OpQuantizationConfig(
        weight_tensor_config=weights, compute_precision=qtyping.ComputePrecision.FLOAT, explicit_dequantize=True
    )
    operators = qtyping.TFLOperationName
    for operator in (operators.CONV_2D, operators.DEPTHWISE_CONV_2D, operators.FULLY_CONNECTED):
        work.update_quantization_recipe(".*", operator, config, AlgorithmName.FLOAT_CASTING)


def _dynamic_int8(work: quantizer.Quantizer) -> None:
    work.load_quantization_recipe(recipe.dynamic_wi8_afp32())


def _int8(work: quantizer.Quantizer) -> None:
    work.load_quantization_recipe(recipe.static_wi8_ai8())


_UPDATES = {"min-max": qsv_utils.min_max_update, "moving-average": qsv_utils.moving_average_update}
_RULES = {"float16": _float16, "dynamic-int8": _dynamic_int8, "int8": _int8}
