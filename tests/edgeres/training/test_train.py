"""A training is whole, can be stopped anywhere, and goes on as if it had not been."""

from __future__ import annotations

import json
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from tensorflow.python.framework import config as framework  # what enables determinism cannot be undone publicly

from edgeres.console import run
from edgeres.data import open_dataset
from edgeres.errors import ArtifactError, ConfigError, DataError, ModelError, OutputError
from edgeres.keras_file import read_keras_file
from edgeres.keras_io import load
from edgeres.preprocess import Preprocess
from edgeres.training.feed import Fetch
from edgeres.training.run import (
    CHECKPOINT,
    CONFIG,
    HISTORY,
    LOGS,
    MODEL,
    REPORT,
    Epoch,
    History,
    read_config,
    read_history,
)
from edgeres.training.settings import TrainingSettings
from edgeres.training.subject import ZooNetwork
from edgeres.training.train import Plan, train
from tests.edgeres.training.conftest import LABELS, NETWORK, TINY
from tests.trained import EPOCHS, Trained

CLI = Path(__file__).parents[3] / "cli.py"
SETTINGS = TrainingSettings(epochs=4, batch=16, learning_rate=0.05)


@pytest.fixture(scope="module")
def plan(pictures: str) -> Plan:
    return Plan(ZooNetwork(TINY, 0.125), open_dataset(pictures), Preprocess(16, 16), SETTINGS)


def stream(patch: pytest.MonkeyPatch) -> None:
    """Hold no image decoded."""
    patch.setattr(Fetch.__init__, "__kwdefaults__", {"held_bytes": 0})


def stop_after(number: int) -> Callable[[Epoch, int, float], None]:
    """A progress that presses Ctrl-C after an epoch."""

    def progress(epoch: Epoch, epochs: int, seconds_left: float) -> None:
        assert epochs == SETTINGS.epochs
        assert seconds_left >= 0
        if epoch.epoch == number:
            raise KeyboardInterrupt

    return progress


