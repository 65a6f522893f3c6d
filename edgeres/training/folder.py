"""The one place that writes into a run folder; in a training of several processes only the chief does."""

from __future__ import annotations

import io
import logging
import zipfile
from pathlib import Path
from typing import Any

import tensorflow as tf

from edgeres.errors import MissingExtraError, OutputError
from edgeres.keras_file import ModelCard
from edgeres.keras_io import save_model
from edgeres.records import write_json
from edgeres.registry import resolve
from edgeres.storage import write_text
from edgeres.training.resumption import require_same
from edgeres.training.run import (
    CHECKPOINT,
    CONFIG,
    HISTORY,
    LOGS,
    MODEL,
    REPORT,
    Epoch,
    History,
    RunConfig,
    is_run,
    read_config,
    read_history,
    write_history,
)

_LOG = logging.getLogger(__name__)

# By name, for both read run folders: they would import this package in turn.
_READ_STORY, _RENDER = "edgeres.report.sources:read_story", "edgeres.report.html:render"
_SCALAR = tf.compat.v1.SummaryMetadata(
    plugin_data=tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars"), data_class=1
)


class RunFolder:
    """The files of one training; `chief` says whether this process writes them."""

    def __init__(self, path: Path, *, chief: bool) -> None:
        self.path, self._chief = path, chief
        self._logs: Any = None

    @property
    def checkpoint(self) -> Path:
        """Where checkpoints are."""
        return self.path / CHECKPOINT

    def start(self, config: RunConfig, *, resume: bool) -> bool:
        """Write the configuration of a new run, or check that of the one that goes on, and say which it is.

        Raises:
            OutputError: to be resumed, but no run folder.
            ConfigError: to be resumed with other settings than it was started with.
        """
        if resume and is_run(self.path):
            require_same(read_config(self.path), config, self.path)
            return True
        if resume and self.path.exists() and any(self.path.iterdir()):
            raise OutputError(f"{self.path} is not a run folder", fix="choose another --out")
        if self._chief:
            write_json(self.path / CONFIG, config)
        return False

    def packed(self) -> bytes:
        """What another process needs to go on from the same state: configuration, history, checkpoint."""
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as archive:
            for path in (self.path / CONFIG, self.path / HISTORY, *sorted(self.checkpoint.glob("*"))):
                if path.is_file():
                    archive.write(path, path.relative_to(self.path))
        return content.getvalue()

    def unpack(self, content: bytes) -> None:
        """The counterpart of `packed`."""
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            archive.extractall(self.path)

    def history(self) -> History:
        """The history so far."""
        return read_history(self.path)

    def write_history(self, history: History) -> None:
        """Replace the history."""
        if self._chief:
            write_history(self.path, history)

    def write_model(self, model: Any, card: ModelCard) -> None:
        """Write the trained model."""
        if self._chief:
            save_model(model, self.path / MODEL, card=card)

    def write_report(self) -> None:
        """Write the page of the run; where its packages are not installed, say so in the log."""
        if not self._chief:
            return
        try:
            render = resolve(_RENDER)
        except MissingExtraError as problem:
            _LOG.warning("%s is not written: %s", self.path / REPORT, problem.message)
            return
        write_text(self.path / REPORT, render(resolve(_READ_STORY)([self.path])))

    def log(self, epoch: Epoch) -> None:
        """Add an epoch to the TensorBoard logs."""
        if not self._chief:
            return
        if self._logs is None:
            self._logs = tf.summary.create_file_writer(str(self.path / LOGS))
        with self._logs.as_default(step=epoch.epoch):
            for name, value in _scalars(epoch).items():
                # What tf.summary.scalar writes; that function needs TensorBoard itself to be installed.
                tf.summary.write(name, tf.constant(value, tf.float32), metadata=_SCALAR)
        self._logs.flush()


def _scalars(epoch: Epoch) -> dict[str, float]:
    """What TensorBoard draws of an epoch, by name."""
    found = {
        "loss/train": epoch.loss,
        "loss/validation": epoch.val_loss,
        "accuracy/train": epoch.accuracy,
        "accuracy/validation": epoch.val_accuracy,
        "learning_rate": epoch.learning_rate,
        "images_per_second": epoch.images_per_second,
    }
    return {name: value for name, value in found.items() if value is not None}
