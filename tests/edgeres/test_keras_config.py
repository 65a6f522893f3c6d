"""Code that comes with a file does not run: it is refused before Keras opens the file."""

from __future__ import annotations

import contextlib
import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import tf_keras

from benchmarks import applications
from edgeres import keras_names
from edgeres.console import run
from edgeres.errors import ModelError
from edgeres.keras_config import check_config
from edgeres.keras_file import read_keras_file
from edgeres.keras_io import load
from tests.edgeres.keras_models import classifier, edit_archive, edit_config, saved


def generation(number: int) -> Any:
    if number == 2:
        return tf_keras
    import keras

    return keras


def lambda_that_writes(keras: Any, marker: Path) -> Any:
    """A Lambda whose code leaves a marker wherever it runs, also while a model is being loaded."""
    place = str(marker)
    return keras.layers.Lambda(lambda x: (open(place, "a").write("ran"), x)[1], output_shape=(8, 8, 3))  # noqa: PTH123


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("number", [2, 3])
def test_a_lambda_is_refused_before_its_code_runs(number: int, suffix: str, tmp_path: Path) -> None:
    keras, marker = generation(number), tmp_path / "marker"
    path = saved(classifier(keras, body=lambda_that_writes(keras, marker)), tmp_path / f"m{suffix}")
    if number == 2 and suffix == ".h5":  # the code is real: Keras itself runs it
        tf_keras.models.load_model(path, compile=False)
        assert marker.exists()
    marker.unlink(missing_ok=True)
    with pytest.raises(ModelError, match=r"refused before loading: layer 'lambda.*': Lambda runs code") as caught:
        read_keras_file(path)
    assert "Keras' own layers" in str(caught.value.fix)
    for command in ("inspect", "convert"):
        options = ["--data", "digits", "--out", str(tmp_path / "b"), "--preprocess", "raw"]
        assert run([command, str(path), *(options if command == "convert" else [])]) == 5
    assert not marker.exists()


def test_a_lambda_in_a_model_inside_a_model_is_found(tmp_path: Path) -> None:
    inner = classifier(tf_keras, body=tf_keras.layers.Lambda(lambda x: x))
    outer = tf_keras.Sequential([tf_keras.Input((8, 8, 3)), inner])
    with pytest.raises(ModelError, match="Lambda runs code"):
        read_keras_file(saved(outer, tmp_path / "m.keras"))
    wrapped = tf_keras.layers.TimeDistributed(tf_keras.layers.Lambda(lambda x: x))
    with pytest.raises(ModelError, match="Lambda runs code"):
        read_keras_file(saved(classifier(tf_keras, body=wrapped), tmp_path / "wrapped.h5"))


class Doubled(tf_keras.layers.Layer):  # type: ignore[misc]
    def call(self, x: Any) -> Any:
        return x * 2


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_custom_class_is_refused_before_loading(suffix: str, tmp_path: Path) -> None:
    path = saved(classifier(tf_keras, body=Doubled(name="mine")), tmp_path / f"m{suffix}")
    with pytest.raises(ModelError, match=r"refused before loading: layer 'mine': .*Doubled") as caught:
        read_keras_file(path)
    assert caught.value.details == (f"it was written by Keras {tf_keras.__version__}",)


def convolution(config: dict[str, Any]) -> dict[str, Any]:
    return next(layer for layer in config["config"]["layers"] if layer["class_name"] == "Conv2D")


