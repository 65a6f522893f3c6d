"""A fresh bundle measured against the float model it was made from, as a page and its figures."""

from __future__ import annotations

from pathlib import Path

from converters.job import Job
from converters.keras_artifact import float_artifact
from edgeres.progress import Progress, silent
from edgeres.report.html import render
from edgeres.report.sources import read_story
from edgeres.report.terminal import print_result
from edgeres.results import merged
from edgeres.storage import write_text
from targets.artifact import open_artifact, unique_names
from targets.evaluation import evaluate
from targets.profiling import profile


def report_on(job: Job, bundle: Path, page: Path, *, progress: Progress = silent) -> Path:
    """Measure accuracy on the test split and latency on the CPU, print both, write the page: the figures' path.

    The figures are a result JSON beside the page, from which `edgeres report` makes the page again.

    Raises:
        EdgeresError: whatever measuring raises; the bundle stays.
    """
    artifacts = unique_names([float_artifact(job.file, job.contract), open_artifact(bundle)])
    accuracy = evaluate(artifacts, job.dataset, baseline=0, progress=progress)
    latency = profile(artifacts, baseline=0, progress=progress)
    result = merged(accuracy, latency)
    print_result(result)
    figures = page.with_suffix(".json")
    result.write(figures)
    write_text(page, render(read_story([bundle, figures])))
    return figures
