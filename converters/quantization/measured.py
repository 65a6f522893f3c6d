"""Calibration of a model on a job's images: once for all ways to quantize it, in the cache."""

from __future__ import annotations

from pathlib import Path

from converters.cache import cached, key_of
from converters.job import Job
from converters.quantization import calibration
from converters.quantization.statistics import Statistics, collect, decoded
from converters.steps import Material
from edgeres.records import encode
from edgeres.storage import sha256_file
from edgeres.versions import versions


def measured(model: Path, job: Job, images: int) -> Statistics:
    """What the first `images` of the calibration split do to a float flatbuffer.

    Raises:
        DataError: an image cannot be decoded, or is in the test split too.
        ModelError: an activation is not a number.
    """
    key = key_of(
        {
            "model": sha256_file(model),
            "images": job.fingerprint(Material("calibration", images)),
            "contract": encode(job.contract),
            "versions": versions(),
        }
    )

    def make() -> bytes:
        inputs = calibration.inputs(job.calibration(images), job.contract)
        return collect(model.read_bytes(), inputs).encoded()

    return decoded(cached("calibration", key, make, suffix=".npz").read_bytes())