@pytest.mark.parametrize("number", [2, 3])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"module": "os", "class_name": "system"}, "layer 'conv2d.*': system comes from the module 'os'"),
        ({"module": "kerasx.layers"}, "Conv2D comes from the module 'kerasx.layers'"),
        ({"registered_name": "evil>Conv2D"}, "evil>Conv2D is a custom class"),
        ({"module": "builtins", "class_name": "function", "config": "print"}, "it names the function 'print'"),
        ({"class_name": "TFSMLayer"}, "TFSMLayer runs code"),
        ({"class_name": "__typespec__"}, "__typespec__ runs code"),
        ({"class_name": "StringLookup"}, "StringLookup reads files"),
        ({"class_name": "DenseFeatures"}, "DenseFeatures reads files"),
        ({"class_name": "TensorFlowOpLayer"}, "TensorFlowOpLayer runs code"),
        ({"class_name": "ModuleWrapper"}, "ModuleWrapper runs code"),
        ({"module": "keras.models", "class_name": "load_model"}, "load_model is not among the classes of Keras"),
        (
            {"module": None, "class_name": "deserialize_keras_object"},
            "deserialize_keras_object is not among the classes",
        ),
        ({"class_name": "Absent", "registered_name": "Lambda"}, "Lambda runs code"),
        ({"class_name": "Absent", "registered_name": "Conv2D"}, "Conv2D is a custom class"),
        ({"class_name": "Outer.Lambda"}, "Outer.Lambda is not among the classes"),
        ({"class_name": ["Conv2D"]}, "is not the name of a class"),
        ({"module": "keras.utils", "class_name": "get_file"}, "get_file of 'keras.utils' is not a part of a network"),
        ({"module": "keras.src.saving.saving_lib", "class_name": "load_model"}, "load_model of 'keras.src.saving"),
        ({"module": "keras", "class_name": "Variable"}, "Variable is not among the classes of Keras that may be built"),
        ({"class_name": "NewInKeras4"}, "NewInKeras4 is not among the classes"),
        ({"module": None, "class_name": "LinearModel"}, "LinearModel is not among the classes"),
        ({"class_name": "Wrapper"}, "Wrapper is not among the classes"),
        ({"module": "keras.losses", "class_name": "Dense"}, "Dense is not among the classes"),
        ({"module": "keras.src.ops.core", "class_name": "Map"}, "Map is not among the classes"),
        (
            {"module": "x", "class_name": "CustomScaleLayer", "registered_name": "Custom>CustomScaleLayer"},
            "is a custom class",
        ),
        ({"module": "os", "class_name": "TFOpLambda"}, "TFOpLambda comes from the module 'os'"),
        ({"class_name": "TFOpLambda"}, "TFOpLambda calls the TensorFlow function 'None'"),
    ],
)
def test_code_from_elsewhere_is_refused(number: int, change: dict[str, str], message: str, tmp_path: Path) -> None:
    path = saved(classifier(generation(number)), tmp_path / "m.keras")
    read_keras_file(path)
    edit_config(path, lambda config: convolution(config).update(change))
    with pytest.raises(ModelError, match=message):
        read_keras_file(path)


def test_a_function_as_an_activation_is_refused(tmp_path: Path) -> None:
    path = saved(classifier(tf_keras), tmp_path / "m.keras")
    function = {"module": "subprocess", "class_name": "function", "config": "run", "registered_name": "function"}
    edit_config(path, lambda config: convolution(config)["config"].update(activation=function))
    with pytest.raises(ModelError, match="function comes from the module 'subprocess'"):
        read_keras_file(path)


@pytest.mark.parametrize("module", ["keras.utils", "keras.src.utils.file_utils", "keras.config", "builtins", None])
def test_only_activations_are_functions_of_keras_that_pass(module: str | None) -> None:
    function = {"module": module, "class_name": "function", "config": "get_file", "registered_name": "function"}
    with pytest.raises(ModelError, match="it names the function 'get_file'"):
        check_config({"layers": [{"class_name": "Dense", "config": {"activation": function}}]}, where="x")
    check_config({**function, "module": "keras.activations", "config": "relu"}, where="x")


