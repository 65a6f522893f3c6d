"""Whether building a model from its configuration would run code that came with the file, or reach outside of it.

Checked before Keras sees the file: tf_keras runs a Lambda's code while loading an `.h5` even in safe mode, and both
generations import whatever module a configuration names. So nothing passes but what `edgeres.keras_names` lists.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from edgeres import keras_names as names
from edgeres.errors import ModelError

_TOP = names.MODELS | names.POLICIES
_PARTS = {
    "": _TOP,
    "layers": names.LAYERS,
    "models": names.MODELS,
    "engine": names.MODELS | names.LAYERS,
    "initializers": names.INITIALIZERS,
    "regularizers": names.REGULARIZERS,
    "constraints": names.CONSTRAINTS,
    "dtype_policies": names.POLICIES,
    "mixed_precision": names.POLICIES | names.TRAINING,
    "optimizers": names.TRAINING,
    "losses": names.TRAINING,
    "metrics": names.TRAINING,
}
"""Part of `keras` or `tf_keras` ("" is the package itself) -> the classes that may be taken from it."""

_ANYWHERE = frozenset().union(*_PARTS.values(), names.APPLICATIONS)
"""What an `.h5` may name: it names no modules."""

_MODULES = {f"keras.src.ops.{part}": names.OPERATIONS for part in ("numpy", "nn", "image", "core", "math")}
_MODULES["tensorflow.python.ops.init_ops_v2"] = names.INITIALIZERS  # tf_keras takes some from there
"""Other modules -> the classes that may be taken from them."""

_ACTIVATIONS = {f"{root}.{part}" for root in ("keras", "tf_keras") for part in ("activations", "src.activations")}
_ACTIVATIONS |= {"keras.src.activations.activations"}
_FUNCTION_MODULES = {"math", "nn", "image", "linalg", "__operators__", ""}

# Only for a message that says more: whatever is not listed is refused.
_CODE = {"Lambda", "ClassMethod", "InstanceMethod", "InstanceProperty", "__lambda__", "__typespec__"}
_CODE |= {"TorchModuleWrapper", "FlaxLayer", "JaxLayer", "TFSMLayer", "ModuleWrapper", "TensorFlowOpLayer"}
_CODE |= {"ResidualWrapper", "DropoutWrapper"}  # of RNN cells: tf_keras takes their function from bytecode
_FILES = {"TextVectorization", "StringLookup", "IntegerLookup", "IndexLookup", "DenseFeatures", "SequenceFeatures"}

_QUANTIZED = ("QuantizeAnnotate", "QuantizeLayer", "QuantizeWrapper", "QuantizeWrapperV2")
_KERAS = ("keras", "tf_keras")
_NOT_FOREIGN = {*_KERAS, "tensorflow", "builtins"}


def check_config(config: Any, *, where: str, details: tuple[str, ...] = ()) -> None:
    """Refuse a configuration that names anything but the classes and functions of `edgeres.keras_names`.

    Raises:
        ModelError: a Lambda, a custom class, a function from elsewhere, a layer that opens files, or one that is not
            listed; says which, and in which layer; with the given details.
        RecursionError: it is nested too deeply to be walked.
    """
    for layer, item in _mappings(config, layer="model"):
        reason = _setting_objection(item)
        if reason is None and "class_name" in item:
            reason = _objection(item)
        if reason is not None:
            raise ModelError(
                f"{where}: refused before loading: layer '{layer}': {reason}",
                details=details,
                fix="rebuild the model from Keras' own layers and save it again; "
                "or, if you trust whoever made the file as you trust a program, give --trust",
            )


def require_unquantized(config: Any, *, where: str) -> None:
    """Refuse a model that was wrapped for quantization-aware training: no step takes one, trusted or not.

    Raises:
        ModelError: it is; names the first such layer.
        RecursionError: it is nested too deeply to be walked.
    """
    for layer, item in _mappings(config, layer="model"):
        if item.get("class_name") in _QUANTIZED:
            raise ModelError(
                f"{where}: is quantized already: layer '{layer}' is a {item['class_name']} of tfmot",
                fix="give the float model that it was made from; the step 'aware' trains it as int8 computes",
            )


def _objection(item: dict[str, Any]) -> str | None:
    """Why an object may not be built, or None."""
    kind, module, registered = item["class_name"], item.get("module"), item.get("registered_name")
    for value in (kind, *(each for each in (module, registered) if each is not None)):
        if not isinstance(value, str):
            return f"{value!r} is not the name of a class"
    for name in (kind, registered):  # Keras falls back on the registered name, or takes it first
        if name in _CODE:
            return f"{name} runs code that is stored in the file or names it"
        if name in _FILES:
            return f"{name} reads files"
    if kind in names.DATA and module in (None, "builtins"):
        return None
    if kind == "function":
        return _activation_objection(item.get("config"), module, registered)
    own = kind in names.APPLICATIONS and _is_application(module)
    if registered not in (None, kind, f"Custom>{kind}" if own else None):
        return f"{registered} is a custom class"
    if not own and (reason := _class_objection(kind, module)) is not None:
        return reason
    return _function_objection(kind, item) if kind in names.FUNCTION_LAYERS else None


def _activation_objection(function: Any, module: str | None, registered: str | None) -> str | None:
    if module not in _ACTIVATIONS:
        return f"it names the function '{function}', and the function comes from the module '{module}'"
    for name in (function, registered):  # Keras looks up either
        if name not in (*names.ACTIVATIONS, None, "function"):
            return f"it names the function '{name}', which is none of Keras' activations"
    return None


def _class_objection(kind: str, module: str | None) -> str | None:
    """Why a class may not be taken from a module, or None; an `.h5` names no module."""
    if module is None:
        allowed = _ANYWHERE
    elif module in _MODULES:
        allowed = _MODULES[module]
    else:
        root, *parts = (part for part in module.split(".") if part != "src")
        if root not in _KERAS:
            return f"{kind} comes from the module '{module}'"
        if (part := parts[0] if parts else "") not in _PARTS:
            return f"{kind} of '{module}' is not a part of a network"
        allowed = _PARTS[part]
    return None if kind in allowed else f"{kind} is not among the classes of Keras that may be built unchecked"


def _setting_objection(item: dict[str, Any]) -> str | None:
    """Why a setting may not be looked up by its name, or None: `activation="relu"`."""
    for key, value in item.items():
        for end, allowed in names.STRINGS.items():
            if isinstance(value, str) and key.endswith(end) and value not in allowed:
                return f"its {key} '{value}' is not among those of Keras"
    return None


def _function_objection(kind: str, item: dict[str, Any]) -> str | None:
    config = item.get("config")
    named = str(config.get("function")) if isinstance(config, dict) else ""
    module, _, function = named.rpartition(".")
    if module in _FUNCTION_MODULES and function in names.FUNCTIONS:
        return None
    return f"{kind} calls the TensorFlow function '{named}'"


def _is_application(module: Any) -> bool:
    """Whether it is a module of `keras.applications`; an `.h5` names none."""
    prefixes = ("keras.src.applications.", "tf_keras.src.applications.")
    return module is None or (isinstance(module, str) and module.startswith(prefixes))


def foreign_classes(config: Any) -> Iterator[tuple[str, str]]:
    """(module, name) of every class and function that is not Keras' own, for a configuration that is trusted."""
    for name, module in _named(config):
        if module is not None and module.split(".")[0] not in _NOT_FOREIGN:
            yield module, name


