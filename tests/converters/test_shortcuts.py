from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tf_keras
from tf_keras import layers

from converters.export import to_flatbuffer
from converters.quantization.post_training import quantize
from converters.shortcuts import around, padding_before, widened
from edgeres.bundle import open_bundle
from edgeres.console import run
from edgeres.errors import ModelError
from targets.flatbuffer import walk
from targets.pointwise import strided_1x1
from targets.runtimes.cpu import CPU, REFERENCE, CpuTarget
from tests.trained import Bundles, Trained

SHAPE = (17, 16, 3)
IMAGES = np.random.default_rng(2).uniform(0, 255, (6, *SHAPE)).astype(np.float32)


@pytest.fixture(scope="module")
def strided() -> bytes:
    """Strided 1x1 convolutions of odd and even, equal and unequal sides and strides, with and without padding."""
    tf_keras.utils.set_random_seed(3)
    image = tf_keras.Input(SHAPE)
    x = layers.Conv2D(8, 3, padding="same", activation="relu", name="stem")(layers.Rescaling(1 / 255)(image))
    for number, (stride, padding) in enumerate([((2, 2), "same"), ((2, 1), "valid"), ((1, 3), "same")]):
        x = layers.Conv2D(8, 1, stride, padding, activation="relu", name=f"skip{number}")(x)
    x = layers.Conv2D(12, 1, name="dense1x1")(x)
    scores = layers.Dense(5, name="scores")(layers.GlobalAveragePooling2D()(x))
    return to_flatbuffer(tf_keras.Model(image, scores))


def outputs(model: bytes, target: CpuTarget) -> np.ndarray:
    with target.open(model) as session:
        return session.infer(IMAGES)


def kernels(model: bytes) -> list[tuple[int, ...]]:
    graph = walk(model).main
    return [graph.tensors[each.inputs[1]].shape[1:3] for each in graph.operators if each.kind == "CONV_2D"]


def test_only_strided_kernels_of_1x1_become_3x3(strided: bytes) -> None:
    assert kernels(strided) == [(3, 3), (1, 1), (1, 1), (1, 1), (1, 1)]
    found = widened(strided)
    assert kernels(found) == [(3, 3), (3, 3), (3, 3), (3, 3), (1, 1)]
    assert strided_1x1(walk(found).main) == []
    assert widened(found) == found


def test_float_outputs_are_the_same(strided: bytes) -> None:
    found = widened(strided)
    np.testing.assert_array_equal(outputs(found, REFERENCE), outputs(strided, REFERENCE))
    fast, expected = outputs(found, CPU), outputs(strided, CPU)
    assert np.abs(fast - expected).max() <= 1e-6 * np.abs(expected).max()


def test_int8_outputs_are_the_same_bit_for_bit_before_and_after_quantization(strided: bytes) -> None:
    images = [image[None] for image in IMAGES]
    whole = quantize(strided, "int8", images=images)
    for found in (widened(whole), quantize(widened(strided), "int8", images=images)):
        assert strided_1x1(walk(found).main) == []
        for target in (REFERENCE, CPU):
            np.testing.assert_array_equal(outputs(found, target), outputs(whole, target))


@pytest.mark.parametrize(("size", "stride", "expected"), [(8, 2, 0), (9, 2, 1), (1, 2, 1), (7, 3, 1), (8, 4, 0)])
def test_the_kernel_lies_where_the_stride_looks(size: int, stride: int, expected: int) -> None:
    assert padding_before(size, stride, -(-size // stride)) == expected


def test_weights_lie_at_one_place_of_zeros() -> None:
    found = around(np.array([[1, 2], [3, 4]], np.uint8), (0, 1))
    assert found.shape == (2, 3, 3, 2)
    assert found[:, 0, 1].tolist() == [[1, 2], [3, 4]]
    assert found.sum() == 10


def test_a_model_that_computes_otherwise_is_refused(strided: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("converters.shortcuts.padding_before", lambda *_: 2)  # a place where the stride does not look
    with pytest.raises(ModelError, match="with 3x3 shortcuts"):
        widened(strided)


def test_the_command_embeds_shortcuts_and_the_bundle_says_so(
    trained: Trained, bundles: Bundles, tmp_path: Path
) -> None:
    arguments = ["convert", str(trained.model), "--recipe", "int8", "--data", "digits", "--out", str(tmp_path / "b")]
    assert run([*arguments, "--set", "export.shortcuts=3x3"]) == 0
    found, plain = open_bundle(tmp_path / "b"), bundles("int8")
    assert found.manifest.recipe["steps"][0] == {"step": "export", "shortcuts": "3x3"}
    assert plain.manifest.recipe["steps"][0] == {"step": "export", "shortcuts": "1x1"}
    assert len(strided_1x1(walk(plain.read("model.tflite")).main)) == 2
    assert strided_1x1(walk(found.read("model.tflite")).main) == []
    with REFERENCE.open(found.read("model.tflite")) as one, REFERENCE.open(plain.read("model.tflite")) as other:
        inputs = np.random.default_rng(0).uniform(-1, 3, (8, *one.signature.input_shape[1:])).astype(np.float32)
        np.testing.assert_array_equal(one.infer(inputs), other.infer(inputs))