@pytest.mark.parametrize(("function", "registered"), [("get", "get"), ("relu", "get_file"), ("serialize", None)])
def test_functions_of_the_activations_module_pass_where_they_are_activations(
    function: str, registered: str | None
) -> None:
    item = {
        "module": "keras.activations",
        "class_name": "function",
        "config": function,
        "registered_name": registered,
    }
    with pytest.raises(ModelError, match="which is none of Keras' activations"):
        check_config({"layers": [{"class_name": "Dense", "config": {"activation": item}}]}, where="x")


@pytest.mark.parametrize(
    ("key", "value"),
    [("activation", "deserialize"), ("recurrent_activation", "mine>act"), ("kernel_initializer", "Lambda")],
)
def test_a_setting_that_keras_looks_up_by_name_is_checked(key: str, value: str) -> None:
    item = {"class_name": "Dense", "config": {"name": "odd", key: value}}
    with pytest.raises(ModelError, match=f"layer 'odd': its {key} '{value}' is not among those of Keras"):
        check_config({"layers": [item]}, where="x")


def test_every_name_that_is_listed_exists_in_keras() -> None:
    """A misspelt name would refuse a model of somebody."""
    import keras
    from keras.src.ops import core, image, math, nn, numpy

    old = {"BatchNormalizationV1", "BatchNormalizationV2", "RandomFourierFeatures", "SyncBatchNormalization"}
    assert {
        name for name in keras_names.LAYERS - old if not any(hasattr(k.layers, name) for k in (keras, tf_keras))
    } == (keras_names.FUNCTION_LAYERS)
    for name in keras_names.ACTIVATIONS:
        tf_or_3 = hasattr(keras.activations, name) or tf_keras.activations.get(name)
        assert tf_or_3, name
    found = {name for module in (core, image, math, nn, numpy) for name in vars(module)}
    assert keras_names.OPERATIONS - found <= {"Shape"}  # of earlier Keras 3
    parts = ("optimizers", "losses", "metrics")
    places = [getattr(k, part) for k in (keras, tf_keras) for part in parts]
    places += [k.optimizers.schedules for k in (keras, tf_keras)]
    assert {name for name in keras_names.TRAINING if not any(hasattr(place, name) for place in places)} == set()


@pytest.mark.parametrize("number", [2, 3])
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_settings_of_every_kind_are_opened(number: int, suffix: str, tmp_path: Path) -> None:
    k = generation(number)

    def body(x: Any) -> Any:
        x = k.layers.Conv2D(4, 3, kernel_initializer="he_normal", kernel_regularizer="l2", padding="same")(x)
        x = k.layers.Conv2D(4, 3, kernel_regularizer=k.regularizers.L1L2(), kernel_constraint="max_norm")(x)
        x = k.layers.Conv2D(4, 3, bias_initializer=k.initializers.Constant(0.5), activation="relu6")(x)
        return k.layers.Activation(k.activations.gelu, dtype=k.mixed_precision.Policy("mixed_float16"))(x)

    load(read_keras_file(saved(classifier(k, body=body), tmp_path / f"m{suffix}")))


@pytest.mark.slow
@pytest.mark.parametrize("number", [2, 3])
@pytest.mark.parametrize("name", sorted(applications.NETWORKS))
def test_the_networks_of_keras_applications_pass(name: str, number: int) -> None:
    k, side = generation(number), applications.NETWORKS[name]
    model = getattr(k.applications, name)(weights=None, input_shape=(side, side, 3), classes=10)
    check_config(json.loads(json.dumps(k.utils.serialize_keras_object(model))), where=name)
    check_config(json.loads(model.to_json()), where=name)


