"""What becomes of each Keras layer: the tf_keras layer of that name and settings, or what computes the same."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from tf_keras import layers
from tf_keras.src.applications.convnext import LayerScale  # ConvNeXt's own; tf_keras does not export it

from edgeres.rebuild.activations import NATIVE, activation_step, name_of
from edgeres.rebuild.penalties import PENALTIES, counterpart
from edgeres.rebuild.refusal import NotRebuiltError

Call = Callable[..., Any]

_BOTH = """
    Conv2D Conv2DTranspose DepthwiseConv2D SeparableConv2D Dense BatchNormalization LayerNormalization
    GroupNormalization UnitNormalization Activation ReLU PReLU ELU LeakyReLU Softmax MaxPooling2D AveragePooling2D
    GlobalMaxPooling2D GlobalAveragePooling2D ZeroPadding2D Cropping2D UpSampling2D Add Subtract Multiply Average
    Maximum Minimum Concatenate Reshape Flatten Permute Dropout SpatialDropout2D AlphaDropout GaussianDropout
    GaussianNoise Rescaling Resizing LayerScale
"""
SAME = frozenset(_BOTH.split())
"""Layers that both generations have, with the same meaning where they have the same settings."""

# Layers that do nothing at inference; so do all whose name begins with Random.
_NOTHING = {"Identity", "ActivityRegularization", "StochasticDepth", "AugMix", "RandAugment", "MixUp", "CutMix"}

# Of a layer's configuration: what does not change what a trained layer computes.
_FREE = ("dtype", "name", "trainable", "batch_input_shape", "batch_shape", "autocast", "activation", "synchronized")
_FREE_ENDS = ("_initializer", *PENALTIES)
_RENAMED = {"LeakyReLU": {"negative_slope": "alpha"}}


@dataclass(frozen=True)
class Replacement:
    """What is called in the place of a layer; `weighted` is the layer inside it that takes the weights, if any."""

    call: Call
    weighted: Any = None


def replacement(source: Any, label: str) -> Replacement:
    """The counterpart of a layer of either generation, its layers called after `label`.

    Raises:
        NotRebuiltError: there is none.
    """
    kind = type(source).__name__
    _require_known(source, kind)
    if does_nothing(kind):
        return Replacement(lambda x: x)
    if kind in _SPECIAL:
        return _SPECIAL[kind](source, label)
    if kind not in SAME:
        raise NotRebuiltError(source.name, f"{kind} has no counterpart in tf_keras that edgeres knows")
    return _same(source, kind, label)


def does_nothing(kind: str) -> bool:
    """Whether layers of this class leave their input as it is at inference; most of them augment images."""
    return kind in _NOTHING or kind.startswith("Random")


def _require_known(source: Any, kind: str) -> None:
    module = type(source).__module__.split(".")[0]
    if module not in ("keras", "tf_keras"):
        raise NotRebuiltError(source.name, f"{kind} is a custom class")
    computes = str(getattr(source, "compute_dtype", "float32"))
    if computes != "float32" and not kind.startswith("Random"):
        raise NotRebuiltError(source.name, f"it computes in {computes}, not in float32")


def _same(source: Any, kind: str, label: str) -> Replacement:
    made = LayerScale if kind == "LayerScale" else getattr(layers, kind)
    if type(source).__module__.startswith("tf_keras."):
        copy = type(source).from_config({**source.get_config(), "name": label})
        return Replacement(copy, copy)
    settings = _settings(source, kind, made)
    after = _activation(source, label)
    if after is None:
        target = made(**settings, name=label)
        return Replacement(target, target)
    target = made(**settings, name=f"{label}_linear")
    return Replacement(lambda x: after(target(x)), target)


def _settings(source: Any, kind: str, made: Any) -> dict[str, Any]:
    """The configuration of a Keras 3 layer as arguments of the tf_keras one."""
    known = {name for base in made.__mro__ for name in inspect.signature(base.__init__).parameters}
    defaults = inspect.signature(type(source).__init__).parameters
    found = {}
    for key, value in source.get_config().items():
        name = _RENAMED.get(kind, {}).get(key, key)
        if key in _FREE or key.endswith(_FREE_ENDS):
            if key in known and (penalty := counterpart(getattr(source, key, None))) is not None:
                found[key] = penalty
            continue
        if name in known:
            found[name] = value
        elif value not in (None, False) and not (key in defaults and defaults[key].default == value):
            raise NotRebuiltError(source.name, f"{kind} of tf_keras has no setting '{key}', which is {value!r} here")
    activation = getattr(source, "activation", None)
    if activation is not None and "activation" in known:
        found["activation"] = _native(source)
    return found


def _native(source: Any) -> str:
    """The activation that the layer itself applies: linear where it follows in layers of its own."""
    name = name_of(source.activation)
    return name if name in NATIVE else "linear"


def _activation(source: Any, label: str) -> Call | None:
    """The layers that follow one whose activation tf_keras does not have, or None."""
    if getattr(source, "activation", None) is None or (name := name_of(source.activation)) in NATIVE:
        return None
    step = activation_step(name, label)
    if step is None:
        raise NotRebuiltError(source.name, f"the activation '{name}' has no counterpart in tf_keras")
    return step


def _bare_activation(source: Any, label: str) -> Replacement:
    name = name_of(source.activation)
    if type(source).__module__.startswith("tf_keras."):
        return _same(source, "Activation", label)
    step = activation_step(name, label)
    if step is None:
        raise NotRebuiltError(source.name, f"the activation '{name}' has no counterpart in tf_keras")
    return Replacement(step)


def _normalization(source: Any, label: str) -> Replacement:
    """Adapted statistics become settings: tf_keras keeps them as weights only until they are given."""
    if source.get_config().get("invert"):
        raise NotRebuiltError(source.name, "Normalization with invert=True")
    mean, variance = (np.asarray(value).ravel().tolist() for value in (source.mean, source.variance))
    axis = source.get_config()["axis"]
    if list(np.atleast_1d(axis if axis is not None else 0)) not in ([-1], [3]):
        raise NotRebuiltError(source.name, f"Normalization over axis {axis}, expected the channels")
    return Replacement(layers.Normalization(axis=-1, mean=mean, variance=variance, name=label))


def _scaled_sum(source: Any, label: str) -> Replacement:
    """Inception-ResNet's residual sum, a + scale * b, a class of `keras.applications`' own."""
    scaled, total = layers.Rescaling(float(source.scale), name=f"{label}_scaled"), layers.Add(name=label)
    return Replacement(lambda pair: total([pair[0], scaled(pair[1])]))


_SPECIAL: dict[str, Callable[[Any, str], Replacement]] = {
    "Activation": _bare_activation,
    "Normalization": _normalization,
    "CustomScaleLayer": _scaled_sum,
}
