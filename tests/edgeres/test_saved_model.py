"""SavedModel folders: what does its work is opened, what reaches out of its graph is refused before it is loaded."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from tensorflow.core.protobuf import saved_model_pb2

from edgeres.console import run
from edgeres.errors import ModelError
from edgeres.keras_file import MAX_BYTES, read_keras_file, sha256_folder
from edgeres.keras_io import load, load_prunable
from edgeres.saved_operators import OPERATORS, SAVER
from edgeres.storage import sha256_bytes
from tests.edgeres.keras_models import SHAPE, classifier

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
        (writes, "the operator WriteFile is not among"),
        (reads, "the operator ReadFile is not among"),
        (python, "the operator EagerPyFunc is not among"),
        (checkpoint, "the operator SaveV2 is not among"),
        (hidden, "the operator WriteFile is not among"),
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


SAVES = "__inference_saves_0"


def with_a_writing_saver(path: Path) -> tuple[Path, Any]:
    """A SavedModel whose restoring node calls `SAVES`, which writes a file; nothing else knows of it."""
    module = Module(lambda scores: scores)
    module.saves = tf.function(lambda: checkpoint(path / "marker")(tf.constant([1.0])), input_signature=[])
    tf.saved_model.save(module, str(path), signatures=module.serve)
    saved = saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes())
    graph = saved.meta_graphs[0]
    (function,) = (each for each in graph.graph_def.library.function if "marker" in str(each))
    del graph.object_graph_def.concrete_functions[function.signature.name]
    for each in graph.object_graph_def.nodes:
        if function.signature.name in each.function.concrete_functions:
            each.user_object.identifier = "x"  # instead of the function: they are alternatives
    function.signature.name = SAVES
    (node,) = (node for node in graph.graph_def.node if node.name == graph.saver_def.restore_op_name)
    (replaced,) = (one for one in graph.graph_def.library.function if one.signature.name == node.attr["f"].func.name)
    graph.graph_def.library.function.remove(replaced)
    node.attr["f"].func.name = SAVES
    return path, saved


def called_by_its_name(graph: Any) -> None:
    graph.graph_def.library.function[0].node_def.add(name="calls", op=SAVES)


def called_by_an_attribute(graph: Any) -> None:
    node = graph.graph_def.library.function[0].node_def.add(name="calls", op="PartitionedCall")
    node.attr["f"].func.name = SAVES


def called_by_what_is_called(graph: Any) -> None:
    """The function to call is an argument of the function that calls it."""
    function = next(each for each in graph.graph_def.library.function if "serve" in each.signature.name)
    node = function.node_def.add(name="calls", op="PartitionedCall")
    node.attr["f"].func.name = function.signature.name
    node.attr["f"].func.attr["g"].list.func.add(name=SAVES)


def called_by_default(graph: Any) -> None:
    attribute = graph.graph_def.library.function[0].signature.attr.add(name="g", type="func")
    attribute.default_value.func.name = SAVES


def function_of_an_object(graph: Any) -> None:
    graph.object_graph_def.nodes.add().function.concrete_functions.append(SAVES)


def bare_function_of_an_object(graph: Any) -> None:
    graph.object_graph_def.nodes.add().bare_concrete_function.concrete_function_name = SAVES


def gradient_of_a_function(graph: Any) -> None:
    graph.graph_def.library.gradient.add(function_name="f", gradient_func=SAVES)


def gradient_of_an_operator(graph: Any) -> None:
    graph.graph_def.library.registered_gradients.add(gradient_func=SAVES, registered_op_type="CustomGradient-1")


def run_in_place_of_another(graph: Any) -> None:
    (function,) = (each for each in graph.graph_def.library.function if each.signature.name == SAVES)
    function.attr["api_implements"].s = b"same"


@pytest.mark.parametrize(
    "reach",
    [
        called_by_its_name,
        called_by_an_attribute,
        called_by_what_is_called,
        called_by_default,
        function_of_an_object,
        bare_function_of_an_object,
        gradient_of_a_function,
        gradient_of_an_operator,
        run_in_place_of_another,
    ],
)
def test_what_the_saver_calls_may_write_only_if_nothing_else_reaches_it(reach: Any, tmp_path: Path) -> None:
    path, saved = with_a_writing_saver(tmp_path / "m")
    (path / "saved_model.pb").write_bytes(saved.SerializeToString())
    read_keras_file(path)
    reach(saved.meta_graphs[0])
    (path / "saved_model.pb").write_bytes(saved.SerializeToString())
    with pytest.raises(ModelError, match=f"function '{SAVES}': the operator SaveV2 is not among"):
        read_keras_file(path)


def test_a_call_of_a_function_from_elsewhere_is_refused(tmp_path: Path) -> None:
    path, saved = with_a_writing_saver(tmp_path / "m")
    called_by_an_attribute(saved.meta_graphs[0])
    saved.meta_graphs[0].graph_def.library.function[0].node_def[-1].attr["f"].func.name = "elsewhere"
    (path / "saved_model.pb").write_bytes(saved.SerializeToString())
    with pytest.raises(ModelError, match="it calls functions that are not in it: elsewhere"):
        read_keras_file(path)


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
    module = tf.Module()
    module.kernel = tf.Variable(1.0)
    tf.saved_model.save(module, str(tmp_path / "none"))
    with pytest.raises(ModelError, match="expected one signature from an image") as caught:
        read_keras_file(tmp_path / "none")
    assert caught.value.details == ("it has no signatures",)


class Signed(tf.Module):  # type: ignore[misc]
    """Signatures of several kinds over one variable."""

    def __init__(self) -> None:
        self.kernel = tf.Variable(tf.ones((3, 2)))

    @tf.function(input_signature=[tf.TensorSpec((None, *SHAPE), tf.uint8)])  # type: ignore[untyped-decorator]
    def from_bytes(self, pixels: Any) -> Any:
        return {"scores": tf.matmul(tf.reduce_mean(tf.cast(pixels, tf.float32) / 255.0, axis=[1, 2]), self.kernel)}

    @tf.function(input_signature=[tf.TensorSpec((None, *SHAPE), tf.float32)])  # type: ignore[untyped-decorator]
    def from_floats(self, image: Any) -> Any:
        return {"scores": tf.matmul(tf.reduce_mean(image, axis=[1, 2]), self.kernel)}

    @tf.function(input_signature=[tf.TensorSpec((None, 5), tf.int32)])  # type: ignore[untyped-decorator]
    def from_words(self, words: Any) -> Any:
        return {"words": words, "twice": words * 2}


def signed(path: Path, **signatures: str) -> Path:
    module = Signed()
    tf.saved_model.save(module, str(path), signatures={name: getattr(module, of) for name, of in signatures.items()})
    return path


def test_the_only_signature_from_an_image_to_scores_is_taken(tmp_path: Path) -> None:
    path = signed(tmp_path / "m", serving_default="from_words", classify="from_floats")
    model = load(read_keras_file(path))
    np.testing.assert_allclose(model(PIXELS)[:, 0], PIXELS.mean(axis=(1, 2)).sum(axis=1), rtol=1e-5)


def test_a_model_that_takes_bytes_rounds_its_pixels_and_converts(tmp_path: Path) -> None:
    from converters.export import export_float
    from converters.quantization.post_training import quantize
    from targets.runtimes.cpu import CPU

    file = read_keras_file(signed(tmp_path / "m", serving_default="from_bytes"))
    expected = (np.round(PIXELS) / 255).mean(axis=(1, 2)).sum(axis=1)
    np.testing.assert_allclose(load(file)(PIXELS)[:, 0], expected, rtol=1e-5)
    np.testing.assert_allclose(load(file)(PIXELS * 0 + 999)[:, 0], [3, 3], rtol=1e-5)  # not modulo 256
    content = export_float(file)
    with CPU.open(content) as session:
        np.testing.assert_allclose(session.infer(PIXELS)[:, 0], expected, rtol=1e-5)
    with CPU.open(quantize(content, "int8", images=[image[None] for image in PIXELS])) as session:
        np.testing.assert_allclose(session.infer(PIXELS)[:, 0], expected, rtol=0.05)


def test_signatures_that_leave_a_choice_or_none_are_told(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="expected one signature from an image") as caught:
        read_keras_file(signed(tmp_path / "two", a="from_floats", b="from_bytes"))
    assert caught.value.details == (
        "found 'a': image (N, 8, 8, 3) float32 -> scores (N, 2) float32",
        "found 'b': pixels (N, 8, 8, 3) uint8 -> scores (N, 2) float32",
    )
    assert "call one of them 'serving_default'" in str(caught.value.fix)
    with pytest.raises(ModelError, match="expected one signature from an image") as caught:
        read_keras_file(signed(tmp_path / "none", serving_default="from_words"))
    assert caught.value.details == (
        "found 'serving_default': words (N, 5) int32 -> twice (N, 5) int32, words (N, 5) int32",
    )


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


def mapped(place: str) -> Any:
    """A constant that TensorFlow reads from a file it maps into memory."""
    name = f"file://{place}"
    return lambda x: x + tf.raw_ops.ImmutableConst(dtype=tf.float32, shape=(1, 2), memory_region_name=name)


@pytest.mark.parametrize(
    ("effect", "name"),
    [(dumped, "DebugIdentity"), (remapped, "GenerateVocabRemapping"), (mapped, "ImmutableConst")],
)
def test_stateless_operators_that_touch_files_are_refused(effect: Any, name: str, tmp_path: Path) -> None:
    path = written(tmp_path / "m", effect(str(tmp_path / "dump")))
    with pytest.raises(ModelError, match=f"the operator {name} is not among"):
        read_keras_file(path)
    assert not (tmp_path / "dump").exists()


def test_every_operator_that_is_listed_exists() -> None:
    """A misspelt name would refuse a model of somebody."""
    from tensorflow.python.framework import op_def_registry

    assert {name for name in OPERATORS | SAVER if op_def_registry.get(name) is None} == set()


@pytest.mark.parametrize(
    "layer",
    [
        lambda: tf_keras.Sequential([tf_keras.layers.RandomFlip(), tf_keras.layers.RandomRotation(0.1)]),
        lambda: tf_keras.layers.Activation("swish"),  # has a gradient of its own
        lambda: tf_keras.layers.Resizing(4, 4),
        lambda: keras.Sequential([keras.layers.RandomZoom(0.1), keras.layers.Activation("silu")]),
        lambda: keras.layers.SeparableConv2D(4, 3, activation="hard_silu"),
        lambda: keras.layers.GroupNormalization(1),
    ],
)
def test_layers_of_image_classifiers_are_made_of_listed_operators(layer: Any, tmp_path: Path) -> None:
    body = layer()
    generation = tf_keras if type(body).__module__.startswith("tf_keras") else keras
    classifier(generation, body=body).export(tmp_path / "m")
    read_keras_file(tmp_path / "m")


@pytest.mark.parametrize("place", ["variables/link", "assets", "saved_model.pb"])
def test_a_link_in_the_folder_is_refused_and_not_followed(place: str, tmp_path: Path) -> None:
    path, outside = written(tmp_path / "m"), tmp_path / "outside"
    if place == "saved_model.pb":
        shutil.move(path / place, outside)
    else:
        outside.mkdir() if place == "assets" else outside.write_text("secret")
        shutil.rmtree(path / place, ignore_errors=True)
    (path / place).symlink_to(outside)
    with pytest.raises(ModelError, match=f"refused before loading: '{place}' in it is a link") as caught:
        read_keras_file(path, trust=True)
    assert "cp -rL" in str(caught.value.fix)


def test_a_link_that_comes_after_the_check_is_not_followed_either(tmp_path: Path) -> None:
    path = written(tmp_path / "m")
    file = read_keras_file(path)
    (path / "late").symlink_to("/dev/zero")
    with pytest.raises(ModelError, match="'late' in it is a link"):
        load(file)


def test_a_pipe_in_the_folder_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "m")
    os.mkfifo(path / "variables" / "pipe")
    with pytest.raises(ModelError, match="'variables/pipe' in it is no file"):
        read_keras_file(path)


def test_file_names_of_a_folder_may_be_any_bytes_and_count_for_its_hash(tmp_path: Path) -> None:
    path = written(tmp_path / "m")
    before = read_keras_file(path).sha256
    (path / os.fsdecode(b"\xff")).write_bytes(b"")
    file = read_keras_file(path)
    assert file.sha256 != before
    load(file)


def test_two_folders_differ_in_their_hash_whatever_their_file_names(tmp_path: Path) -> None:
    two, one = tmp_path / "two", tmp_path / "one"
    two.mkdir()
    one.mkdir()
    for name in ("a", "b"):
        (two / name).write_bytes(b"")
    (one / f"a {sha256_bytes(b'')}\nb").write_bytes(b"")  # a line break in its name
    assert sha256_folder(two) != sha256_folder(one)


def test_a_folder_or_file_too_large_to_copy_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "m")
    for large in (path / "variables" / "large", tmp_path / "m.h5", tmp_path / "m.keras"):
        with large.open("wb") as stream:
            stream.truncate(MAX_BYTES + 1)  # sparse: it takes no space, but its copy would
        with pytest.raises(ModelError, match="at most, found 8,589,9"):
            read_keras_file(path if path in large.parents else large)