@pytest.mark.parametrize(
    ("function", "passes"),
    [("math.multiply", True), ("__operators__.add", True), ("nn.relu6", True), ("clip_by_value", True)]
    + [(name, False) for name in ("io.write_file", "io.read_file", "py_function", "nn.write_file", "saved_model.load")],
)
def test_functions_of_tensorflow_pass_where_they_are_arithmetic(function: str, passes: bool) -> None:
    config = {"class_name": "TFOpLambda", "config": {"name": "odd", "function": function}}
    if passes:
        check_config(config, where="x")
        return
    with pytest.raises(ModelError, match=f"layer 'odd': TFOpLambda calls the TensorFlow function '{function}'"):
        check_config(config, where="x")


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_function_of_tensorflow_in_a_graph_is_opened(suffix: str, tmp_path: Path) -> None:
    model = classifier(tf_keras, body=lambda x: tf_keras.activations.relu(x / 127.5 - 1.0, max_value=6.0))
    load(read_keras_file(saved(model, tmp_path / f"m{suffix}")))


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("number", [2, 3])
def test_what_is_trusted_runs(number: int, suffix: str, tmp_path: Path) -> None:
    keras, marker = generation(number), tmp_path / "marker"
    path = saved(classifier(keras, body=lambda_that_writes(keras, marker)), tmp_path / f"m{suffix}")
    marker.unlink(missing_ok=True)
    load(read_keras_file(path, trust=True))(np.zeros((1, 8, 8, 3), np.float32))
    assert marker.exists()
    assert run(["inspect", str(path), "--trust"]) == 0


def test_a_custom_class_that_is_trusted_is_built(tmp_path: Path) -> None:
    path = saved(classifier(tf_keras, body=Doubled(name="mine")), tmp_path / "m.keras")
    assert type(load(read_keras_file(path, trust=True)).get_layer("mine")).__name__ == "Doubled"


OWN_MODULE = """
import {keras} as k

@k.{registry}.register_keras_serializable("{name}")
class Registered(k.layers.Layer):
    def call(self, x):
        return x * 2

class Plain(k.layers.Layer):
    def call(self, x):
        return x * 2

def function(x):
    return x * 2
"""


