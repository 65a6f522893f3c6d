"""A student follows its teacher, who sees each image as it was taught to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from edgeres.data import Dataset, open_dataset
from edgeres.errors import ConfigError, DataError, ModelError
from edgeres.models import find_network
from edgeres.preprocess import PRESETS, Preprocess, named
from edgeres.storage import sha256_file
from edgeres.training.distillation import Distilled, as_seen_by, open_teacher
from edgeres.training.loss import Objective
from edgeres.training.run import read_config
from edgeres.training.settings import DistillSettings, typed_settings
from edgeres.training.subject import ZooNetwork
from edgeres.training.train import Plan, train
from tests.trained import Trained

PLAIN = Objective(0.0, None)


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return open_dataset("digits")


@pytest.fixture(scope="module")
def few(digits: Dataset) -> Dataset:
    return replace(digits, splits={name: digits.split(name).head(96) for name in digits.splits})


def saved(path: Path, *, classes: int = 10, softmax: bool = False, size: int = 32) -> Path:
    inputs = keras.Input((size, size, 3))
    x = keras.layers.GlobalAveragePooling2D()(inputs)
    outputs = keras.layers.Dense(classes, activation="softmax" if softmax else None)(x)
    keras.Model(inputs, outputs).save(path)
    return path


def test_the_loss_is_hinton_s() -> None:
    random = np.random.default_rng(0)
    targets, logits, wanted = (random.normal(size=(5, 4)).astype(np.float32) for _ in range(3))
    targets = np.eye(4, dtype=np.float32)[np.argmax(targets, axis=1)]
    found = Distilled(PLAIN, lambda _: wanted, DistillSettings(temperature=3, alpha=0.7))(None, targets, logits)
    p, q = (np.asarray(tf.nn.softmax(scores / 3)) for scores in (wanted, logits))
    expected = 0.3 * PLAIN(None, targets, logits).numpy() + 0.7 * 9 * (p * np.log(p / q)).sum(axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    same = Distilled(PLAIN, lambda _: logits, DistillSettings(alpha=1))(None, targets, logits)
    np.testing.assert_allclose(same, 0, atol=1e-5)


@pytest.mark.parametrize("student", sorted(PRESETS))
@pytest.mark.parametrize("teacher", sorted(PRESETS))
def test_a_teacher_sees_images_through_its_own_contract(student: str, teacher: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 4, 4, 3), np.uint8)
    own, other = (named(preset, height=4, width=4) for preset in (student, teacher))
    inputs, expected = (np.stack([contract(image) for image in pixels]) for contract in (own, other))
    np.testing.assert_allclose(as_seen_by(other, inputs, own), expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("softmax", [False, True])
def test_scores_become_logits(softmax: bool, few: Dataset, tmp_path: Path) -> None:
    path = saved(tmp_path / "t.keras", softmax=softmax)
    contract = Preprocess(32, 32, scale=1 / 255)
    logits = open_teacher(path, few, contract, "unit").build(10)
    inputs = np.random.default_rng(0).uniform(0, 1, (3, 32, 32, 3)).astype(np.float32)
    scores = keras.models.load_model(path)(inputs)
    expected = scores if softmax else tf.nn.softmax(scores)
    np.testing.assert_allclose(tf.nn.softmax(logits(inputs)), expected, rtol=1e-4)


def test_a_student_learns_from_a_run_and_says_so(trained: Trained, few: Dataset, tmp_path: Path) -> None:
    values = {"epochs": 2, "batch": 32, "learning_rate": 0.02, "distill": {"alpha": 1.0, "temperature": 2}}
    contract = Preprocess(32, 32, scale=1 / 255)  # not the teacher's
    teacher = open_teacher(trained.folder, few, contract, None)
    student = ZooNetwork(find_network("resnet8"), 0.125)
    plan = Plan(student, few, contract, typed_settings(values, where="test"), teacher)
    history = train(plan, tmp_path / "run")
    assert history.epochs[1].loss < history.epochs[0].loss
    assert read_config(tmp_path / "run").teacher == f"{trained.model} ({sha256_file(trained.model)})"


def test_what_cannot_teach_is_refused(trained: Trained, few: Dataset, pictures: str, tmp_path: Path) -> None:
    contract = Preprocess(32, 32)
    with pytest.raises(DataError, match="was trained on other classes"):
        open_teacher(trained.folder, open_dataset(pictures), contract, None)
    with pytest.raises(ConfigError, match="takes height 32, the student 16"):
        open_teacher(trained.folder, few, Preprocess(16, 16), None)
    with pytest.raises(ConfigError, match="takes resize 'stretch', the student 'crop'"):
        open_teacher(trained.folder, few, replace(contract, resize="crop"), None)
    with pytest.raises(ModelError, match="does not exist"):
        open_teacher(tmp_path / "absent.keras", few, contract, None)
    bare = saved(tmp_path / "bare.keras", classes=7)
    with pytest.raises(ConfigError, match="does not say how pixels become its input") as caught:
        open_teacher(bare, few, contract, None)
    assert "distill.preprocess" in str(caught.value.fix)
    with pytest.raises(ModelError, match="has 7 outputs, the data have 10 classes"):
        open_teacher(bare, few, contract, "raw").build(10)
    code = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Lambda(lambda x: x / 255), keras.layers.Flatten()])
    code.add(keras.layers.Dense(10))
    code.save(tmp_path / "code.keras")
    with pytest.raises(ModelError, match="refused before loading"):
        open_teacher(tmp_path / "code.keras", few, contract, "raw")
    assert open_teacher(tmp_path / "code.keras", few, contract, "raw", trust=True).build(10)
