"""Keras models in and out of files: built only after `edgeres.keras_file` found the file harmless."""

from __future__ import annotations

import importlib
import os
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tf_keras

from edgeres.errors import ModelError
from edgeres.keras_file import CARD, KerasFile, ModelCard
from edgeres.records import dump
from edgeres.storage import full_temporary_folder, typed_storage_errors

_CLASSIFIER = "save the classifier alone, from its image to a score for each class"


def load(file: KerasFile) -> Any:
    """Build the model: a tf_keras model for generation 2, a Keras 3 model for generation 3.

    Raises:
        OutputError: the folder for temporary files is full.
        ModelError: Keras refuses it, or it has not one image input and one output of scores.
    """
    try:
        loader = importlib.import_module("keras" if file.generation == 3 else "tf_keras").models
        with _own_temporary_folder():
            model = loader.load_model(file.path, compile=False)
    except Exception as problem:  # a hostile or newer file can make Keras raise anything
        if (full := full_temporary_folder(problem)) is not None:
            raise full from problem
        raise ModelError(
            f"Keras cannot load {file.path}: {str(problem).splitlines()[0]}",
            details=(f"it was written by Keras {file.version}",),
            fix="save it again with model.save(path), from Keras' own layers",
        ) from problem
    _require_classifier(model, file.path)
    return model


@contextmanager
def _own_temporary_folder() -> Iterator[None]:
    """What Keras unpacks goes away also where it fails or is interrupted; Keras itself would leave it."""
    before = tempfile.tempdir
    with tempfile.TemporaryDirectory(prefix="edgeres-load-") as folder:
        tempfile.tempdir = folder
        try:
            yield
        finally:
            tempfile.tempdir = before


def save_model(model: Any, path: Path, *, card: ModelCard) -> None:
    """Write a tf_keras model with its card as `.keras`, atomically; weights and graph, no optimizer.

    Raises:
        OutputError: no space, no permission.
    """
    with typed_storage_errors(path), tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
        temporary = Path(folder) / "model.keras"
        bare = tf_keras.models.clone_model(model)  # a copy that was not compiled: no optimizer, loss or schedule
        bare.set_weights(model.get_weights())
        bare.save(temporary)
        with zipfile.ZipFile(temporary, "a") as archive:
            archive.writestr(CARD, dump(card))
        with temporary.open("rb") as stream:
            os.fsync(stream.fileno())
        temporary.replace(path)


def _require_classifier(model: Any, path: Path) -> None:
    shape, scores = getattr(model, "input_shape", None), getattr(model, "output_shape", None)
    if not isinstance(shape, tuple) or len(shape) != 4 or shape[-1] not in (1, 3):
        raise ModelError(f"{path}: expected one input (N, height, width, 1 or 3), found {shape}", fix=_CLASSIFIER)
    if None in shape[1:]:
        raise ModelError(
            f"{path}: the input size is not fixed, found {shape}", fix="save the model with a fixed Input shape"
        )
    if not isinstance(scores, tuple) or len(scores) != 2 or not scores[-1] or scores[-1] < 2:
        raise ModelError(
            f"{path}: expected one output (N, classes) with 2 classes or more, found {scores}", fix=_CLASSIFIER
        )