@pytest.fixture(params=[2, 3])
def own(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Any, Any]]:
    """A module of the user's own with layers of either generation; afterwards nobody knows it any more."""
    keras, name = generation(request.param), f"own_layers_{request.param}"
    registry = "utils" if request.param == 2 else "saving"
    source = OWN_MODULE.format(keras=keras.__name__, registry=registry, name=name)
    (tmp_path / f"{name}.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    yield keras, importlib.import_module(name)
    sys.modules.pop(name, None)


def forgotten(keras: Any, module: Any) -> None:
    """As in a process that never imported the module."""
    del sys.modules[module.__name__]
    keras.utils.get_custom_objects().pop(f"{module.__name__}>Registered")


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_registered_class_that_is_trusted_is_found_by_its_package(
    own: tuple[Any, Any], suffix: str, tmp_path: Path
) -> None:
    keras, module = own
    path = saved(classifier(keras, body=module.Registered(name="mine")), tmp_path / f"m{suffix}")
    forgotten(keras, module)
    with pytest.raises(ModelError, match=r"layer 'mine': .*Registered"):
        read_keras_file(path)
    assert type(load(read_keras_file(path, trust=True)).get_layer("mine")).__name__ == "Registered"


def test_classes_and_functions_that_are_trusted_are_imported_from_their_modules(
    own: tuple[Any, Any], tmp_path: Path
) -> None:
    keras, module = own
    path = saved(classifier(keras, body=module.Plain(name="mine")), tmp_path / "m.keras")
    own_function = {"module": module.__name__, "class_name": "function", "config": "function"}
    own_function["registered_name"] = "function"
    edit_config(path, lambda config: convolution(config)["config"].update(activation=own_function))
    forgotten(keras, module)
    model = load(read_keras_file(path, trust=True))
    assert type(model.get_layer("mine")).__name__ == "Plain"
    convolved = next(layer for layer in model.layers if type(layer).__name__ == "Conv2D")
    assert convolved.activation.__name__ == "function"
    (tmp_path / f"{module.__name__}.py").unlink()
    sys.modules.pop(module.__name__)
    importlib.invalidate_caches()
    with pytest.raises(ModelError) as caught:
        load(read_keras_file(path, trust=True))
    assert f"set PYTHONPATH to where {module.__name__} can be imported from" in str(caught.value.fix)


def test_a_class_without_a_module_is_told_to_be_registered(own: tuple[Any, Any], tmp_path: Path) -> None:
    keras, module = own
    path = saved(classifier(keras, body=module.Plain(name="mine")), tmp_path / "m.h5")
    with pytest.raises(ModelError, match="Keras cannot load") as caught:
        load(read_keras_file(path, trust=True))
    assert "does not say in which module to find Plain: in that module, register it" in str(caught.value.fix)
    assert "save the model again as .keras" in str(caught.value.fix)


def test_code_in_an_hdf5_file_is_refused(tmp_path: Path) -> None:
    path = saved(classifier(tf_keras), tmp_path / "m.h5")
    with h5py.File(path, "a") as file:
        file.attrs["model_config"] = file.attrs["model_config"].replace('"Conv2D"', '"TorchModuleWrapper"')
    with pytest.raises(ModelError, match="TorchModuleWrapper runs code"):
        read_keras_file(path)


def test_keras_own_classes_pass() -> None:
    check_config(classifier(tf_keras).get_config(), where="x")
    check_config({"layers": [{"class_name": "Dense", "module": "keras.layers", "registered_name": None}]}, where="x")
    check_config(None, where="x")


def runs_when_called(inputs: Any, outputs: Any) -> Any:
    import os

    os.environ["EDGERES_TEST_MARKER"] = "ran"
    return outputs


@pytest.mark.parametrize("wrapper", ["ResidualWrapper", "DropoutWrapper"])
def test_bytecode_around_a_recurrent_cell_is_refused_before_it_runs(
    wrapper: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import base64
    import marshal
    import os

    def wrap(config: dict[str, Any]) -> None:
        layer = next(each for each in config["config"]["layers"] if each["class_name"] == "RNN")["config"]
        code = base64.encodebytes(marshal.dumps(runs_when_called.__code__)).decode()
        name = "residual_fn" if wrapper == "ResidualWrapper" else "dropout_state_filter_visitor"
        inner = {
            "cell": layer["cell"],
            name: [code, None, None],
            f"{name}_type": "lambda",
            f"{name}_module": "builtins",
        }
        layer["cell"] = {"class_name": wrapper, "config": inner}

    monkeypatch.delenv("EDGERES_TEST_MARKER", raising=False)
    layers = tf_keras.layers
    body = tf_keras.Sequential([layers.Reshape((8, 24)), layers.RNN(layers.LSTMCell(24)), layers.Dense(3)])
    body(np.zeros((1, 8, 8, 3), np.float32))
    model = tf_keras.Sequential([tf_keras.Input((8, 8, 3)), *body.layers])
    path = saved(model, tmp_path / "m.h5")
    with h5py.File(path, "a") as file:
        config = json.loads(file.attrs["model_config"])
        wrap(config)
        file.attrs["model_config"] = json.dumps(config)
    if wrapper == "ResidualWrapper":  # the code is real: Keras itself runs it
        tf_keras.models.load_model(path, compile=False)
        assert os.environ.pop("EDGERES_TEST_MARKER") == "ran"
    with pytest.raises(ModelError, match=f"{wrapper} runs code"):
        read_keras_file(path)
    assert "EDGERES_TEST_MARKER" not in os.environ


def test_a_configuration_nested_too_deeply_is_an_error(tmp_path: Path) -> None:
    path = saved(classifier(tf_keras), tmp_path / "m.keras")
    for depth in (900, 980, 3000, 100_000):  # from Python 3.12 on, JSON is read deeper than the walk over it can go
        edit_archive(path, "config.json", b'{"config": ' + b"[" * depth + b"]" * depth + b"}")
        with contextlib.suppress(ModelError):  # never a RecursionError
            read_keras_file(path)
