"""New layers first, then all of them; across an interruption too."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgeres.console import run
from edgeres.data import open_dataset
from edgeres.errors import ConfigError
from edgeres.keras_file import read_keras_file
from edgeres.keras_io import load
from edgeres.models import find_network
from edgeres.models.pretrained import read_weights
from edgeres.preprocess import Preprocess
from edgeres.training.run import MODEL, Epoch, read_config, read_history
from edgeres.training.settings import typed_settings
from edgeres.training.subject import ZooNetwork
from edgeres.training.train import Plan, train
from tests.edgeres.training.conftest import NETWORK
from tests.trained import Trained


@pytest.fixture(scope="module")
def plan(trained: Trained, pictures: str) -> Plan:
    """From ten digits to three kinds of pictures."""
    values = {"epochs": 4, "batch": 16, "learning_rate": 0.05, "warmup": 0}
    values |= {"transfer": {"freeze_epochs": 2, "finetune_rate": 0.005}}
    settings, network = typed_settings(values, where="test"), find_network("resnet8")
    weights = read_weights(network, str(trained.folder))
    return Plan(ZooNetwork(network, 0.5, weights), open_dataset(pictures), Preprocess(32, 32), settings)


def untrained(plan: Plan) -> ZooNetwork:
    assert isinstance(plan.subject, ZooNetwork)
    return replace(plan.subject, start=None)


def weights_of(path: Path) -> dict[str, list[np.ndarray]]:
    model = load(read_keras_file(path))
    return {layer.name: layer.get_weights() for layer in model.layers if layer.weights}


@pytest.fixture(scope="module")
def frozen_only(plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first phase alone, interrupted at its end."""
    out = tmp_path_factory.mktemp("frozen") / "run"

    def stop(epoch: Epoch, _: int, __: float) -> None:
        if epoch.epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(plan, out, progress=stop)
    return out


def test_the_backbone_stays_as_it_was_and_then_trains(plan: Plan, trained: Trained, frozen_only: Path) -> None:
    before = weights_of(trained.model)
    with pytest.MonkeyPatch.context() as patch:
        # What an interruption left behind is written as a model, without the epochs that are missing.
        from edgeres.training import train as module

        patch.setattr(module._Trainer, "run", lambda *_: None)
        train(plan, frozen_only, resume=True)
    middle = weights_of(frozen_only / MODEL)
    for name, expected in before.items():
        for was, now in zip(expected, middle[name], strict=True):
            if name == "logits":
                assert was.shape[-1] == 10
                assert now.shape[-1] == 3
            else:
                np.testing.assert_array_equal(now, was)  # batch norms' statistics too
    history = train(plan, frozen_only, resume=True)
    after = weights_of(frozen_only / MODEL)
    assert all(not np.array_equal(after[name][0], middle[name][0]) for name in before)
    assert [epoch.epoch for epoch in history.epochs] == [1, 2, 3, 4]
    rates = [epoch.learning_rate for epoch in history.epochs]
    assert 0 < rates[0] < 0.05  # a cosine of its own for each phase
    assert 0 < rates[2] < 0.005
    config = read_config(frozen_only)
    assert config.weights is not None
    assert str(trained.folder) in config.weights
    assert config.training["transfer"] == {"freeze_epochs": 2, "finetune_rate": 0.005}
    assert all(layer.trainable for layer in load(read_keras_file(frozen_only / MODEL)).layers)


def test_a_resumed_transfer_is_an_uninterrupted_one(plan: Plan, frozen_only: Path, tmp_path: Path) -> None:
    whole = train(plan, tmp_path / "run")
    for one, other in zip(whole.epochs, read_history(frozen_only).epochs, strict=False):
        assert one.loss == pytest.approx(other.loss, rel=1e-3)


def test_it_is_not_resumed_from_other_weights(plan: Plan, frozen_only: Path) -> None:
    settings = plan.settings.model_copy(update={"transfer": type(plan.settings.transfer)()})
    with pytest.raises(ConfigError, match=r"weights = .* not None|transfer"):
        train(replace(plan, subject=untrained(plan), settings=settings), frozen_only, resume=True)


def test_nothing_is_frozen_without_weights(plan: Plan, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"transfer\.freeze_epochs is 2, but no weights are given"):
        train(replace(plan, subject=untrained(plan)), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_command_takes_the_weights_contract(
    trained: Trained, pictures: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    options = [*NETWORK, "--data", pictures, "--epochs", "1"]
    assert run(["train", *options, "--out", str(first), "--preprocess", "torch"]) == 0
    assert run(["train", *options, "--out", str(second), "--weights", str(first)]) == 0
    assert read_config(second).preprocess == read_config(first).preprocess
    assert read_config(second).preprocess.mean == (0.485, 0.456, 0.406)
    assert run(["train", *options, "--out", str(tmp_path / "third"), "--weights", str(trained.folder)]) == 5
    assert "weights for another network" in capsys.readouterr().err
