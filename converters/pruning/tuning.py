"""Training what is left of a network, and the images that choosing its channels takes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from converters.job import Job
from converters.quantization import calibration
from converters.steps import SlimStep
from edgeres.errors import ModelError, OutputError
from edgeres.keras_file import read_keras_file
from edgeres.keras_io import load_prunable
from edgeres.training.distillation import Teacher
from edgeres.training.feed import Fetch, measuring_feed
from edgeres.training.run import MODEL, is_run
from edgeres.training.settings import typed_settings
from edgeres.training.subject import OwnModel
from edgeres.training.train import Plan, train

_TIMING_IMAGES = 16
_BATCH = 32
"""Images in one estimate of a gradient: few, for the square of a mean over many is small for every channel."""


def fine_tuned(model: Any, settings: SlimStep, job: Job, whole: Any, folder: Path) -> Any:
    """A trained copy of a model; `folder` is a run folder, from which a killed training goes on.

    `whole`: the unpruned network, from which it learns where `settings.distill` says so.

    Raises:
        ModelError: the loss became NaN or infinite.
        DataError: an image cannot be decoded.
    """
    values: dict[str, Any] = {
        "epochs": settings.epochs,
        "batch": settings.batch,
        "learning_rate": settings.learning_rate,
        "warmup": 0.0,
        "seed": job.seed,
    }
    if settings.distill:
        values["distill"] = {"alpha": settings.distill}
    guide = Teacher.of(whole, job.contract) if settings.distill else None
    plan = Plan(OwnModel.of(model), job.dataset, job.contract, typed_settings(values, where="slim"), guide)

    def told(epoch: Any, last: int, _: float) -> None:
        job.progress("fine-tuning epochs", epoch.epoch, last)

    resume = is_run(folder)
    if not resume:  # killed while the configuration was being written
        shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        train(plan, folder, resume=resume, progress=told)
    except ModelError as problem:
        fix = "lower the rate: --set slim.learning_rate=…"
        raise ModelError(f"while fine-tuning, {problem.message}", fix=fix) from problem
    except OutputError as problem:
        raise OutputError(problem.message, fix="free some space and give the same command again") from problem
    return load_prunable(read_keras_file(folder / MODEL, trust=job.file.trusted))


def timing_inputs(job: Job) -> Iterator[NDArray[np.float32]]:
    """A few training images, float32 (1, h, w, c) each, for the ranges of a network of which only the time counts."""
    return calibration.inputs(job.dataset.split("train", images=_TIMING_IMAGES), job.contract)


def labelled_batches(job: Job, images: int) -> tf.data.Dataset:
    """The first images of the training split: (float32 (n, h, w, c), int64 (n,))."""
    split = job.dataset.split("train", images=images)
    return measuring_feed(Fetch(split, job.contract), split.classes, job.contract, batch=_BATCH)
