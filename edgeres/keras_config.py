"""Whether building a model from its configuration would run code that came with the file.

Checked before Keras sees the file: tf_keras runs a Lambda's code while loading an `.h5` even in safe mode.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from edgeres.errors import ModelError

# Layers that carry code or name arbitrary functions of TensorFlow.
_CODE = {"Lambda", "TFOpLambda", "SlicingOpLambda", "ClassMethod", "InstanceMethod", "InstanceProperty", "__lambda__"}
_CODE |= {"TorchModuleWrapper", "FlaxLayer", "JaxLayer", "TFSMLayer"}
_PACKAGES = ("keras", "tf_keras")


def check_config(config: Any, *, where: str) -> None:
    """Refuse a configuration that names anything but Keras' own classes.

    Raises:
        ModelError: a Lambda, a custom class or a function from elsewhere; says which, and in which layer.
    """
    for layer, item in _serialized(config, layer="model"):
        kind, module = str(item["class_name"]), item.get("module")
        registered = item.get("registered_name")
        if kind in _CODE:
            raise _refusal(where, layer, f"{kind} runs code that is stored in the file")
        if isinstance(module, str) and module.split(".")[0] not in (*_PACKAGES, "builtins"):
            raise _refusal(where, layer, f"{kind} comes from the module '{module}'")
        if module == "builtins" and kind == "function":
            raise _refusal(where, layer, f"it names the function '{item.get('config')}'")
        if isinstance(registered, str) and ">" in registered:
            raise _refusal(where, layer, f"{registered} is a custom class")


def _refusal(where: str, layer: str, reason: str) -> ModelError:
    return ModelError(
        f"{where}: refused before loading: layer '{layer}': {reason}",
        fix="rebuild the model from Keras' own layers and save it again",
    )


def _serialized(item: Any, *, layer: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object a configuration would construct, with the name of the layer it belongs to."""
    if isinstance(item, dict):
        inner = item.get("config")
        if isinstance(inner, dict) and isinstance(inner.get("name"), str):
            layer = inner["name"]
        if isinstance(item.get("class_name"), str):
            yield layer, item
        for value in item.values():
            yield from _serialized(value, layer=layer)
    elif isinstance(item, list):
        for value in item:
            yield from _serialized(value, layer=layer)