def weights(folder: Path) -> list[np.ndarray]:
    return [np.asarray(weight) for weight in load(read_keras_file(folder / MODEL)).get_weights()]


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def whole(plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing interrupted."""
    out = tmp_path_factory.mktemp("whole") / "run"
    train(plan, out)
    return out


@pytest.fixture(scope="module")
def stopped(plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, streamed instead of held, and stopped after the second epoch; begun with `resume`, which may be."""
    out = tmp_path_factory.mktemp("stopped") / "run"
    with pytest.MonkeyPatch.context() as patch:
        stream(patch)
        with pytest.raises(KeyboardInterrupt):
            train(plan, out, resume=True, progress=stop_after(2))
    return out


@pytest.fixture
def copy(stopped: Path, tmp_path: Path) -> Path:
    """A copy of the stopped run, in another place."""
    return shutil.copytree(stopped, tmp_path / "moved" / "run")


def test_a_run_folder_holds_all_that_is_needed_to_repeat_it(trained: Trained) -> None:
    config, history = read_config(trained.folder), read_history(trained.folder)
    written = {path.name for path in trained.folder.iterdir()}
    assert written == {CONFIG, HISTORY, CHECKPOINT, LOGS, MODEL, REPORT}
    assert (config.network.name, config.network.width, config.network.classes) == ("resnet8", 0.5, 10)
    assert (config.data.source, config.data.seed, len(config.data.labels)) == ("digits", 0, 10)
    assert config.data.images == {"train": 1165, "validation": 144, "test": 359, "calibration": 129}
    assert config.training == TrainingSettings(epochs=EPOCHS, batch=32, augment="none").record()
    assert config.preprocess == Preprocess(32, 32)
    assert "tensorflow" in config.versions
    assert [epoch.epoch for epoch in history.epochs] == list(range(1, EPOCHS + 1))
    assert history.epochs[-1].loss < history.epochs[0].loss
    assert history.test_accuracy is not None
    assert history.test_accuracy.n == 359


def test_it_learns(trained: Trained) -> None:
    accuracy = read_history(trained.folder).test_accuracy
    assert accuracy is not None
    assert accuracy.value > 0.6
    assert accuracy.low < accuracy.value < accuracy.high


def test_the_model_carries_its_card_and_computes_what_was_measured(trained: Trained) -> None:
    file = read_keras_file(trained.model)
    card, config = file.card, read_config(trained.folder)
    assert card is not None
    assert (card.preprocess, card.labels, card.network) == (config.preprocess, config.data.labels, config.network)
    split = open_dataset("digits").split("test")
    inputs = np.stack([card.preprocess(split.read(position)) for position in range(len(split))])
    right = np.mean(np.argmax(load(file)(inputs, training=False).numpy(), axis=1) == split.classes)
    accuracy = read_history(trained.folder).test_accuracy
    assert accuracy is not None
    assert right == pytest.approx(accuracy.value, abs=1.5 / len(split))


def test_a_resumed_run_ends_with_the_weights_of_an_uninterrupted_one(plan: Plan, whole: Path, copy: Path) -> None:
    """Also where a kill came between the two writes of an epoch, and the history is one ahead of the checkpoint."""
    history = json.loads((copy / HISTORY).read_text())
    history["epochs"].append({**history["epochs"][-1], "epoch": 3, "loss": 99.0})
    (copy / HISTORY).write_text(json.dumps(history))
    train(plan, copy, resume=True)
    for found, expected in zip(weights(copy), weights(whole), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)
    a, b = read_history(copy), read_history(whole)
    assert [epoch.epoch for epoch in a.epochs] == [1, 2, 3, 4]
    for one, other in zip(a.epochs, b.epochs, strict=True):
        assert one.loss == pytest.approx(other.loss, rel=1e-3)
        assert one.learning_rate == other.learning_rate
    assert a.test_accuracy == b.test_accuracy


def test_a_streamed_run_is_the_held_one(whole: Path, stopped: Path) -> None:
    for streamed, held in zip(read_history(stopped).epochs, read_history(whole).epochs, strict=False):
        assert streamed.loss == pytest.approx(held.loss, rel=1e-3)
        assert streamed.val_loss == pytest.approx(held.val_loss, rel=1e-3)


def test_a_stopped_run_keeps_its_epochs_and_has_no_model(stopped: Path) -> None:
    assert [epoch.epoch for epoch in read_history(stopped).epochs] == [1, 2]
    assert read_history(stopped).test_accuracy is None
    assert not (stopped / MODEL).exists()


def test_resuming_a_run_that_has_ended_measures_it_again(plan: Plan, whole: Path) -> None:
    before = read_history(whole)
    assert train(plan, whole, resume=True) == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"settings": TrainingSettings(epochs=4, batch=16, learning_rate=0.1)}, "training.learning_rate = 0.05"),
        ({"settings": TrainingSettings(epochs=9, batch=16, learning_rate=0.05)}, "training.epochs = 4, not 9"),
        ({"subject": ZooNetwork(TINY, 0.25)}, "network.width = 0.125, not 0.25"),
        ({"contract": Preprocess(16, 16, scale=0.5)}, "preprocess.scale = 1.0, not 0.5"),
        ({"subject": ZooNetwork(replace(TINY, name="small"), 0.125)}, "network.name = 'tiny', not 'small'"),
    ],
)
def test_a_run_is_not_resumed_with_other_settings(
    plan: Plan, stopped: Path, change: dict[str, Any], message: str
) -> None:
    before = snapshot(stopped)
    with pytest.raises(ConfigError) as caught:
        train(replace(plan, **change), stopped, resume=True)
    assert message in str(caught.value)
    assert snapshot(stopped) == before


def test_other_splits_are_other_settings(plan: Plan, stopped: Path) -> None:
    other = replace(plan, dataset=open_dataset(plan.dataset.source, seed=1))
    with pytest.raises(ConfigError, match=r"data\.seed = 0, not 1"):
        train(other, stopped, resume=True)


def test_a_damaged_checkpoint_is_an_error_that_names_it(plan: Plan, copy: Path) -> None:
    index = copy / CHECKPOINT / "ckpt-2.index"
    index.write_bytes(index.read_bytes()[:100] + b"garbage" + index.read_bytes()[107:])
    with pytest.raises(ArtifactError, match="ckpt-2 is damaged"):
        train(plan, copy, resume=True)


