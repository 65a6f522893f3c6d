"""A model of one's own is trained like a network of the zoo, and stays what it was."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tf_keras as keras
from tf_keras import layers

from edgeres.data import Dataset, open_dataset
from edgeres.errors import ConfigError, ModelError
from edgeres.keras_file import read_keras_file
from edgeres.keras_io import load
from edgeres.preprocess import Preprocess
from edgeres.training.distillation import Teacher
from edgeres.training.run import MODEL, Epoch, read_config, read_history
from edgeres.training.settings import typed_settings
from edgeres.training.subject import OwnModel
from edgeres.training.train import Plan, train

CONTRACT = Preprocess(16, 16, scale=1 / 255)
BASE = {"epochs": 2, "batch": 16, "learning_rate": 0.05, "warmup": 0}
KINDS = 3


def mine(*, classes: int = KINDS, name: str = "mine", seed: int = 0) -> Any:
    """With all that must stay: a batch norm, a dropout, a penalty, a softmax."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((16, 16, 3), name="image")
    x = layers.Conv2D(4, 3, strides=2, kernel_regularizer=keras.regularizers.L2(1e-3), name="conv")(inputs)
    x = layers.ReLU(name="relu")(layers.BatchNormalization(name="bn")(x))
    x = layers.Dropout(0.3, name="drop")(layers.GlobalAveragePooling2D(name="pool")(x))
    return keras.Model(inputs, layers.Dense(classes, activation="softmax", name="scores")(x), name=name)


@pytest.fixture(scope="module")
def dataset(pictures: str) -> Dataset:
    return open_dataset(pictures)


def plan_of(model: Any, dataset: Dataset, *, teacher: Any = None, **settings: Any) -> Plan:
    guide = None if teacher is None else Teacher.of(teacher, CONTRACT)
    return Plan(OwnModel.of(model), dataset, CONTRACT, typed_settings({**BASE, **settings}, where="test"), guide)


def weights(folder: Path) -> dict[str, list[np.ndarray]]:
    return {layer.name: layer.get_weights() for layer in load(read_keras_file(folder / MODEL)).layers}


def stop_after_one(epoch: Epoch, _: int, __: float) -> None:
    if epoch.epoch == 1:
        raise KeyboardInterrupt


def test_a_model_in_memory_learns_from_another_and_goes_on_exactly(dataset: Dataset, tmp_path: Path) -> None:
    """With a dropout, whose masks are those of an uninterrupted training."""
    model, teacher = mine(), mine(seed=1, name="teacher")
    before = [weight.copy() for weight in model.get_weights()]
    plan = plan_of(model, dataset, teacher=teacher, ema=0.5)
    whole, out = train(plan, tmp_path / "whole"), tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train(plan, out, progress=stop_after_one)
    # What goes on is made anew, as another process would.
    again = plan_of(mine(), dataset, teacher=mine(seed=1, name="teacher"), ema=0.5)
    assert again.subject.source == plan.subject.source
    resumed = train(again, out, resume=True)
    for one, other in zip(whole.epochs, resumed.epochs, strict=True):
        assert other.loss == pytest.approx(one.loss, rel=1e-5)
    for name, expected in weights(tmp_path / "whole").items():
        for one, other in zip(expected, weights(out)[name], strict=True):
            np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-6)
    for now, was in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, was)
    config = read_config(out)
    assert config.model == plan.subject.source
    assert config.model.startswith("mine in memory (")
    assert config.teacher is not None
    assert config.teacher.startswith("teacher in memory (")
    assert config.given is None


def test_what_is_written_keeps_what_the_model_had(dataset: Dataset, tmp_path: Path) -> None:
    train(plan_of(mine(), dataset, epochs=1), tmp_path / "run")
    file = read_keras_file(tmp_path / "run" / MODEL)
    assert file.card is not None
    assert (file.card.network, file.card.preprocess) == (None, CONTRACT)
    found, expected = load(file), mine()
    assert [layer.get_config() for layer in found.layers] == [layer.get_config() for layer in expected.layers]
    scores = found(np.zeros((2, 16, 16, 3), np.float32)).numpy()
    np.testing.assert_allclose(scores.sum(axis=1), 1, rtol=1e-5)
    assert not np.array_equal(found.get_layer("conv").get_weights()[0], expected.get_layer("conv").get_weights()[0])


def test_the_penalties_of_a_model_count(dataset: Dataset, tmp_path: Path) -> None:
    """A large one shrinks the kernel that it is on."""
    heavy = mine()
    heavy.get_layer("conv").kernel_regularizer = keras.regularizers.L2(3.0)
    train(plan_of(mine(), dataset), tmp_path / "light")
    train(plan_of(heavy, dataset), tmp_path / "heavy")
    light, shrunk = (np.linalg.norm(weights(tmp_path / name)["conv"][0]) for name in ("light", "heavy"))
    assert shrunk < 0.9 * light


