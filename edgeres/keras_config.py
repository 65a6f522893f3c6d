"""Whether building a model from its configuration would run code that came with the file, or reach outside of it.

Checked before Keras sees the file: tf_keras runs a Lambda's code while loading an `.h5` even in safe mode, and both
generations import whatever module a configuration names. So nothing passes but Keras' own classes for networks.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from edgeres.errors import ModelError

# Layers that carry code or an operator of TensorFlow, load other files, or call a method of any object.
_CODE = {"Lambda", "ClassMethod", "InstanceMethod", "InstanceProperty", "__lambda__", "__typespec__"}
_CODE |= {"TorchModuleWrapper", "FlaxLayer", "JaxLayer", "TFSMLayer", "ModuleWrapper", "TensorFlowOpLayer"}
_CODE |= {"ResidualWrapper", "DropoutWrapper"}  # of RNN cells: tf_keras takes their function from bytecode
_FILES = {"TextVectorization", "StringLookup", "IntegerLookup", "IndexLookup", "DenseFeatures", "SequenceFeatures"}

_DATA = {"__keras_tensor__", "__tensor__", "__numpy__", "__tuple__", "__ellipsis__", "__bytes__", "__slice__"}
"""Values, not objects."""

_TOP = {"Model", "Sequential", "Functional", "DTypePolicy", "FloatDTypePolicy", "DTypePolicyMap"}
"""What a configuration may take from `keras` itself."""

_PARTS = {"layers", "models", "engine", "initializers", "regularizers", "constraints", "dtype_policies"}
_PARTS |= {"mixed_precision", "optimizers", "losses", "metrics"}  # the last three: of a model inside that was compiled
"""Modules of Keras whose classes may be built; not `utils`, `saving`, `backend` and the like."""

_OPERATIONS = ("keras.src.ops.numpy", "keras.src.ops.nn", "keras.src.ops.image", "keras.src.ops.core")
_NOT_FOREIGN = {"keras", "tf_keras", "tensorflow", "builtins"}
_APPLICATIONS = {"LayerScale", "StochasticDepth", "CustomScaleLayer"}
"""Layers that modules of `keras.applications` define for themselves."""

_CONSTANTS = "tensorflow.python.ops.init_ops_v2"
"""Where tf_keras takes some initializers from."""

_FUNCTION_LAYERS = {"TFOpLambda", "SlicingOpLambda"}
_ARITHMETIC = """
    add subtract sub multiply mul truediv divide maximum minimum abs exp sqrt rsqrt square pow neg negative sigmoid tanh
    softplus relu relu6 silu swish gelu softmax log_softmax leaky_relu elu selu reduce_mean reduce_max reduce_sum
    reduce_min reduce_std reduce_variance clip_by_value concat reshape transpose squeeze expand_dims cast identity pad
    stack unstack split tile slice strided_slice getitem bias_add avg_pool avg_pool2d max_pool max_pool2d resize
    l2_normalize convert_to_tensor broadcast_to space_to_depth depth_to_space zeros_like ones_like matmul
"""
_FUNCTIONS = frozenset(_ARITHMETIC.split())
"""Functions of TensorFlow that a Keras 2 graph may call: arithmetic on tensors."""

_FUNCTION_MODULES = {"math", "nn", "image", "linalg", "__operators__", ""}
_ACTIVATIONS = {f"{root}.{part}" for root in ("keras", "tf_keras") for part in ("activations", "src.activations")}
_ACTIVATIONS |= {"keras.src.activations.activations"}


def check_config(config: Any, *, where: str) -> None:
    """Refuse a configuration that names anything but Keras' own classes and activations.

    Raises:
        ModelError: a Lambda, a custom class, a function from elsewhere, a layer that opens files; says which, and in
            which layer.
        RecursionError: it is nested too deeply to be walked.
    """
    for layer, item in _serialized(config, layer="model"):
        reason = _objection(item)
        if reason is not None:
            raise ModelError(
                f"{where}: refused before loading: layer '{layer}': {reason}",
                fix="rebuild the model from Keras' own layers and save it again; "
                "or, if you trust whoever made the file as you trust a program, give --trust",
            )


def _objection(item: dict[str, Any]) -> str | None:
    """Why an object may not be built, or None."""
    kind, module, registered = item["class_name"], item.get("module"), item.get("registered_name")
    for value in (kind, *(each for each in (module, registered) if each is not None)):
        if not isinstance(value, str) or not value.replace("_", "a").replace(".", "a").replace(">", "a").isalnum():
            return f"{value!r} is not the name of a class"
    for name in (kind, registered):
        if name in _CODE:
            return f"{name} runs code that is stored in the file or names it"
        if name in _FILES:
            return f"{name} reads files"
    if kind in _DATA and module in (None, "builtins"):
        return None
    if kind == "function":
        if module in _ACTIVATIONS:
            return None
        return f"it names the function '{item.get('config')}', and the {kind} comes from the module '{module}'"
    own = kind in _APPLICATIONS and _is_application(module)
    if registered not in (None, kind, f"Custom>{kind}" if own else None):  # Keras falls back on it, or takes it first
        return f"{registered} is a custom class"
    if not own and (reason := _module_objection(kind, module)) is not None:
        return reason
    return _function_objection(kind, item) if kind in _FUNCTION_LAYERS else None


def _module_objection(kind: str, module: str | None) -> str | None:
    """Whether a class may be taken from a module; an `.h5` names none, there Keras takes only what it knows."""
    if module is not None and module not in (_CONSTANTS, *_OPERATIONS):
        parts = [part for part in module.split(".") if part != "src"]
        if parts[0] not in ("keras", "tf_keras"):
            return f"{kind} comes from the module '{module}'"
        allowed = kind in _TOP if len(parts) == 1 else parts[1] in _PARTS
        if not allowed:
            return f"{kind} of '{module}' is not a part of a network"
    # Keras would look for a class inside a class, and tf_keras calls a function where it expects a class.
    if "." in kind or not (kind.lstrip("_")[:1].isupper() or kind.startswith("_v1_")):
        return f"{kind!r} is not the name of a class"
    return None


def _function_objection(kind: str, item: dict[str, Any]) -> str | None:
    config = item.get("config")
    named = str(config.get("function")) if isinstance(config, dict) else ""
    module, _, function = named.rpartition(".")
    if module in _FUNCTION_MODULES and function in _FUNCTIONS:
        return None
    return f"{kind} calls the TensorFlow function '{named}'"


def _is_application(module: Any) -> bool:
    """Whether it is a module of `keras.applications`; an `.h5` names none."""
    prefixes = ("keras.src.applications.", "tf_keras.src.applications.")
    return module is None or (isinstance(module, str) and module.startswith(prefixes))


def foreign_classes(config: Any) -> Iterator[tuple[str, str]]:
    """(module, name) of every class that is not Keras' own, for a configuration that is trusted."""
    for _, item in _serialized(config, layer="model"):
        kind, module = item["class_name"], item.get("module")
        if isinstance(kind, str) and isinstance(module, str) and module.split(".")[0] not in _NOT_FOREIGN:
            yield module, kind


def _serialized(item: Any, *, layer: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object a configuration would construct, with the name of the layer it belongs to."""
    if isinstance(item, dict):
        inner = item.get("config")
        if isinstance(inner, dict) and isinstance(inner.get("name"), str):
            layer = inner["name"]
        if "class_name" in item:
            yield layer, item
        for value in item.values():
            yield from _serialized(value, layer=layer)
    elif isinstance(item, list):
        for value in item:
            yield from _serialized(value, layer=layer)
