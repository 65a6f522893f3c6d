"""What is to be said of a calibration once a model is quantized by it: the record that its bundle keeps.

statistics of the float model, the quantized file → coverage of each activation, findings → `Calibration`
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from converters.job import Job
from converters.quantization.activations import activations
from converters.quantization.coverage import coverage
from converters.quantization.fitting_preset import fitting_preset
from converters.quantization.lint_activations import activation_findings
from converters.quantization.lint_images import accuracy_findings, calibration_top1, image_findings
from converters.quantization.measured import measured
from converters.steps import Material
from edgeres.calibration import Calibration
from targets.flatbuffer import walk


def examined(source: Path, product: Path, job: Job, images: int) -> Calibration:
    """Of a float flatbuffer and what was made of it, calibrated with the first `images`.

    Raises:
        EdgeresError: see `measured`.
    """
    found, split = measured(source, job, images), job.calibration(images)
    seen = activations(found, walk(source.read_bytes()).main, walk(product.read_bytes()).main)
    covered = {each.column: its for each in seen if (its := coverage(found, each)) is not None}
    fit = fitting_preset(source, found.scores, split, job.contract)
    findings = (
        *image_findings(found, split, job.dataset.labels, len(job.disjoint_calibration)),
        *accuracy_findings(found, split, fit),
        *activation_findings(found, seen, covered),
    )
    counts = np.bincount(split.classes, minlength=len(job.dataset.labels)).tolist()
    return Calibration(
        images=len(split),
        sha256=job.fingerprint(Material("calibration", images)),
        classes=dict(zip(job.dataset.labels, counts, strict=True)),
        top1=calibration_top1(found, split),
        activations=tuple(covered.values()),
        findings=findings,
    )
