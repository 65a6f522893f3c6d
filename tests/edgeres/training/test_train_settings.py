"""What each setting does to a whole training."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework import config as framework  # what enables determinism cannot be undone publicly

from edgeres.data import open_dataset
from edgeres.errors import ConfigError, ModelError
from edgeres.keras_file import read_keras_file
from edgeres.keras_io import load
from edgeres.preprocess import Preprocess
from edgeres.training.run import CHECKPOINT, CONFIG, HISTORY, LOGS, MODEL, REPORT, Epoch, read_config, read_history
from edgeres.training.settings import typed_settings
from edgeres.training.subject import ZooNetwork
from edgeres.training.train import Plan, train
from tests.edgeres.training.conftest import TINY

BASE = {"epochs": 2, "batch": 16, "learning_rate": 0.05}


@pytest.fixture(scope="module")
def plan(pictures: str) -> Plan:
    settings = typed_settings(BASE, where="test")
    return Plan(ZooNetwork(TINY, 0.125), open_dataset(pictures), Preprocess(16, 16), settings)


@dataclass(frozen=True)
class Run:
    """A training of `plan`: its folder, that of a copy as it was after the first epoch, and what was told meanwhile."""

    folder: Path
    begun: Path
    told: list[tuple[int, int, int, float]] = field(default_factory=list)


@pytest.fixture(scope="module")
def plain(plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> Run:
    place = tmp_path_factory.mktemp("plain")
    run = Run(place / "run", place / "begun")
    train(plan, run.folder, progress=copy_after(1, run.folder, run.begun), live=lambda *told: run.told.append(told))
    return run


def copy_after(number: int, folder: Path, copy: Path) -> Any:
    """A progress that copies the run folder after an epoch: what a kill would leave."""

    def progress(epoch: Epoch, _: int, __: float) -> None:
        if epoch.epoch == number:
            shutil.copytree(folder, copy)

    return progress


def having(plan: Plan, **settings: Any) -> Plan:
    return replace(plan, settings=typed_settings({**BASE, **settings}, where="test"))


def weights(folder: Path) -> list[np.ndarray]:
    return [np.asarray(weight) for weight in load(read_keras_file(folder / MODEL)).get_weights()]


def stop_after(number: int) -> Any:
    def progress(epoch: Epoch, _: int, __: float) -> None:
        if epoch.epoch == number:
            raise KeyboardInterrupt

    return progress


def require_equal(a: Path, b: Path) -> None:
    for one, other in zip(weights(a), weights(b), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.fixture
def determinism() -> Iterator[None]:
    yield
    framework.disable_op_determinism()


@pytest.mark.slow
def test_everything_at_once_trains_and_goes_on_bit_for_bit(plan: Plan, tmp_path: Path, determinism: None) -> None:
    """All that changes a step combined; deterministic, and taken up again after an epoch, to the same bits."""
    everything = having(
        plan,
        epochs=3,
        deterministic=True,
        accumulate=2,
        ema=0.9,
        mixup=0.2,
        cutmix=1.0,
        label_smoothing=0.1,
        class_weights="balanced",
        augment="crop-flip",
        randaugment={"layers": 1},
        patience=5,
        schedule="step",
        milestones=[2],
    )
    a, b = tmp_path / "a", tmp_path / "b"
    history = train(everything, a, progress=copy_after(1, a, b))
    again = train(everything, b, resume=True)
    require_equal(a, b)
    assert [replace(epoch, seconds=0, images_per_second=0) for epoch in history.epochs] == [
        replace(epoch, seconds=0, images_per_second=0) for epoch in again.epochs
    ]
    rates = [epoch.learning_rate for epoch in history.epochs]
    assert rates[2] == pytest.approx(0.005)
    assert read_config(a).training["randaugment"] == {"layers": 1, "magnitude": 9.0}


def test_the_exported_weights_are_the_averaged_ones(plan: Plan, plain: Run, tmp_path: Path) -> None:
    """With hardly any decay, they are those of the last step; with much, they are not."""
    train(having(plan, ema=1e-9), tmp_path / "little")
    train(having(plan, ema=0.999), tmp_path / "much")
    last, little, much = (weights(folder) for folder in (plain.folder, tmp_path / "little", tmp_path / "much"))
    for a, b in zip(last, little, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-2, atol=1e-3)
    assert not np.allclose(last[0], much[0], rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("options", [{"precision": "mixed_bfloat16", "ema": 0.9}, {"precision": "mixed_float16"}])
def test_mixed_precision_exports_float32(plan: Plan, tmp_path: Path, options: dict[str, Any]) -> None:
    history = train(having(plan, epochs=1, **options), tmp_path / "run")
    file = read_keras_file(tmp_path / "run" / MODEL)
    assert "mixed" not in json.dumps(file.config)
    model = load(file)
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}
    assert history.test_accuracy is not None


@pytest.mark.slow
def test_xla_trains_the_same(plan: Plan, plain: Run, tmp_path: Path) -> None:
    compiled = train(having(plan, jit_compile=True), tmp_path / "compiled")
    for found, expected in zip(compiled.epochs, read_history(plain.folder).epochs, strict=True):
        assert found.loss == pytest.approx(expected.loss, rel=1e-3)


def test_early_stopping_ends_and_takes_the_best(plan: Plan, tmp_path: Path) -> None:
    """A rate that rises by its warm-up for ever, until the loss does."""
    out = tmp_path / "run"
    stopping = having(plan, epochs=40, patience=1, learning_rate=2.0, warmup=40, augment="none")
    history = train(stopping, out)
    losses = [epoch.val_loss for epoch in history.epochs]
    assert len(losses) < 40
    assert losses[-1] > min(losses) == losses[-2]
    model, split = load(read_keras_file(out / MODEL)), stopping.dataset.split("validation")
    inputs = np.stack([stopping.contract(split.read(position)) for position in range(len(split))])
    scores = model(inputs, training=False)
    found = tf.nn.sparse_softmax_cross_entropy_with_logits(split.classes, scores)
    assert float(tf.reduce_mean(found)) == pytest.approx(min(losses), rel=1e-3)
    assert train(stopping, out, resume=True) == history  # which has stopped, and stays so


def test_a_loss_that_is_not_finite_stops_within_the_epoch(plan: Plan, tmp_path: Path) -> None:
    """The first epoch is a good one; the second would have many steps after the one that fails."""
    out, seen = tmp_path / "run", []
    steps = {"epochs": 2, "batch": 1, "warmup": 0, "schedule": "step", "milestones": [5]}
    long = having(plan, **steps, learning_rate=1e-5)
    with pytest.raises(KeyboardInterrupt):
        train(long, out, progress=stop_after(1))
    absurd = having(plan, **steps, learning_rate=100.0, momentum=0.99, weight_decay=1.0)
    config = json.loads((out / CONFIG).read_text())
    config["training"] = absurd.settings.record()
    (out / CONFIG).write_text(json.dumps(config))
    kept = sorted(path.name for path in (out / CHECKPOINT).iterdir())
    with pytest.raises(ModelError, match=r"the loss became (nan|inf) in epoch 2"):
        train(absurd, out, resume=True, live=lambda _, done, *__: seen.append(done))
    assert not seen or seen[-1] < 35  # of 39 steps
    assert sorted(path.name for path in (out / CHECKPOINT).iterdir()) == kept
    assert not (out / MODEL).exists()
    assert len(read_history(out).epochs) == 1


def test_class_weights_are_by_label(plan: Plan, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has no class 'bea'") as caught:
        train(having(plan, class_weights={"bea": 2.0}), tmp_path / "run")
    assert caught.value.fix == "did you mean 'bee'?"
    assert not (tmp_path / "run").exists()
    history = train(having(plan, epochs=1, class_weights={"ant": 0, "bee": 0, "cat": 0}), tmp_path / "run")
    assert history.epochs[0].loss == 0
    assert history.epochs[0].val_loss > 0  # which is not weighted


def test_a_run_of_an_earlier_version_goes_on(plan: Plan, plain: Run, tmp_path: Path) -> None:
    """Its configuration has the ten settings that there were, which mean what they meant."""
    out = shutil.copytree(plain.begun, tmp_path / "run")
    early = (
        "epochs",
        "batch",
        "learning_rate",
        "momentum",
        "weight_decay",
        "warmup",
        "label_smoothing",
        "augment",
        "seed",
    )
    config, history = (json.loads((out / name).read_text()) for name in (CONFIG, HISTORY))
    config["training"] = {key: value for key, value in config["training"].items() if key in early}
    del history["epochs"][0]["images_per_second"]
    (out / CONFIG).write_text(json.dumps(config))
    (out / HISTORY).write_text(json.dumps(history))
    assert len(train(plan, out, resume=True).epochs) == 2
    with pytest.raises(ConfigError, match=r"training\.ema = 0\.0, not 0\.9"):
        train(having(plan, ema=0.9), out, resume=True)


def test_logs_report_and_live_progress(plain: Run) -> None:
    out, seen = plain.folder, plain.told
    assert [told[1] for told in seen if told[0] == 2][-1] == 3  # steps of the last epoch
    assert {told[2] for told in seen} == {3}
    assert all(told[3] > 0 for told in seen)
    events = [
        (value.tag, event.step, float(tf.make_ndarray(value.tensor)))
        for path in (out / LOGS).iterdir()
        for event in tf.compat.v1.train.summary_iterator(str(path))
        for value in event.summary.value
    ]
    for epoch in read_history(out).epochs:
        assert ("loss/train", epoch.epoch, pytest.approx(epoch.loss)) in events
        assert ("accuracy/validation", epoch.epoch, pytest.approx(epoch.val_accuracy)) in events
        assert ("images_per_second", epoch.epoch, pytest.approx(epoch.images_per_second)) in events
    page = (out / REPORT).read_text()
    assert "Accuracy" in page
    assert "Learning rate" in page