def test_an_absurd_learning_rate_ends_in_an_error_and_keeps_the_last_good_state(plan: Plan, copy: Path) -> None:
    absurd = SETTINGS.model_copy(update={"batch": 1, "learning_rate": 100.0, "momentum": 0.99, "weight_decay": 1.0})
    config = json.loads((copy / CONFIG).read_text())
    config["training"] = absurd.record()  # as if it had been started with it
    (copy / CONFIG).write_text(json.dumps(config))
    before = snapshot(copy)
    with pytest.raises(ModelError, match=r"loss became (nan|inf) in epoch 3") as caught:
        train(replace(plan, settings=absurd), copy, resume=True)
    assert caught.value.fix == "lower --learning-rate and start again"
    assert snapshot(copy) == before


def test_a_full_disk_is_an_error_that_keeps_the_last_good_state(plan: Plan, copy: Path) -> None:
    """The size of a file stands for the disk: history fits, the checkpoint does not."""
    before = snapshot(copy / CHECKPOINT)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, hard))
    try:
        with pytest.raises(OutputError, match=r"cannot write .*checkpoint") as caught:
            train(plan, copy, resume=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "--resume" in str(caught.value.fix)
    assert {name: content for name, content in snapshot(copy / CHECKPOINT).items() if name in before} == before
    assert not (copy / MODEL).exists()


def test_an_output_that_exists_is_left_alone(plan: Plan, tmp_path: Path, whole: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    for resume in (False, True):
        with pytest.raises(OutputError):
            train(plan, tmp_path, resume=resume)
    with pytest.raises(OutputError, match="exists already"):
        train(plan, whole)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(("part", "held"), [("train", True), ("train", False), ("validation", False), ("test", False)])
def test_a_corrupt_image_is_named_whatever_split_it_is_in(
    plan: Plan, part: str, held: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not held:
        stream(monkeypatch)
    shutil.copytree(plan.dataset.source.partition(":")[2], tmp_path / "images")
    dataset = open_dataset(f"folder:{tmp_path / 'images'}")
    name = dataset.split(part).where(1)
    (tmp_path / "images" / name).write_bytes(b"\x89PNG\r\n\x1a\nnot a picture")
    short = replace(plan, dataset=dataset, settings=SETTINGS.model_copy(update={"epochs": 1}))
    with pytest.raises(DataError) as caught:
        train(short, tmp_path / "run")
    assert name in caught.value.message
    # The training is over when the test split is read: it is not lost.
    assert (tmp_path / "run" / MODEL).exists() == (part == "test")


def command(pictures: str, out: Path, *options: str) -> list[str]:
    return ["train", *NETWORK, "--data", pictures, "--out", str(out), *options]


def test_the_command_trains_and_says_how_good_it_became(
    pictures: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run.yaml").write_text("epochs: 7\nlearning_rate: 0.05\naugment: none\n")
    out = tmp_path / "run"
    assert run(command(pictures, out, "--epochs", "1", "--config", str(tmp_path / "run.yaml"))) == 0
    said = capsys.readouterr()
    assert f"{out}/model.keras: test accuracy" in said.out
    assert "on 12 images" in said.out
    assert "epoch   1/1" in said.err
    config = read_config(out)
    assert (config.training["epochs"], config.training["learning_rate"]) == (1, 0.05)  # a flag overrides the file
    assert config.data.labels == LABELS
    with h5py_of(out / MODEL) as weights_file:
        assert not any("optimizer" in name for name in weights_file)
    assert run(command(pictures, out, "--epochs", "1")) == 2
    assert "exists already" in capsys.readouterr().err


def h5py_of(path: Path) -> h5py.File:
    import io
    import zipfile

    with zipfile.ZipFile(path) as archive:
        return h5py.File(io.BytesIO(archive.read("model.weights.h5")), "r")


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--config", "typo.yaml"], 3, "typo.yaml: unknown key 'epoch'\n  fix: did you mean 'epochs'?"),
        (["--epochs", "x"], 2, "--epochs"),
        (["--seed", "5000000000"], 3, "seed"),
        (["--split-seed", "-1"], 2, "--split-seed"),
        (["--input-size", "9000"], 3, "9000x9000"),
        (["--preprocess", "toch"], 3, "did you mean 'torch'"),
        (["--join-timeout", "-1"], 2, "--join-timeout"),
    ],
)
def test_bad_input_ends_with_its_code_and_leaves_nothing(
    pictures: str,
    options: list[str],
    code: int,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("typo.yaml").write_text("epoch: 3\n")
    assert run(command(pictures, tmp_path / "run", *options)) == code
    said = capsys.readouterr()
    assert message in said.err
    assert not said.out
    assert not (tmp_path / "run").exists()


def start(pictures: str, out: Path, *options: str) -> subprocess.Popen[str]:
    arguments = command(pictures, out, *options)
    process = [sys.executable, str(CLI), *arguments]
    return subprocess.Popen(process, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for_epochs(process: subprocess.Popen[str], out: Path, count: int) -> None:
    deadline = time.monotonic() + 300
    while not (out / HISTORY).exists() or len(read_history(out).epochs) < count:
        assert process.poll() is None, process.stderr and process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def determinism() -> Iterator[None]:
    yield
    framework.disable_op_determinism()


@pytest.mark.slow
def test_ctrl_c_leaves_whole_epochs_and_nothing_half_written(pictures: str, tmp_path: Path) -> None:
    out = tmp_path / "run"
    with start(pictures, out, "--epochs", "5000", "--learning-rate", "0.01") as process:
        wait_for_epochs(process, out, 3)
        process.send_signal(signal.SIGINT)
        said, complaint = process.communicate(timeout=120)
    epochs = read_history(out).epochs
    assert [epoch.epoch for epoch in epochs] == list(range(1, len(epochs) + 1))
    assert (process.returncode, said) == (130, "")
    assert complaint.rstrip().endswith("interrupted")
    assert "Traceback" not in complaint
    assert sorted(path.name for path in out.iterdir()) == sorted((CONFIG, HISTORY, CHECKPOINT, LOGS))
    assert list(tmp_path.iterdir()) == [out]


MOMENTS = (HISTORY, f"{CHECKPOINT}/*.data*", f"{CHECKPOINT}/*.index")
"""The files of an epoch, in the order in which they are written."""


@pytest.mark.slow
def test_kills_while_epochs_are_written_change_nothing(pictures: str, tmp_path: Path, determinism: None) -> None:
    """Killed as soon as a file of an epoch appears, each kind in turn: the end is that of a run without a kill.

    At most one epoch is lost by a kill. The processes that end are this one: what others left behind, it takes up.
    """
    options = ("--epochs", "12", "--learning-rate", "0.01", "--deterministic")
    out, whole = tmp_path / "run", tmp_path / "whole"
    kept = History(())
    for kill, pattern in enumerate(MOMENTS):
        resume = ("--resume",) if kill else ()
        with start(pictures, out, *options, *resume) as process:
            _wait_for_a_file(process, out, pattern, {state(path) for path in out.glob(pattern)}, kill)
            process.kill()
            assert process.wait(60) == -signal.SIGKILL
        kept = _with_all_but_the_last(kept, read_history(out))
    assert run(command(pictures, out, *options, "--resume")) == 0
    assert run(command(pictures, whole, *options)) == 0
    _with_all_but_the_last(kept, read_history(out))
    for found, expected in zip(weights(out), weights(whole), strict=True):
        np.testing.assert_array_equal(found, expected)


def _with_all_but_the_last(before: History, now: History) -> History:
    assert [epoch.epoch for epoch in now.epochs] == list(range(1, len(now.epochs) + 1))
    assert now.epochs[: len(before.epochs[:-1])] == before.epochs[:-1]
    return now


def state(path: Path) -> tuple[str, int]:
    try:
        return path.name, path.stat().st_mtime_ns
    except FileNotFoundError:  # it went away between the two looks
        return path.name, 0


def _wait_for_a_file(process: subprocess.Popen[str], out: Path, pattern: str, known: set[Any], more: int) -> None:
    """Until a file was written anew, and `more` times again."""
    deadline = time.monotonic() + 300
    for _ in range(more + 1):
        while not (seen := {state(path) for path in out.glob(pattern)}) - known:
            assert process.poll() is None, process.stderr and process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.0005)  # a tenth of what a checkpoint takes; without it, this loop takes the training's core
        known = known | seen
