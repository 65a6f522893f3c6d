from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tf_keras

from converters.export import export_float, float_outputs, to_flatbuffer
from edgeres.console import run
from edgeres.errors import ModelError
from edgeres.keras_file import read_keras_file
from targets.flatbuffer import describe, walk
from targets.runtimes.cpu import CPU
from tests.edgeres.keras_models import SHAPE, classifier, saved
from tests.trained import Bundles, Trained


def pixels(count: int, shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(1).uniform(0, 255, (count, *shape)).astype(np.float32)


def test_a_flatbuffer_has_one_image_in_one_row_of_scores_out_and_a_batch_of_one(bundles: Bundles) -> None:
    found = describe(bundles("float32").read("model.tflite"))
    (image,), (scores,) = found.inputs, found.outputs
    assert (image.shape, image.dtype, scores.shape, scores.dtype) == ((1, 32, 32, 3), "float32", (1, 10), "float32")
    assert "image" in image.name
    assert set(found.constants) <= {"float32", "int32"}
    assert "BATCH" not in " ".join(found.kinds)  # batch norms are folded
    assert found.kinds["CONV_2D"] == 9


def test_it_computes_what_keras_computes(bundles: Bundles, trained: Trained) -> None:
    inputs = pixels(5, (32, 32, 3))
    expected = float_outputs(read_keras_file(trained.model), inputs)
    with CPU.open(bundles("float32").read("model.tflite")) as session:
        found = session.infer(inputs)
    assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("generation", [2, 3])
def test_files_of_both_generations_are_exported(generation: int, suffix: str, tmp_path: Path) -> None:
    import keras

    model = classifier(tf_keras if generation == 2 else keras)
    content = export_float(read_keras_file(saved(model, tmp_path / f"m{suffix}")))
    assert walk(content).inputs[0].shape == (1, *SHAPE)
    inputs = pixels(3, SHAPE)
    with CPU.open(content) as session:
        np.testing.assert_allclose(session.infer(inputs), np.asarray(model(inputs)), atol=1e-5)


@pytest.mark.slow
def test_a_network_of_keras_applications_opens_and_converts(
    tmp_path: Path, trained: Trained, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tf_keras.applications.MobileNetV2(weights=None, input_shape=(32, 32, 3), classes=10, alpha=0.35)
    path = saved(model, tmp_path / "mobile.h5")
    arguments = ["convert", str(path), "--recipe", "dynamic-int8", "--data", "digits"]
    assert run([*arguments, "--out", str(tmp_path / "b")]) == 3
    assert "--preprocess raw|unit|symmetric|torch|caffe" in capsys.readouterr().err
    assert run([*arguments, "--out", str(tmp_path / "b"), "--preprocess", "symmetric"]) == 0
    assert run(["verify", str(tmp_path / "b")]) == 0
    found = describe((tmp_path / "b" / "model.tflite").read_bytes())
    assert found.constants["int8"] > found.constants.get("float32", 0)
    assert found.kinds["DEPTHWISE_CONV_2D"] == 17


class Wrong:
    """A model that does not compute the same twice: what a converter that changes the meaning looks like."""

    def __init__(self, model: Any) -> None:
        self.model, self.input_shape, self.calls = model, model.input_shape, 0

    def __call__(self, inputs: Any, training: bool) -> Any:
        return self.model(inputs, training=training) + 0.01


def test_a_flatbuffer_that_differs_from_keras_is_refused(tmp_path: Path) -> None:
    from converters.export import _prove_parity

    model = classifier(tf_keras)
    content = to_flatbuffer(model)
    _prove_parity(model, content, tmp_path)
    with pytest.raises(ModelError, match=r"outputs differ from Keras' by 0\.01, more than 0\.0001"):
        _prove_parity(Wrong(model), content, tmp_path)


def test_an_operator_that_tflite_lacks_is_an_error_with_the_reason(tmp_path: Path) -> None:
    import tensorflow as tf

    class Unusual(tf_keras.layers.Layer):  # type: ignore[misc]
        def call(self, x: Any) -> Any:
            return x + tf.cast(tf.strings.length(tf.strings.as_string(x)), tf.float32)

    with pytest.raises(ModelError, match="TFLite cannot represent this model") as caught:
        to_flatbuffer(classifier(tf_keras, body=Unusual()))
    assert caught.value.details
