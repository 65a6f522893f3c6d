"""Calibration of a model on a job's images: once for all ways to quantize it, in the cache."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from converters.cache import cached, key_of
from converters.job import Job
from converters.quantization import calibration
from converters.quantization.fitting_preset import fitting_preset
from converters.quantization.lint_images import require_fitting_preset, require_usable
from converters.quantization.statistics import Statistics, collect, decoded
from converters.steps import Material
from edgeres.records import encode
from edgeres.storage import sha256_file
from edgeres.versions import versions


def measured(model: Path, job: Job, images: int) -> Statistics:
    """What the first `images` of the calibration split do to a float flatbuffer.

    Raises:
        DataError: an image cannot be decoded, or is in the test split too; the images show the network nothing, or it
            was trained with another preprocessing.
        ModelError: an activation is not a number.
    """
    key = key_of(
        {
            "model": sha256_file(model),
            "images": job.fingerprint(Material("calibration", images)),
            "contract": encode(job.contract),
            "record": [each.name for each in fields(Statistics)],
            "versions": versions(),
        }
    )

    split = job.calibration(images)

    def make() -> bytes:
        return collect(model.read_bytes(), calibration.inputs(split, job.contract)).encoded()

    found = decoded(cached("calibration", key, make, suffix=".npz").read_bytes())
    require_usable(found, job.contract)
    fit = fitting_preset(model, found.scores, split, job.contract)
    require_fitting_preset(fit, source=str(job.file.path), carries=job.file.card is not None)
    return found
