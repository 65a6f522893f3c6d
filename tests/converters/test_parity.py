from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from converters.keras_artifact import open_keras_artifact
from converters.parity import IMAGES, keras_parity
from edgeres.data import open_dataset
from targets.artifact import Artifact
from targets.evaluation import Evaluation, evaluate
from tests.targets.forge import constant, forge
from tests.trained import Trained

TEN = np.arange(10)


@pytest.fixture(scope="module")
def keras(trained: Trained) -> Artifact:
    return open_keras_artifact(trained.model, None)


def test_the_flatbuffer_of_a_keras_file_is_held_against_keras_on_real_images(keras: Artifact) -> None:
    split = open_dataset("digits").split("train")
    found = keras_parity(keras, split, TEN)
    assert found.passed
    assert 0 < found.largest <= found.accepted == 1e-4
    assert found.images == IMAGES == 256
    assert found.flips == ()
    assert keras_parity(keras, split, TEN) == found  # from the cache


def test_a_flatbuffer_of_another_network_is_found_and_every_image_that_changes_class_listed(keras: Artifact) -> None:
    split = open_dataset("digits").split("test").head(40)
    turned = replace(keras, model=_with_other_weights(keras.model))
    found = keras_parity(turned, split, TEN)
    assert not found.passed
    assert found.largest > 0.01
    assert found.images == 40
    assert found.flips
    first = found.flips[0]
    assert first.image == split.where(first.index)
    assert first.truth == split.classes[first.index]
    assert first.baseline != first.artifact
    assert 0 <= first.baseline_margin <= 1


def test_evaluate_holds_keras_files_and_nothing_else_against_keras(keras: Artifact) -> None:
    data = open_dataset("digits")
    plain = Artifact("flat", "flat.tflite", "tflite", keras.model, preprocess=keras.preprocess)
    rows = evaluate([keras, plain], data, plan=Evaluation(images=20)).artifacts
    assert rows[0].parity is not None
    assert rows[0].parity.images == 20
    assert rows[1].parity is None
    assert evaluate([keras], data, plan=Evaluation(images=20, parity=False)).artifacts[0].parity is None


def _with_other_weights(content: bytes) -> bytes:
    """The same graph; its first kernel has its values in reverse order."""

    def reverse(model: Any) -> None:
        buffer = model.buffers[constant(model).buffer]
        buffer.data = np.frombuffer(bytes(bytearray(buffer.data)), np.float32)[::-1].copy().view(np.uint8)

    return forge(content, reverse)
