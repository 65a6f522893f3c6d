"""Fine-tuning a tf_keras model within a step: epoch by epoch, each kept, so that a killed one goes on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tf_keras as keras

from converters.job import Job
from converters.steps import AwareStep, PruneStep
from edgeres.errors import ModelError, OutputError
from edgeres.training.checkpoint import Checkpoint
from edgeres.training.feed import Fetch, augmentation, training_feed, typed_failures
from edgeres.training.head import softmax_of


def fine_tune(
    model: Any, settings: PruneStep | AwareStep, job: Job, *, state: Path, logits: bool, callbacks: Sequence[Any] = ()
) -> None:
    """Train a model in place on the training split, from the last epoch that `state` holds.

    By `Model.fit`, not by `edgeres.training`: tfmot's wrappers count their steps in a callback.

    `state` is a folder of this step alone, for these very inputs. `logits`: whether the model gives them, not
    probabilities. Order and augmentation follow from the seed and the epoch: a run that was killed sees what an
    undisturbed one sees.

    Raises:
        ModelError: the loss became NaN or infinite.
        DataError: an image cannot be decoded.
        OutputError: the state cannot be written.
        ArtifactError: the state is damaged.
    """
    keras.utils.set_random_seed(job.seed)
    split = job.dataset.split("train")
    rate = keras.optimizers.schedules.CosineDecay(
        settings.learning_rate, math.ceil(len(split) / settings.batch) * settings.epochs
    )
    model.compile(
        optimizer=keras.optimizers.SGD(rate, momentum=0.9, nesterov=True),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=logits),
    )
    model.optimizer.build(model.trainable_variables)  # before its state is taken up
    checkpoint = Checkpoint(state / "checkpoint", model=model, optimizer=model.optimizer)
    checkpoint.restore()
    fetch = Fetch(split, job.contract)
    for epoch in range(checkpoint.done, settings.epochs):
        feed = training_feed(
            fetch,
            split.classes,
            job.contract,
            batch=settings.batch,
            seed=job.seed,
            epoch=epoch,
            augment=augmentation("auto", job.dataset),
        )
        with typed_failures(fetch):
            loss = model.fit(feed, verbose=0, callbacks=list(callbacks)).history["loss"][0]
        if not math.isfinite(loss):
            fix = f"lower the rate: --set {settings.step}.learning_rate=…"
            raise ModelError(f"the loss became infinite in epoch {epoch + 1} of the step '{settings.step}'", fix=fix)
        _keep(checkpoint, epoch + 1)
        job.progress("fine-tuning epochs", epoch + 1, settings.epochs)


def _keep(checkpoint: Checkpoint, epochs: int) -> None:
    try:
        checkpoint.save(epochs)
    except OutputError as problem:
        raise OutputError(problem.message, fix="free some space and give the same command again") from problem


def gives_logits(model: Any) -> bool:
    """Whether it ends in scores, not in a softmax of them.

    Raises:
        ModelError: it ends in something else.
    """
    return softmax_of(model) is None