def test_other_classes_are_given_a_new_head_which_trains_first(dataset: Dataset, tmp_path: Path) -> None:
    model, out = mine(classes=7), tmp_path / "run"
    plan = plan_of(model, dataset, epochs=2, transfer={"freeze_epochs": 1, "finetune_rate": 0.01})
    with pytest.raises(KeyboardInterrupt):
        train(plan, out, progress=stop_after_one)
    with pytest.MonkeyPatch.context() as patch:
        from edgeres.training import train as module

        patch.setattr(module._Trainer, "run", lambda *_: None)  # what an interruption left behind, as a model
        train(plan, out, resume=True)
    frozen = weights(out)
    for name in ("conv", "bn"):
        for now, was in zip(frozen[name], model.get_layer(name).get_weights(), strict=True):
            np.testing.assert_array_equal(now, was)
    assert frozen["scores"][0].shape == (4, 3)
    train(plan, out, resume=True)
    assert not np.array_equal(weights(out)["conv"][0], frozen["conv"][0])
    assert len(read_history(out).epochs) == 2


def test_a_run_goes_on_with_the_same_model_only(dataset: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "run"
    mine().save(tmp_path / "a.keras")
    mine(seed=1).save(tmp_path / "b.keras")
    a, b = (OwnModel.opened(read_keras_file(tmp_path / name)) for name in ("a.keras", "b.keras"))
    plan = replace(plan_of(mine(), dataset), subject=a)
    with pytest.raises(KeyboardInterrupt):
        train(plan, out, progress=stop_after_one)
    with pytest.raises(ConfigError, match=r"was started with model = '.*a\.keras \(.*not '.*b\.keras"):
        train(replace(plan, subject=b), out, resume=True)
    (tmp_path / "a.keras").rename(tmp_path / "moved.keras")
    moved = OwnModel.opened(read_keras_file(tmp_path / "moved.keras"))
    assert len(train(replace(plan, subject=moved), out, resume=True).epochs) == 2


def test_a_model_in_memory_is_known_by_its_configuration_and_weights() -> None:
    sources = {OwnModel.of(mine()).source, OwnModel.of(mine()).source}
    assert len(sources) == 1
    other = mine()
    other.get_layer("drop").rate = 0.4
    sources |= {OwnModel.of(mine(seed=1)).source, OwnModel.of(other).source, OwnModel.of(mine(name="m")).source}
    assert len(sources) == 4


def test_mixed_precision_and_a_contract_that_does_not_fit(dataset: Dataset, tmp_path: Path) -> None:
    plan = plan_of(mine(), dataset, epochs=1, precision="mixed_bfloat16")
    train(plan, tmp_path / "run")
    assert {layer.compute_dtype for layer in load(read_keras_file(tmp_path / "run" / MODEL)).layers} == {"float32"}
    with pytest.raises(ConfigError, match=r"makes inputs of \(32, 32, 3\), mine takes \(16, 16, 3\)"):
        train(replace(plan, contract=Preprocess(32, 32)), tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_a_frozen_model_trains_a_new_head_or_is_refused(dataset: Dataset, tmp_path: Path) -> None:
    model = mine()
    model.trainable = False
    with pytest.raises(ModelError, match="mine cannot be trained: all its layers are frozen"):
        train(plan_of(model, dataset), tmp_path / "run")
    assert not (tmp_path / "run").exists()
    model = mine(classes=7)
    model.trainable = False
    built = OwnModel.of(model).build(dataset, CONTRACT)
    assert [variable.name for variable in built.model.trainable_variables] == ["scores/kernel:0", "scores/bias:0"]


def test_what_is_left_out_of_a_file_of_keras_3_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    import keras as keras3

    steps = [keras3.layers.RandomFlip(name="flip"), keras3.layers.Conv2D(4, 3), keras3.layers.Flatten()]
    model = keras3.Sequential([keras3.Input((16, 16, 3)), *steps, keras3.layers.Dense(KINDS)])
    model.save(tmp_path / "a.keras")
    OwnModel.opened(read_keras_file(tmp_path / "a.keras"))
    assert "a.keras is trained without 'flip' (RandomFlip)" in caplog.text


class Stubborn(layers.Layer):  # type: ignore[misc]  # tf_keras has no types
    """Adds float32 numbers to whatever comes."""

    def call(self, inputs: Any) -> Any:
        import tensorflow as tf

        return inputs + tf.ones((1, 1), tf.float32)


def test_what_cannot_be_trained_is_refused(dataset: Dataset, tmp_path: Path) -> None:
    inputs = keras.Input((16, 16, 3))
    flat = layers.Flatten()(inputs)
    stubborn = keras.Model(inputs, layers.Dense(KINDS)(Stubborn()(flat)), name="stubborn")
    with pytest.raises(ConfigError, match="precision is mixed_float16, in which stubborn cannot compute"):
        train(plan_of(stubborn, dataset, precision="mixed_float16"), tmp_path / "run")
    assert not (tmp_path / "run").exists()
    with pytest.raises(ModelError, match="cannot be trained: expected one output"):
        OwnModel.of(keras.Model(inputs, layers.Conv2D(3, 3)(inputs)))

    class Bare(keras.Model):  # type: ignore[misc]  # tf_keras has no types
        def call(self, inputs: Any) -> Any:
            return inputs

    with pytest.raises(ModelError, match="cannot be trained: it is not a graph of layers"):
        OwnModel.of(Bare())
