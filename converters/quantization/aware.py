"""Quantization-aware training by tfmot: fine-tuned while every tensor is rounded as int8 rounds it, then int8.

The network learns weights and ranges that int8 holds well, and weights that were pruned stay zero. What a model does to
its pixels first (Rescaling, Normalization) stays outside, in float.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_model_optimization as tfmot
import tf_keras as keras
from numpy.typing import NDArray

from converters.export import keras_outputs, to_flatbuffer
from converters.finetuning import fine_tune, gives_logits
from converters.job import Job, require_classes
from converters.quantization import calibration
from converters.quantization.initial_ranges import calibrate, settle_weights
from converters.quantization.layout import SCOPE, annotate, scheme
from converters.quantization.standalone_norms import stand_alone
from converters.shortcuts import widened
from converters.steps import AwareStep
from edgeres.errors import ModelError
from edgeres.keras_file import read_keras_file
from edgeres.keras_io import load, prunable
from edgeres.native_output import muted
from targets.runtimes.cpu import CPU, REFERENCE

PARITY = 0.25
"""Largest difference of an output between the trained model and its flatbuffer, relative to the largest output.

Both round to int8, the one by float arithmetic, the other by int8 kernels: a value near the middle of two steps may
fall either way, and does so more often the deeper a network is. A wrong conversion is off by the outputs' own size.
"""

_IMAGES = 16
_CALIBRATION_IMAGES = 256
_BATCH = 32
_OTHERWISE = "quantize after training instead: the steps export and quantize"


def run(settings: AwareStep, job: Job, source: Path, state: Path) -> bytes:
    """The pipeline's step: a Keras file to an int8 flatbuffer, int8 in and out.

    Raises:
        ModelError: a layer that tfmot cannot quantize, a loss that became NaN, or a flatbuffer that computes otherwise.
    """
    file = read_keras_file(source, trust=job.file.trusted)
    found = prunable(load(file), generation=file.generation)
    if found.model is None:
        raise ModelError(f"{file.path}: cannot be trained as int8: {found.why}", fix=_OTHERWISE)
    require_classes(found.model.output_shape[-1], job)
    with muted():
        model = rounded(found.model, settings)
        calibrate(model, _batches(job, _CALIBRATION_IMAGES))
        fine_tune(model, settings, job, state=state, logits=gives_logits(found.model))
        settle_weights(model)
    content = to_flatbuffer(model, trained_int8=True)
    _prove_parity(model, content, next(_batches(job, _IMAGES)))
    return widened(content) if settings.shortcuts == "3x3" else content


def rounded(model: Any, settings: AwareStep) -> Any:
    """A tf_keras model as tfmot makes it round: new, with the weights of the old one.

    Raises:
        ModelError: a layer that tfmot does not know how to quantize.
    """
    quantization = tfmot.quantization.keras
    plain = stand_alone(model)
    try:
        with quantization.quantize_scope(SCOPE):
            annotated = keras.models.clone_model(plain, clone_function=annotate)
            return quantization.quantize_apply(annotated, scheme(preserve_zeros=settings.preserve == "sparsity"))
    except (ValueError, RuntimeError) as problem:
        raise ModelError(
            "tfmot cannot quantize this model while it is trained",
            details=(str(problem).splitlines()[0],),
            fix=_OTHERWISE,
        ) from problem


def _batches(job: Job, images: int) -> Iterator[NDArray[np.float32]]:
    """The first training images: float32 (n, height, width, channels)."""
    inputs = calibration.inputs(job.dataset.split("train").head(images), job.contract)
    while batch := list(islice(inputs, _BATCH)):
        yield np.concatenate(batch)


def _prove_parity(model: Any, content: bytes, inputs: NDArray[np.float32]) -> None:
    """Check that the flatbuffer computes what was trained, to `PARITY` or to what its own kernels differ among them.

    A deep network may make a large difference of one step in its first layers: then XNNPACK and the reference kernels,
    which round some halves in other ways, are as far apart. Beyond the outputs' own size no such excuse counts.
    """
    expected = keras_outputs(model, inputs)
    with CPU.open(content) as session:
        found = session.infer(inputs)
    difference, largest = float(np.abs(found - expected).max()), float(np.abs(expected).max())
    if difference <= PARITY * largest:
        return
    with REFERENCE.open(content) as session:
        amplified = float(np.abs(found - session.infer(inputs)).max())
    if not difference <= min(2 * amplified, largest):  # also where it is NaN
        raise ModelError(
            f"the int8 flatbuffer's outputs differ from the trained model's by {difference:.2g}, of {largest:.2g}",
            fix=_OTHERWISE,
        )
