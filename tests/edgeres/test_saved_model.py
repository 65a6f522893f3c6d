"""SavedModel folders: what does its work is opened, what reaches out of its graph is refused before it is loaded."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from edgeres.console import run
from edgeres.errors import ModelError
from edgeres.keras_file import read_keras_file
from edgeres.keras_io import load, load_prunable
from tests.edgeres.keras_models import SHAPE, classifier

pytestmark = pytest.mark.usefixtures("restored_logging")

PIXELS = np.random.default_rng(0).uniform(0, 255, (2, *SHAPE)).astype(np.float32)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Any]]:
    """The ways in which a user comes by a SavedModel, each with what its model gives for `PIXELS`."""
    place = tmp_path_factory.mktemp("saved")
    old, new = classifier(tf_keras), classifier(keras)
    old.compile("adam", "sparse_categorical_crossentropy")
    old.save(place / "saved")
    old.export(place / "exported")
    new.export(place / "three", verbose=False)
    outputs = {"saved": old, "exported": old, "three": new}
    return {name: (place / name, np.asarray(model(PIXELS))) for name, model in outputs.items()}


@pytest.mark.parametrize("name", ["saved", "exported", "three"])
def test_a_saved_model_computes_what_its_model_did(folders: dict[str, tuple[Path, Any]], name: str) -> None:
    path, expected = folders[name]
    file = read_keras_file(path)
    assert (file.generation, file.format, file.input_shape) == (0, "SavedModel", SHAPE)
    model = load(file)
    assert (model.input_shape[1:], model.output_shape[1:]) == (SHAPE, (3,))
    np.testing.assert_allclose(model(PIXELS), expected, rtol=1e-5)
    with pytest.raises(ModelError, match="cannot be pruned: a SavedModel is a graph of operators"):
        load_prunable(file)


def test_it_converts_and_quantizes(folders: dict[str, tuple[Path, Any]]) -> None:
    from converters.export import export_float
    from converters.quantization.post_training import quantize
    from targets.runtimes.cpu import CPU

    path, expected = folders["saved"]
    content = export_float(read_keras_file(path))
    with CPU.open(content) as session:
        np.testing.assert_allclose(session.infer(PIXELS), expected, atol=1e-5)
    with CPU.open(quantize(content, "int8", images=[image[None] for image in PIXELS])) as session:
        assert np.abs(session.infer(PIXELS) - expected).max() < 0.1


class Module(tf.Module):  # type: ignore[misc]
    """A classifier that does something else besides."""

    def __init__(self, effect: Any) -> None:
        self.kernel, self.effect = tf.Variable(tf.ones((3, 2))), effect

    @tf.function(input_signature=[tf.TensorSpec((1, *SHAPE), tf.float32)])  # type: ignore[untyped-decorator]
    def serve(self, image: Any) -> Any:
        scores = tf.matmul(tf.reduce_mean(image, axis=[1, 2]), self.kernel)
        return {"scores": self.effect(scores)}


def written(path: Path, effect: Any = lambda scores: scores) -> Path:
    module = Module(effect)
    tf.saved_model.save(module, str(path), signatures=module.serve)
    return path


def test_a_signature_for_one_image_is_called_for_each(tmp_path: Path) -> None:
    model = load(read_keras_file(written(tmp_path / "m")))
    np.testing.assert_allclose(model(PIXELS)[:, 0], PIXELS.mean(axis=(1, 2)).sum(axis=1), rtol=1e-5)


def writes(path: Path) -> Any:
    def effect(scores: Any) -> Any:
        with tf.control_dependencies([tf.io.write_file(str(path), "written")]):
            return tf.identity(scores)

    return effect


def reads(path: Path) -> Any:
    return lambda scores: scores + tf.cast(tf.strings.length(tf.io.read_file(str(path))), tf.float32)


def python(_: Path) -> Any:
    return lambda scores: tf.ensure_shape(tf.py_function(lambda x: x, [scores], tf.float32), (1, 2))


def checkpoint(path: Path) -> Any:
    def effect(scores: Any) -> Any:
        saved = tf.raw_ops.SaveV2(prefix=str(path), tensor_names=["a"], shape_and_slices=[""], tensors=[scores])
        with tf.control_dependencies([saved]):
            return tf.identity(scores)

    return effect


def hidden(path: Path) -> Any:
    """In a branch of a function that a function calls."""
    return tf.function(lambda x: tf.cond(x[0, 0] > 1e9, lambda: writes(path)(x), lambda: x))


@pytest.mark.parametrize(
    ("effect", "reason"),
    [
        (writes, "the operator WriteFile has side effects"),
        (reads, "the operator ReadFile reaches files"),
        (python, "the operator EagerPyFunc has side effects"),
        (checkpoint, "the operator SaveV2 has side effects"),
        (hidden, "the operator WriteFile has side effects"),
    ],
)
def test_what_reaches_out_of_its_graph_is_refused_before_it_is_loaded(
    effect: Any, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "1000")
    path = written(tmp_path / "m", effect(tmp_path / "marker"))
    with pytest.raises(ModelError, match=f"refused before loading: .*{reason}"):
        read_keras_file(path)
    assert run(["inspect", str(path)]) == 5
    assert "--trust" in capsys.readouterr().err
    assert not (tmp_path / "marker").exists()


def test_what_is_trusted_runs(tmp_path: Path) -> None:
    path = written(tmp_path / "m", writes(tmp_path / "marker"))
    load(read_keras_file(path, trust=True))(PIXELS)
    assert (tmp_path / "marker").read_text() == "written"


def test_a_saved_model_that_is_none_or_no_classifier_is_an_error(tmp_path: Path) -> None:
    path = written(tmp_path / "m")
    content = (path / "saved_model.pb").read_bytes()
    (path / "saved_model.pb").write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelError, match="is not a readable SavedModel"):
        read_keras_file(path)
    (path / "saved_model.pb").write_bytes(b"")
    with pytest.raises(ModelError, match="expected a SavedModel of TensorFlow 2"):
        read_keras_file(path)
    module = Module(lambda x: x)
    tf.saved_model.save(module, str(tmp_path / "none"), signatures={"predict": module.serve})
    with pytest.raises(ModelError, match="expected the signature 'serving_default'"):
        read_keras_file(tmp_path / "none")


def test_a_folder_whose_weights_are_gone_is_an_error(folders: dict[str, tuple[Path, Any]], tmp_path: Path) -> None:
    path = tmp_path / "m"
    shutil.copytree(folders["saved"][0], path)
    shutil.rmtree(path / "variables")
    with pytest.raises(ModelError, match="cannot load") as caught:
        load(read_keras_file(path))
    assert caught.value.details == (f"it was written by TensorFlow {tf.__version__}",)


def dumped(place: str) -> Any:
    return lambda scores: tf.raw_ops.DebugIdentity(input=scores, tensor_name="x:0", debug_urls=[f"file://{place}"])


def remapped(_: str) -> Any:
    settings = {"new_vocab_file": "a", "old_vocab_file": "b", "new_vocab_offset": 0, "num_new_vocab": 1}
    return lambda scores: scores + tf.cast(tf.raw_ops.GenerateVocabRemapping(**settings)[1], tf.float32)


@pytest.mark.parametrize(("effect", "name"), [(dumped, "DebugIdentity"), (remapped, "GenerateVocabRemapping")])
def test_stateless_operators_that_touch_files_are_refused(effect: Any, name: str, tmp_path: Path) -> None:
    path = written(tmp_path / "m", effect(str(tmp_path / "dump")))
    with pytest.raises(ModelError, match=f"the operator {name} reaches files"):
        read_keras_file(path)
    assert not (tmp_path / "dump").exists()
