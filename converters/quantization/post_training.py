"""Post-training quantization of a float flatbuffer by the LiteRT Quantizer, with ranges measured by ours."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from litert_quantizer import quantizer
from numpy.typing import NDArray

from converters.job import Job
from converters.quantization import calibration
from converters.quantization.gptq import rounded
from converters.quantization.left_in_float import require_taken
from converters.quantization.measured import measured
from converters.quantization.ranges import ranges
from converters.quantization.rules import rules
from converters.quantization.statistics import Statistics, collect
from converters.steps import QuantizeStep
from edgeres.errors import ModelError
from edgeres.native_output import muted
from targets.flatbuffer import walk
from targets.runtimes.plain import plain


def quantize(model: bytes, mode: str, *, images: Iterable[NDArray[np.float32]] = (), **settings: Any) -> bytes:
    """Quantize a float32 flatbuffer made by `converters.export` as `QuantizeStep` says.

    `images` are the calibration inputs for modes with integer activations: float32 (1, height, width, channels) each.

    Raises:
        ConfigError: a pattern of `layers` that no layer has.
        DataError: a mode that needs images, and none.
        ModelError: the quantizer refuses the model.
    """
    step = QuantizeStep.model_validate({"step": "quantize", "mode": mode, **settings})
    inputs = list(images)
    found = collect(model, inputs) if step.calibrates else None
    return quantized(rounded(model, step, inputs) if step.weights == "gptq" else model, step, found)


def run(settings: QuantizeStep, job: Job, source: Path, state: Path) -> bytes:  # noqa: ARG001  # all are called alike
    """The pipeline's step: a float32 flatbuffer to a quantized one."""
    found = measured(source, job, settings.images) if settings.calibrates else None
    model = whole = source.read_bytes()
    if settings.weights == "gptq":
        model = rounded(model, settings, calibration.inputs(job.calibration(settings.images), job.contract))
    content = quantized(model, settings, found)
    if settings.calibrates:
        require_taken(walk(whole).main, walk(content).main, settings)
    return content


def quantized(model: bytes, settings: QuantizeStep, found: Statistics | None) -> bytes:
    """Quantize a float32 flatbuffer; `found`: what calibration saw, for modes with integer activations.

    Raises:
        ConfigError, ModelError: see `quantize`.
    """
    graph = walk(model).main
    own = rules(settings, graph).get_quantization_recipe()
    outputs = {graph.tensors[index].name for index in graph.outputs}
    try:
        with muted():
            work = quantizer.Quantizer(bytearray(model), own)
            seen = _extremes(found, settings, outputs) if found is not None else None
            result = work.quantize(seen, enable_progress_report=False, enable_progress_bar=False)
    except (ValueError, RuntimeError, NotImplementedError) as problem:
        raise ModelError(f"the model cannot be quantized to {settings.mode}: {problem}") from problem
    if result.quantized_model is None:
        raise ModelError(f"the quantizer gave no model for {settings.mode}")
    return plain(bytes(result.quantized_model))


def _extremes(found: Statistics, settings: QuantizeStep, outputs: set[str]) -> dict[str, Any]:
    """Ranges as the library wants them: arrays with as many dimensions as the tensor."""
    chosen = ranges(found, settings.ranges, outputs=outputs)
    return {
        name: {
            key: np.full((1,) * rank, value, np.float32)
            for key, value in zip(("min", "max"), chosen[name], strict=True)
        }
        for name, rank in zip(found.names, found.ranks, strict=True)
    }
