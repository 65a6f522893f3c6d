"""The run folder: all that is needed to repeat a training, readable without TensorFlow.

config.json      the network, the data and its splits, the preprocessing, every training setting, seed, versions
history.json     one entry an epoch, and the final accuracy on the test split
checkpoint/      weights, optimizer and epoch: what --resume continues from
logs/            the same figures for TensorBoard
model.keras      the trained network; carries its preprocessing and labels
report.html      the page of the run, written at its end
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeres.errors import ConfigError, ModelError
from edgeres.preprocess import Preprocess
from edgeres.records import decode, read_json, write_json
from edgeres.results import Estimate

CONFIG, HISTORY, CHECKPOINT, MODEL = "config.json", "history.json", "checkpoint", "model.keras"
LOGS, REPORT = "logs", "report.html"

IN_MEMORY = " in memory"
"""What follows the name of a model that is no file, where a run names it."""


@dataclass(frozen=True)
class NetworkConfig:
    """What is built: a name of the zoo and its arguments; for a model of one's own its name, and width 1."""

    name: str
    width: float
    classes: int
    parameters: int


@dataclass(frozen=True)
class DataConfig:
    """What it learns from; `images` counts the images of each split."""

    source: str
    seed: int
    labels: tuple[str, ...]
    images: dict[str, int]


@dataclass(frozen=True)
class RunConfig:
    """A training, complete; `training` holds every setting with its value (`edgeres.training.settings`).

    `weights`, `teacher` and `model`: what it began with, what it learned from, and the model of one's own that it
    trains in place of a network of the zoo; each a file or a model in memory, with its SHA-256.
    """

    network: NetworkConfig
    data: DataConfig
    preprocess: Preprocess
    training: dict[str, Any]
    versions: dict[str, str]
    weights: str | None = None
    teacher: str | None = None
    model: str | None = None
    schema: str = "edgeres.run/1"

    @property
    def given(self) -> str | None:
        """What the command that trains it is given: a name of the zoo, or a path; None for a model in memory."""
        if self.model is None:
            return self.network.name
        name = self.model.rpartition(" (")[0]
        return None if name.endswith(IN_MEMORY) else name


@dataclass(frozen=True)
class Epoch:
    """One epoch: mean loss and accuracy over the training images as augmented, and over the validation split.

    `seconds`: both; `images_per_second`: of training alone.
    """

    epoch: int
    loss: float
    accuracy: float
    val_loss: float
    val_accuracy: float
    learning_rate: float
    seconds: float
    images_per_second: float | None = None


@dataclass(frozen=True)
class History:
    """The epochs so far; `test_accuracy` once training has ended."""

    epochs: tuple[Epoch, ...]
    test_accuracy: Estimate | None = None
    schema: str = "edgeres.history/1"


def is_run(path: Path) -> bool:
    """Whether the path is a run folder."""
    return (path / CONFIG).is_file()


def model_of(path: Path) -> Path:
    """The model that a path means: that of a run folder, else the path itself.

    Raises:
        ModelError: a run that has not ended.
        ConfigError: a run whose configuration or history cannot be read.
    """
    if not is_run(path) or (path / MODEL).is_file():
        return path / MODEL if is_run(path) else path
    config, done = read_config(path), len(read_history(path).epochs)
    raise ModelError(
        f"{path} is a run that has not ended: {done} of {config.training.get('epochs')} epochs are done",
        fix=_how_to_finish(config, path),
    )


def _how_to_finish(config: RunConfig, path: Path) -> str:
    if config.given is None:
        return f"finish it from Python, with the model that it trains: train(plan, Path({str(path)!r}), resume=True)"
    words = ["edgeres", "train", config.given, "--data", config.data.source, "--out", str(path), "--resume"]
    return f"finish it, with the options that it was started with: {shlex.join(words)}"


def read_config(run: Path) -> RunConfig:
    """The configuration of a run.

    Raises:
        ConfigError: absent, not JSON, or a field that does not fit.
    """
    return decode(RunConfig, read_json(run / CONFIG, error=ConfigError), where=str(run / CONFIG), error=ConfigError)


def read_history(run: Path) -> History:
    """The history of a run; empty where no epoch has ended.

    Raises:
        ConfigError: not JSON, or a field that does not fit.
    """
    path = run / HISTORY
    if not path.exists():
        return History(())
    return decode(History, read_json(path, error=ConfigError), where=str(path), error=ConfigError)


def write_history(run: Path, history: History) -> None:
    """Replace the history, atomically."""
    write_json(run / HISTORY, history)
