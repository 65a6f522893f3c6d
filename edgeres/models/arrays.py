"""The weights in a file, layer by layer, as arrays: read without building a model wherever the format allows it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from edgeres.errors import ModelError
from edgeres.keras_file import read_keras_file
from edgeres.keras_io import load
from edgeres.weights_file import check_open

LayerArrays = tuple[NDArray[Any], ...]
"""A layer's weights in Keras' order: kernel, bias; or gamma, beta, moving mean, moving variance."""

Arrays = dict[str, LayerArrays]
"""Layer name -> its weights."""

_SAVE_AGAIN = "save it again, as .keras with model.save(path), or as .h5 with tf_keras' model.save_weights(path)"


def read_arrays(path: Path, *, trust: bool = False) -> Arrays:
    """The weights of a `.keras` file, or of an `.h5` file of a model or of weights alone.

    Raises:
        ModelError: absent, unreadable, of another format, or a `.keras` that would run code, unless `trust`.
    """
    if not path.is_file():
        raise ModelError(f"{path} is no file of weights", fix="give a run folder, a .keras or an .h5 file")
    if path.suffix not in (".h5", ".hdf5"):
        return arrays_of(load(read_keras_file(path, trust=trust)))
    try:
        with h5py.File(path, "r") as file:
            check_open(file, where=path)  # the same open file: another one may take its name meanwhile
            return dict(_layers(file.get("model_weights", file)))
    except (OSError, KeyError, TypeError, ValueError, RuntimeError) as problem:  # what h5py raises on a damaged file
        raise ModelError(f"{path} holds no readable Keras weights: {problem}", fix=_SAVE_AGAIN) from problem


def arrays_of(model: Any) -> Arrays:
    """The weights of a model, and of the models inside it."""
    found: Arrays = {}
    for layer in model.layers:
        if hasattr(layer, "layers"):
            found |= arrays_of(layer)
        elif weights := layer.get_weights():
            found[layer.name] = tuple(weights)
    return found


def _layers(group: Any) -> Iterator[tuple[str, LayerArrays]]:
    """Layers with weights, in the layout that Keras 2 writes: a group a layer, its datasets named by an attribute."""
    names = _names(group, "layer_names")
    if not names:
        raise ValueError("it names no layers (Keras 3's save_weights does not)")
    for layer in names:
        weights = tuple(np.asarray(group[layer][name]) for name in _names(group[layer], "weight_names"))
        if weights:
            yield layer, weights


def _names(group: Any, attribute: str) -> list[str]:
    """A list of names; Keras cuts one that is longer than HDF5's 64 KiB an attribute into `attribute0`, …"""
    parts = [attribute] if attribute in group.attrs else []
    while (part := f"{attribute}{len(parts)}") in group.attrs:
        parts.append(part)
    found = [name for part in parts for name in group.attrs[part]]
    return [name.decode() if isinstance(name, bytes) else str(name) for name in found]
