"""A network that is right in float32 and wrong in int8, for one channel of it is a thousand times larger."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from converters.job import Job
from edgeres.keras_file import read_keras_file
from edgeres.keras_io import load
from tests.edgeres.keras_models import saved

FACTOR = 1000.0
WRITES, READS = "stage1_block0_conv1", "stage1_block0_conv2"
"""The convolution with the outlier, and the one that divides by the same factor."""


def with_outlier(job: Job, folder: Path) -> Job:
    """The job with channel 0 between two convolutions scaled up, by the batch norm, and down again."""
    model = load(job.file)
    norm, reader = model.get_layer(WRITES.replace("conv", "bn")), model.get_layer(READS)
    gamma, beta, *statistics = norm.get_weights()
    gamma[0], beta[0] = gamma[0] * FACTOR, beta[0] * FACTOR
    norm.set_weights([gamma, beta, *statistics])
    (kernel,) = reader.get_weights()
    kernel[:, :, 0] /= FACTOR
    reader.set_weights([kernel])
    return replace(job, file=read_keras_file(saved(model, folder / "outlier.keras")))
