"""Weights from elsewhere into a network of the zoo: an earlier run, a Keras file, or those of `keras.applications`.

`read_weights` finds, reads and translates them and knows the preprocessing that they were trained with, before there
is a model; `put_weights` sets them. `load_weights` is both.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tf_keras

from edgeres.errors import ModelError
from edgeres.keras_file import read_keras_file
from edgeres.models.applications import APPLICATIONS, Application
from edgeres.models.arrays import Arrays, read_arrays
from edgeres.models.network import Network
from edgeres.native_output import muted
from edgeres.preprocess import Preprocess, named, resized
from edgeres.storage import sha256_file
from edgeres.training.run import model_of

IMAGENET = "imagenet"
_SHOWN = 3


@dataclass(frozen=True)
class Weights:
    """Weights for a network, by the names of its layers; `source` as the user gave it, `path` the file it meant.

    `contract`: the preprocessing that they were trained with, at the network's usual size, where it is known.
    """

    source: str
    path: Path
    sha256: str
    arrays: Arrays
    contract: Preprocess | None


@dataclass(frozen=True)
class Loaded:
    """What a model began with: the weights' file, their preprocessing for its input size, and the layers left new."""

    source: str
    sha256: str
    contract: Preprocess | None
    new_layers: tuple[str, ...]


def load_weights(model: Any, network: Network, source: str) -> Loaded:
    """Set the weights of a model that `network` built; see `read_weights` and `put_weights`."""
    return put_weights(model, read_weights(network, source))


def read_weights(network: Network, source: str, *, trust: bool = False) -> Weights:
    """The weights that `source` names for a network.

    Args:
        network: of the zoo.
        source: "imagenet"; a run folder; a `.keras` or `.h5` file; a weights file of `keras.applications`.
        trust: code in a Keras file may run.

    Raises:
        ModelError: absent, unreadable, of another network, or ImageNet weights that cannot be had.
    """
    path = _imagenet_file(network) if source == IMAGENET else model_of(Path(source))
    arrays = read_arrays(path, trust=trust)
    if any(application.first in arrays for application in APPLICATIONS.values()):
        application = APPLICATIONS.get(network.name)
        arrays = _translated(application, arrays, network, path)
        size = network.input_size
        contract = named(application.preset, height=size, width=size) if application else None
    else:
        contract = _contract(path, network, trust=trust)
    return Weights(source, path, sha256_file(path), arrays, contract)


def put_weights(model: Any, weights: Weights) -> Loaded:
    """Set a model's weights by layer name and shape; a last layer for other classes, or absent, stays new.

    Raises:
        ModelError: a layer that does not fit, is missing or is left over; the model is as it was.
    """
    ours = {layer.name: layer for layer in _weighted(model)}
    head = list(ours)[-1]
    new = (head,) if _other_classes(ours[head], weights.arrays) else ()
    misfits = [text for name, layer in ours.items() if name not in new for text in _misfit(layer, weights.arrays)]
    misfits += [f"{name}: not in {model.name}" for name in weights.arrays if name not in ours]
    if misfits:
        more = len(misfits) - _SHOWN
        raise ModelError(
            f"{weights.path}: weights for another network: {len(misfits)} layers do not fit {model.name}",
            details=(*misfits[:_SHOWN], *((f"… and {more} more",) if more > 0 else ())),
            fix="give weights of the same network, --width and --input-size",
        )
    for name, layer in ours.items():
        if name not in new:
            layer.set_weights(list(weights.arrays[name]))
    height, width = model.input_shape[1:3]
    contract = weights.contract and resized(weights.contract, height=height, width=width)
    return Loaded(weights.source, weights.sha256, contract, new)


def _weighted(model: Any) -> Iterator[Any]:
    return (layer for layer in model.layers if layer.weights)


def _shapes(layer: Any) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(weight.shape) for weight in layer.weights)


def _found(layer: Any, arrays: Arrays) -> tuple[tuple[int, ...], ...] | None:
    return tuple(array.shape for array in arrays[layer.name]) if layer.name in arrays else None


def _misfit(layer: Any, arrays: Arrays) -> Iterator[str]:
    if (found := _found(layer, arrays)) != _shapes(layer):
        yield f"{layer.name}: expected {_said(_shapes(layer))}, found {_said(found) if found else 'nothing'}"


def _said(shapes: tuple[tuple[int, ...], ...]) -> str:
    return ", ".join("x".join(map(str, shape)) for shape in shapes)


def _other_classes(head: Any, arrays: Arrays) -> bool:
    """Whether the last layer is absent, or differs in the number of its outputs and in nothing else."""
    found, expected = _found(head, arrays), _shapes(head)
    return found is None or (found != expected and [s[:-1] for s in found] == [s[:-1] for s in expected])


def _contract(path: Path, network: Network, *, trust: bool) -> Preprocess | None:
    """The preprocessing that a file of edgeres carries, which must be of the same network.

    Networks may have equal weights and compute otherwise: v1 and v1.5, a plain one and one with shortcut A.
    """
    card = read_keras_file(path, trust=trust).card if path.suffix == ".keras" else None
    if card and card.network and card.network.name != network.name:
        raise ModelError(
            f"{path}: weights for another network: it is {card.network.name}, not {network.name}",
            fix=f"train {card.network.name}, or give weights of {network.name}",
        )
    return card.preprocess if card else None


def _translated(application: Application | None, arrays: Arrays, network: Network, path: Path) -> Arrays:
    try:
        if application is not None and application.first in arrays:
            return application.translate(arrays)
    except (LookupError, TypeError, ValueError):  # a layer that theirs would have is absent, or has other weights
        pass
    raise ModelError(
        f"{path}: weights for another network: it is of keras.applications, but not of the model for {network.name}",
        details=(_known(network),),
        fix="train the network that the file is of",
    )


def _known(network: Network) -> str:
    """Which networks of the zoo have ImageNet weights, nearest first."""
    versions = [name for name in APPLICATIONS if name.startswith(f"{network.name}v")]
    if versions:
        return f"{network.name} strides elsewhere; keras.applications has weights of {' and '.join(versions)}"
    return f"keras.applications has weights of {', '.join(APPLICATIONS)}"


def _imagenet_file(network: Network) -> Path:
    """The file in Keras' cache, downloaded by `keras.applications` where it is absent."""
    application = APPLICATIONS.get(network.name)
    if application is None:
        versions = [name for name in APPLICATIONS if name.startswith(f"{network.name}v")]
        raise ModelError(
            f"there are no ImageNet weights for {network.name}",
            details=(_known(network),),
            fix=f"train {versions[0]}" if versions else "train one of these, or without --weights",
        )
    path = Path.home() / ".keras" / "models" / application.file
    if not path.is_file():
        _download(application, path)
    return path


def _download(application: Application, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)  # else Keras takes another folder
        with muted():
            getattr(tf_keras.applications, application.function)(weights=IMAGENET)
        reason = "Keras put them elsewhere"
    except Exception as problem:  # noqa: BLE001 - Keras wraps what the network raises in a bare Exception
        reason = " ".join(str(problem).split())
    if not path.is_file():
        raise ModelError(
            f"cannot download the ImageNet weights: {reason}",
            details=(f"looked for {path}",),
            fix=f"copy {application.file} there, or give its path: --weights PATH/{application.file}",
        )
