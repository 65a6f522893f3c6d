"""Train a network into a run folder; stop it at any time and go on with `--resume`."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import tensorflow as tf
import tf_keras as keras

from edgeres.data import Dataset, Origin
from edgeres.errors import ModelError
from edgeres.keras_file import ModelCard
from edgeres.models.cost import trainable_parameters
from edgeres.preprocess import Preprocess
from edgeres.registry import resolve
from edgeres.results import Estimate
from edgeres.storage import discarded_on_failure, require_absent, typed_storage_errors
from edgeres.training.checkpoint import Checkpoint
from edgeres.training.distillation import Distilled, Teacher
from edgeres.training.distribution import Devices, Group, require_a_share_each
from edgeres.training.drawing import set_generators
from edgeres.training.effects import require_teacher
from edgeres.training.feeds import Feeds
from edgeres.training.folder import RunFolder
from edgeres.training.loop import Loop, NotFiniteError
from edgeres.training.loss import Objective
from edgeres.training.run import DataConfig, Epoch, History, NetworkConfig, RunConfig
from edgeres.training.settings import TrainingSettings
from edgeres.training.state import new_state
from edgeres.training.step import Step
from edgeres.training.stopping import best_epoch, has_stopped
from edgeres.training.subject import Built, Subject
from edgeres.training.transfer import Backbone, require_trained
from edgeres.versions import versions

Progress = Callable[[Epoch, int, float], None]
"""Called after each epoch with the epoch, the number of epochs, and the seconds that are left."""

Live = Callable[[int, int, int, float], None]
"""Called within an epoch with its number, the steps done, the steps of it, and the images a second."""

_PROPORTION = "targets.stats:proportion"  # the interval of an accuracy; a layer above, hence by name


@dataclass(frozen=True)
class Plan:
    """What to train (`edgeres.training.subject`), on a data set, through a contract, with settings.

    `teacher`: what it learns from beside the labels.
    """

    subject: Subject
    dataset: Dataset
    contract: Preprocess
    settings: TrainingSettings
    teacher: Teacher | None = None


def train(
    plan: Plan,
    out: Path,
    *,
    resume: bool = False,
    group: Group | None = None,
    progress: Progress | None = None,
    live: Live | None = None,
) -> History:
    """Train into the run folder `out`; with `resume`, continue from its last complete epoch.

    `group`: the devices to train on, those of `Devices()` by default; to be joined before anything uses TensorFlow.
    Where no epoch ended, nothing is left behind. Of several processes only the chief writes `out`, and only it need see
    it.

    Raises:
        OutputError: `out` exists (without `resume`), or cannot be written.
        ConfigError: `resume` with other settings than the run was started with; fewer images in a batch than devices;
            this process was started with other settings than the chief; a setting that the subject cannot follow.
        PeerLostError: another process ended, or does not answer.
        ModelError: the loss became NaN or infinite, and the last good checkpoint stays; a model that cannot be trained.
        ArtifactError: the checkpoint to continue from is damaged.
        DataError: an image cannot be decoded; fewer images to train on than devices.
    """
    require_trained(plan.settings, plan.subject)
    require_teacher(plan.settings, plan.teacher)
    group = group or Devices().join()
    if group.chief and not resume:
        require_absent(out)
    keras.utils.set_random_seed(plan.settings.seed)
    if plan.settings.deterministic:
        tf.config.experimental.enable_op_determinism()
    require_a_share_each(group, plan.settings.batch, len(plan.dataset.split("train")))
    with _own_folder(out, group) as place:
        with group.strategy.scope(), group.typed_failures(lambda: 0):
            built = plan.subject.build(plan.dataset, plan.contract)
            trainer = _Trainer(plan, RunFolder(place, chief=group.chief), built, group)
        with (
            typed_storage_errors(place),
            discarded_on_failure(place, unless=trainer.checkpoint.exists),
            group.typed_failures(lambda: len(trainer.history.epochs)),
        ):
            trainer.start(resume=resume)
            with trainer.feeds.typed_failures():
                trainer.run(progress or (lambda *_: None), live or (lambda *_: None))
                return trainer.finish()


@contextmanager
def _own_folder(out: Path, group: Group) -> Iterator[Path]:
    """The run folder for the chief; for another process one that goes away, where its part of a checkpoint lands."""
    if group.chief:
        yield out
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / out.name


class _Trainer:
    """One training: what it changes (state, history, folder) and what it runs on (feeds, loop)."""

    def __init__(self, plan: Plan, folder: RunFolder, built: Built, group: Group) -> None:
        self.plan, self.folder, self.settings = plan, folder, plan.settings
        self.group, self.loop = group, Loop(group)
        self.feeds = Feeds(plan.dataset, plan.contract, plan.settings, group.shares)
        labels = plan.dataset.labels
        parameters = trainable_parameters(built.model)
        self.network = NetworkConfig(plan.subject.name, plan.subject.width, len(labels), parameters)
        self.state = new_state(built.model, self.settings, steps=self.feeds.steps)
        self.backbone = Backbone(self.state.model, built.new_layers)
        self.checkpoint = Checkpoint(folder.checkpoint, **self.state.parts)
        self.history = History(())
        self.objective = Objective.of(self.settings, plan.dataset)
        self.lesson: Any = self.objective
        if plan.teacher:
            self.lesson = Distilled(self.objective, plan.teacher.build(len(labels)), self.settings.distill)
        self.measuring = self.loop.measuring(self.state.measured, self.objective.measured)

    def start(self, *, resume: bool) -> None:
        """Write the configuration, or check it and restore the last complete epoch."""
        if self.group.chief:
            resume = self.folder.start(self._config(), resume=resume)
        if self.group.workers > 1:
            state = self.group.from_chief(self.folder.packed() if self.group.chief else b"")
            if not self.group.chief:
                self.folder.unpack(state)
                resume = self.folder.start(self._config(), resume=True)
        if resume:
            self.checkpoint.restore()
            # The history is written before the checkpoint: a kill between the two leaves one epoch too many in it.
            self.history = History(self.folder.history().epochs[: self.checkpoint.done])

    def run(self, progress: Progress, live: Live) -> None:
        """The epochs that are left."""
        first, last, frozen = self.checkpoint.done, self.settings.epochs, self.settings.transfer.freeze_epochs
        validation = self.feeds.measuring("validation")
        for number in range(first, last):
            if has_stopped(self.history, self.settings):
                return
            if number in (first, frozen):
                stepping = self._stepping(frozen=number < frozen)
            epoch = self._epoch(number, stepping, validation, live)
            self._keep(epoch)
            progress(epoch, last, _seconds_left(self.history, last))

    def _stepping(self, *, frozen: bool) -> Any:
        self.backbone.freeze(frozen)
        step = Step(
            self.state.model,
            self.state.optimizer,
            self.lesson,
            parts=self.settings.accumulate,
            compiled=self.settings.jit_compile,
        )
        return self.loop.stepping(step, self.state.model, self.state.averages)

    def _epoch(self, number: int, stepping: Any, validation: tf.data.Dataset, live: Live) -> Epoch:
        started = time.perf_counter()
        totals, speed, steps = self.loop.totals, [0.0], self.feeds.steps

        def told(done: int, images_per_second: float) -> None:
            speed[0] = images_per_second
            live(number + 1, done, steps, images_per_second)

        set_generators(self.state.model, seed=self.settings.seed, epoch=number)
        with self._typed_loss("loss", number):
            self.loop.train(self.feeds.training(number), stepping, steps=steps, told=told)
        loss, accuracy = totals.mean_loss(), totals.accuracy()
        with self._typed_loss("validation loss", number):
            self.loop.measure(validation, self.measuring)
        seconds = round(time.perf_counter() - started, 2)
        rate = float(self.state.optimizer.learning_rate.numpy())
        validated = totals.mean_loss(), totals.accuracy()
        return Epoch(number + 1, loss, accuracy, *validated, rate, seconds, round(speed[0], 1))

    @contextmanager
    def _typed_loss(self, name: str, number: int) -> Iterator[None]:
        try:
            yield
        except NotFiniteError as problem:
            raise ModelError(
                f"the {name} became {problem.loss} in epoch {number + 1}",
                details=(f"the state after epoch {number} is kept in {self.folder.path}",) if number else (),
                fix="lower --learning-rate and start again",
            ) from None

    def _keep(self, epoch: Epoch) -> None:
        self.history = History((*self.history.epochs, epoch))
        self.folder.write_history(self.history)
        self.folder.log(epoch)
        if self.state.best is not None and best_epoch(self.history) == epoch.epoch:
            self.state.best.keep(self.state.measured)
        self.checkpoint.save(epoch.epoch)

    def finish(self) -> History:
        """Write the model and measure it on the test split."""
        self.backbone.freeze(False)
        dataset, subject, model = self.plan.dataset, self.plan.subject, self.state.exported()
        network = self.network if subject.zoo else None
        card = ModelCard(self.plan.contract, dataset.labels, network, Origin(dataset.source, dataset.seed))
        self.folder.write_model(subject.finished(model), card)  # first: a corrupt test image must not cost the training
        self.loop.measure(self.feeds.measuring("test"), self.loop.measuring(model, self.objective.measured))
        correct, images = self.loop.totals.counts()
        estimate: Estimate = resolve(_PROPORTION)(correct, images)
        self.history = replace(self.history, test_accuracy=estimate)
        self.folder.write_history(self.history)
        self.folder.write_report()
        self.group.from_chief(b"written")  # the others wait for the chief: TensorFlow takes their end for a failure
        return self.history

    def _config(self) -> RunConfig:
        dataset, subject, teacher = self.plan.dataset, self.plan.subject, self.plan.teacher
        return RunConfig(
            network=self.network,
            data=DataConfig(
                dataset.source,
                dataset.seed,
                dataset.labels,
                {name: len(dataset.split(name)) for name in dataset.splits},
            ),
            preprocess=self.plan.contract,
            training=self.settings.record(),
            versions=versions(),
            weights=subject.weights,
            teacher=None if teacher is None else teacher.source,
            model=subject.source,
        )


def _seconds_left(history: History, last: int) -> float:
    recent = [epoch.seconds for epoch in history.epochs[-5:]]
    return sum(recent) / len(recent) * (last - history.epochs[-1].epoch)
