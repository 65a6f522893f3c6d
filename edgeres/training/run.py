"""The run folder: all that is needed to repeat a training, readable without TensorFlow.

config.json      the network, the data and its splits, the preprocessing, every training setting, seed, versions
history.json     one entry an epoch, and the final accuracy on the test split
checkpoint/      weights, optimizer and epoch: what --resume continues from
logs/            the same figures for TensorBoard
model.keras      the trained network; carries its preprocessing and labels
report.html      the page of the run, written at its end
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeres.errors import ConfigError
from edgeres.preprocess import Preprocess
from edgeres.records import decode, read_json, write_json
from edgeres.results import Estimate

CONFIG, HISTORY, CHECKPOINT, MODEL = "config.json", "history.json", "checkpoint", "model.keras"
LOGS, REPORT = "logs", "report.html"


@dataclass(frozen=True)
class NetworkConfig:
    """What is built: a name of the zoo, and its arguments."""

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

    `weights` and `teacher`: the files that it began with and that it learned from, with their SHA-256.
    """

    network: NetworkConfig
    data: DataConfig
    preprocess: Preprocess
    training: dict[str, Any]
    versions: dict[str, str]
    weights: str | None = None
    teacher: str | None = None
    schema: str = "edgeres.run/1"


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
