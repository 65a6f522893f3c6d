"""Train a network into a run folder; stop it at any time and go on with `--resume`."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import tensorflow as tf
import tf_keras as keras

from edgeres.data import Dataset, Origin
from edgeres.errors import ArtifactError, ConfigError, ModelError, OutputError
from edgeres.keras_file import ModelCard
from edgeres.keras_io import save_model
from edgeres.models import Network
from edgeres.models.cost import trainable_parameters
from edgeres.preprocess import Preprocess
from edgeres.records import encode, write_json
from edgeres.registry import resolve
from edgeres.results import Estimate
from edgeres.storage import discarded_on_failure, require_absent, typed_storage_errors
from edgeres.training.distribution import strategy
from edgeres.training.feed import Fetch, augmentation, measuring_feed, training_feed, typed_failures
from edgeres.training.run import (
    CHECKPOINT,
    CONFIG,
    MODEL,
    DataConfig,
    Epoch,
    History,
    NetworkConfig,
    RunConfig,
    is_run,
    read_config,
    read_history,
    write_history,
)
from edgeres.training.schedules import WarmupCosine
from edgeres.training.settings import TrainingSettings
from edgeres.versions import versions

Progress = Callable[[Epoch, int, float], None]
"""Called after each epoch with the epoch, the number of epochs, and the seconds that are left."""

_PROPORTION = "targets.stats:proportion"  # the interval of an accuracy; a layer above, hence by name


@dataclass(frozen=True)
class Plan:
    """What to train: a network of the zoo at a width, on a data set, through a contract, with settings."""

    network: Network
    width: float
    dataset: Dataset
    contract: Preprocess
    settings: TrainingSettings


def train(plan: Plan, out: Path, *, resume: bool = False, progress: Progress | None = None) -> History:
    """Train into the run folder `out`; with `resume`, continue from its last complete epoch.

    Where no epoch ended, nothing is left behind.

    Raises:
        OutputError: `out` exists (without `resume`), or cannot be written.
        ConfigError: `resume` with other settings than the run was started with.
        ModelError: the loss became NaN or infinite; the last good checkpoint stays.
        ArtifactError: the checkpoint to continue from is damaged.
        DataError: an image cannot be decoded.
    """
    if not resume:
        require_absent(out)
    keras.utils.set_random_seed(plan.settings.seed)
    with strategy().scope():
        model = plan.network.build(width=plan.width, classes=len(plan.dataset.labels), input_size=plan.contract.height)
        trainer = _Trainer(plan, out, model)
    with typed_storage_errors(out), discarded_on_failure(out, unless=trainer.can_go_on):
        trainer.start(resume=resume)
        trainer.run(progress)
        return trainer.finish()


class _Trainer:
    """The state of one training: model, feeds, checkpoint, history."""

    def __init__(self, plan: Plan, out: Path, model: Any) -> None:
        self.plan, self.out, self.model = plan, out, model
        self.split = plan.dataset.split("train")
        self.settings = plan.settings
        self.steps = math.ceil(len(self.split) / self.settings.batch)
        model.compile(
            optimizer=_optimizer(self.settings, self.steps),
            loss=_loss(len(plan.dataset.labels), self.settings.label_smoothing),
            metrics=[keras.metrics.SparseCategoricalAccuracy("accuracy")],
        )
        self.epoch = tf.Variable(0, dtype=tf.int64, trainable=False)
        checkpoint = tf.train.Checkpoint(model=model, optimizer=model.optimizer, epoch=self.epoch)
        self.manager = tf.train.CheckpointManager(checkpoint, str(out / CHECKPOINT), max_to_keep=1)
        self.history = History(())

    def start(self, *, resume: bool) -> None:
        """Write the configuration, or check it and restore the last complete epoch."""
        config = self._config()
        if resume and is_run(self.out):
            _require_same(read_config(self.out), config, self.out)
            if self.manager.latest_checkpoint:
                self._restore(self.manager.latest_checkpoint)
            # The history is written before the checkpoint: a kill between the two leaves one epoch too many in it.
            done = read_history(self.out).epochs[: int(self.epoch.numpy())]
            self.history = History(done)
        else:
            if resume and self.out.exists() and any(self.out.iterdir()):
                raise OutputError(f"{self.out} is not a run folder", fix="choose another --out")
            write_json(self.out / CONFIG, config)

    def _restore(self, checkpoint: str) -> None:
        try:
            self.manager.checkpoint.restore(checkpoint).expect_partial()
        except (tf.errors.OpError, ValueError) as problem:
            raise ArtifactError(
                f"the checkpoint {checkpoint} is damaged: {_reason(problem)}",
                fix=f"remove {self.out} and train again",
            ) from problem

    def can_go_on(self) -> bool:
        """Whether there is a complete epoch to continue from."""
        return self.manager.latest_checkpoint is not None

    def run(self, progress: Progress | None) -> None:
        """The epochs that are left."""
        first, last = int(self.epoch.numpy()), self.settings.epochs
        if first >= last:
            return
        fetch = Fetch(self.split, self.plan.contract)
        seen, validation = self._measuring_feed("validation")
        with typed_failures(fetch, seen):
            for number in range(first, last):
                epoch = self._epoch(number, fetch, validation)
                self._keep(epoch)
                if progress:
                    progress(epoch, last, _seconds_left(self.history, last))

    def _epoch(self, number: int, fetch: Fetch, validation: tf.data.Dataset) -> Epoch:
        started = time.perf_counter()
        seen = self.model.fit(self._training_feed(fetch, number), verbose=0).history
        loss, accuracy = seen["loss"][0], seen["accuracy"][0]
        self._require_finite("loss", loss, number)
        val_loss, val_accuracy = self.model.evaluate(validation, verbose=0)
        self._require_finite("validation loss", val_loss, number)
        seconds = round(time.perf_counter() - started, 2)
        rate = float(self.model.optimizer.learning_rate.numpy())
        return Epoch(number + 1, loss, accuracy, val_loss, val_accuracy, rate, seconds)

    def _require_finite(self, name: str, loss: float, number: int) -> None:
        if not math.isfinite(loss):
            raise ModelError(
                f"the {name} became {loss} in epoch {number + 1}",
                details=(f"the state after epoch {number} is kept in {self.out}",) if number else (),
                fix="lower --learning-rate and start again",
            )

    def finish(self) -> History:
        """Write the model and measure it on the test split."""
        network = NetworkConfig(
            self.plan.network.name, self.plan.width, len(self.plan.dataset.labels), trainable_parameters(self.model)
        )
        dataset = self.plan.dataset
        card = ModelCard(self.plan.contract, dataset.labels, network, Origin(dataset.source, dataset.seed))
        save_model(self.model, self.out / MODEL, card=card)  # first: a corrupt test image must not cost the training
        correct, images = self._test()
        estimate: Estimate = resolve(_PROPORTION)(correct, images)
        self.history = replace(self.history, test_accuracy=estimate)
        write_history(self.out, self.history)
        return self.history

    def _keep(self, epoch: Epoch) -> None:
        self.history = History((*self.history.epochs, epoch))
        write_history(self.out, self.history)
        self.epoch.assign(epoch.epoch)
        try:
            self.manager.save(checkpoint_number=epoch.epoch)
        except tf.errors.OpError as problem:  # TensorFlow's word for a full disk
            raise OutputError(
                f"cannot write {self.out / CHECKPOINT}: {_reason(problem)}",
                fix="free some space and continue with --resume",
            ) from problem

    def _training_feed(self, fetch: Fetch, epoch: int) -> tf.data.Dataset:
        return training_feed(
            fetch,
            self.split.classes,
            self.plan.contract,
            batch=self.settings.batch,
            seed=self.settings.seed,
            augment=augmentation(self.settings.augment, self.plan.dataset),
            epoch=epoch,
        )

    def _measuring_feed(self, name: str) -> tuple[Fetch, tf.data.Dataset]:
        split, contract = self.plan.dataset.split(name), self.plan.contract
        fetch = Fetch(split, contract)
        return fetch, measuring_feed(fetch, split.classes, contract, batch=self.settings.batch)

    def _test(self) -> tuple[int, int]:
        correct, images = 0, len(self.plan.dataset.split("test"))
        fetch, feed = self._measuring_feed("test")
        with typed_failures(fetch):
            for inputs, classes in feed:
                chosen = tf.argmax(self.model(inputs, training=False), axis=-1)
                correct += int(tf.reduce_sum(tf.cast(chosen == classes, tf.int32)))
        return correct, images

    def _config(self) -> RunConfig:
        dataset = self.plan.dataset
        return RunConfig(
            network=NetworkConfig(
                self.plan.network.name, self.plan.width, len(dataset.labels), trainable_parameters(self.model)
            ),
            data=DataConfig(
                dataset.source,
                dataset.seed,
                dataset.labels,
                {name: len(split) for name, split in dataset.splits.items()},
            ),
            preprocess=self.plan.contract,
            training=self.settings.model_dump(),
            versions=versions(),
        )


def _optimizer(settings: TrainingSettings, steps: int) -> Any:
    """SGD with Nesterov momentum; Keras' decay is decoupled from momentum, so it is scaled to act as an L2 penalty."""
    schedule = WarmupCosine(
        settings.learning_rate, steps=steps * settings.epochs, warmup=round(steps * settings.warmup)
    )
    decay = settings.weight_decay / (1 - settings.momentum)
    optimizer = keras.optimizers.SGD(
        schedule, momentum=settings.momentum, nesterov=settings.momentum > 0, weight_decay=decay
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


def _loss(classes: int, label_smoothing: float) -> Callable[[Any, Any], Any]:
    """Cross-entropy of logits with integer classes."""

    def cross_entropy(truth: Any, logits: Any) -> Any:
        wanted = tf.one_hot(tf.cast(tf.reshape(truth, (-1,)), tf.int32), classes)
        return keras.losses.categorical_crossentropy(wanted, logits, from_logits=True, label_smoothing=label_smoothing)

    return cross_entropy


def _reason(problem: Exception) -> str:
    """The last part of TensorFlow's message, without the node and the temporary file it begins with."""
    return str(problem).splitlines()[0].rpartition("; ")[2].partition(" [Op:")[0]


def _seconds_left(history: History, last: int) -> float:
    recent = [epoch.seconds for epoch in history.epochs[-5:]]
    return sum(recent) / len(recent) * (last - history.epochs[-1].epoch)


def _require_same(found: RunConfig, wanted: RunConfig, out: Path) -> None:
    """A run goes on with what it was started with; only the versions may differ."""
    before, now = encode(found), encode(wanted)
    for part in ("network", "data", "preprocess", "training"):
        for key in now[part]:
            if before[part].get(key) != now[part][key]:
                raise ConfigError(
                    f"{out} was started with {part}.{key} = {before[part].get(key)!r}, not {now[part][key]!r}",
                    fix="resume with the same options, or choose another --out",
                )