def unplaced_classes(config: Any) -> Iterator[str]:
    """Custom classes and functions of which a configuration does not say in which module they are.

    `package>Name` where they were registered under a package, which need not be the name of a module.
    """
    known = _ANYWHERE | names.DATA | names.ACTIVATIONS | _CODE | _FILES
    for name, module in _named(config):
        if module in (None, "builtins") and name not in known:
            yield name


def _named(config: Any) -> Iterator[tuple[str, str | None]]:
    """(name, module) of every class and function."""
    for _, item in _mappings(config, layer="model"):
        kind, module, registered = item.get("class_name"), item.get("module"), item.get("registered_name")
        name = item.get("config") if kind == "function" else kind
        if module is None and isinstance(registered, str) and ">" in registered:
            name = registered
        if isinstance(name, str) and (module is None or isinstance(module, str)):
            yield name, module


def layer_count(config: Any) -> int:
    """Layers of a model and of the models inside it."""
    lists = (item["layers"] for _, item in _mappings(config, layer="model") if isinstance(item.get("layers"), list))
    return sum(len(layers) for layers in lists)


def _mappings(item: Any, *, layer: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every mapping in a configuration, objects to be built among them, with the name of the layer it belongs to."""
    if isinstance(item, dict):
        inner = item.get("config")
        if isinstance(inner, dict) and isinstance(inner.get("name"), str):
            layer = inner["name"]
        yield layer, item
        for value in item.values():
            yield from _mappings(value, layer=layer)
    elif isinstance(item, list):
        for value in item:
            yield from _mappings(value, layer=layer)
