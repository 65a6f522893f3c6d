"""Keras to a float32 flatbuffer, and the proof that it computes the same."""

from __future__ import annotations

import importlib
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from converters.job import Job
from converters.shortcuts import widened
from converters.steps import ExportStep
from edgeres.errors import ModelError
from edgeres.keras_file import KerasFile, read_keras_file
from edgeres.keras_io import load
from edgeres.native_output import muted
from edgeres.rebuild.proof import amplified_rounding
from edgeres.storage import full_temporary_folder
from targets.runtimes.cpu import CPU

PARITY = 1e-4
"""Largest difference of an output between Keras and the flatbuffer, relative to the largest output (at least 1)."""

_ILL_CONDITIONED = 1e-2
"""What a network's own amplification of rounding excuses at most, relative to the largest output."""


def export_float(file: KerasFile) -> bytes:
    """The model as a float32 flatbuffer: signature `serving_default`, input `image`, output `scores`, batch 1.

    A batch of one, because delegates and browsers refuse or slow down on a dynamic one.

    Raises:
        ModelError: an operator that TFLite lacks, or outputs that differ from Keras' by more than `PARITY`.
    """
    model = load(file)
    content = to_flatbuffer(model, generation=file.generation)
    _prove_parity(model, content, file.path)
    return content


def run(settings: ExportStep, job: Job, source: Path, state: Path) -> bytes:  # noqa: ARG001  # all are called alike
    """The pipeline's step: a Keras file to a float32 flatbuffer."""
    content = export_float(read_keras_file(source, trust=job.file.trusted))
    return widened(content) if settings.shortcuts == "3x3" else content


def to_flatbuffer(model: Any, *, generation: int = 2, trained_int8: bool = False) -> bytes:
    """Export what `edgeres.keras_io.load` gives for a generation as a SavedModel and convert that.

    `trained_int8`: the model holds its own ranges (quantization-aware training) and becomes int8, in and out.

    Raises:
        OutputError: the folder for temporary files is full.
        ModelError: the converter refuses it; its reason is in the details.
    """
    with tempfile.TemporaryDirectory(prefix="edgeres-export-") as folder, muted():
        try:
            _write_saved_model(model, folder, generation)
            converter = tf.lite.TFLiteConverter.from_saved_model(folder)
            if trained_int8:
                converter.optimizations = [tf.lite.Optimize.DEFAULT]
                converter.inference_input_type = converter.inference_output_type = tf.int8
            content: bytes = converter.convert()
        except Exception as problem:  # the converter raises bare Exceptions
            if (full := full_temporary_folder(problem)) is not None:
                raise full from problem
            lines = [line for line in str(problem).splitlines() if line.strip()]
            raise ModelError(
                "TFLite cannot represent this model",
                details=lines[:3],
                fix="replace the layer by others; the recipes need TFLite's built-in operators",
            ) from problem
    return content


def _write_saved_model(model: Any, folder: str, generation: int) -> None:
    if generation == 0:
        model.write(folder)
        return
    archive = importlib.import_module("keras.export" if generation == 3 else "tf_keras.export").ExportArchive()
    archive.track(model)
    archive.add_endpoint(
        name="serve",
        fn=lambda image: {"scores": model(image, training=False)},
        input_signature=[tf.TensorSpec((1, *model.input_shape[1:]), tf.float32, name="image")],
    )
    archive.write_out(folder)


def float_outputs(file: KerasFile, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    """Outputs of the Keras model in a file: float32 (n, height, width, channels) to float32 (n, classes)."""
    return keras_outputs(load(file), inputs)


def keras_outputs(model: Any, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    """Run a Keras model: float32 (n, height, width, channels) to float32 (n, classes)."""
    return np.asarray(model(tf.constant(inputs), training=False), np.float32)


def _prove_parity(model: Any, content: bytes, path: Path) -> None:
    # A fixed seed and pixel-like values: the contract is not known here, and parity holds for any input.
    shape = (2, *model.input_shape[1:])
    inputs = np.random.default_rng(0).uniform(0, 255, shape).astype(np.float32)
    expected = keras_outputs(model, inputs)
    with CPU.open(content) as session:
        found = session.infer(inputs)
    difference = float(np.abs(found - expected).max())
    limit = PARITY * max(1.0, float(np.abs(expected).max()))
    if limit < difference <= 2 * amplified_rounding(model, inputs) <= _ILL_CONDITIONED * float(np.abs(expected).max()):
        return  # the network itself amplifies rounding that much
    if not difference <= limit:  # also where it is NaN
        raise ModelError(
            f"{path}: the flatbuffer's outputs differ from Keras' by {difference:.2g}, more than {limit:.2g}",
            fix="report the model: the converter changed its meaning",
        )
