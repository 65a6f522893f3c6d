"""Models in and out of files: built only after `edgeres.keras_file` found the file harmless, or it is trusted."""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tf_keras

from edgeres import saved_model
from edgeres.depth import allow_layers
from edgeres.errors import EdgeresError, ModelError
from edgeres.keras_config import foreign_classes, layer_count, unplaced_classes
from edgeres.keras_file import CARD, KerasFile, ModelCard, read_keras_file
from edgeres.rebuild.model import needs_rebuilding, rebuild
from edgeres.rebuild.proof import excess
from edgeres.rebuild.refusal import NotRebuiltError
from edgeres.records import dump
from edgeres.storage import full_temporary_folder, temporary_files_in, typed_storage_errors
from edgeres.weights_file import check_weights

_CLASSIFIER = "save the classifier alone, from its image to a score for each class"


@dataclass(frozen=True)
class Prunable:
    """A model as a flat tf_keras graph of layers; `model` is None where it cannot be one, `why` says why."""

    model: Any
    why: str | None = None


def load(file: KerasFile) -> Any:
    """Build the model as it was saved: of tf_keras (generation 2), Keras 3 (3), or a `saved_model.Classifier` (0).

    What is loaded is a copy that was checked itself: a file that changes meanwhile is refused.

    Raises:
        OutputError: the folder for temporary files is full.
        ModelError: it changed since it was read, Keras refuses it, it is not from one image to scores, or its weights
            are not numbers.
    """
    try:
        with _checked_copy(file) as copy:
            model = _build(copy, file)
    except EdgeresError:
        raise
    except Exception as problem:  # a hostile or newer file can make Keras raise anything
        if (full := full_temporary_folder(problem)) is not None:
            raise full from problem
        writer = file.version if file.generation == 0 else f"Keras {file.version}"
        raise ModelError(
            f"Keras cannot load {file.path}: {_reason(problem)}",
            details=(f"it was written by {writer}",),
            fix=_fix(file),
        ) from problem
    _require_classifier(model, file.path)
    _require_finite(model, file.path)
    return model


def load_prunable(file: KerasFile) -> Any:
    """Build the model as a flat tf_keras graph, proved equal to what was saved: what tfmot can prune.

    Raises:
        OutputError: the folder for temporary files is full.
        ModelError: see `load`; or a layer that has no counterpart in tf_keras, by name.
    """
    found = prunable(load(file), generation=file.generation)
    if found.model is None:
        raise ModelError(
            f"{file.path}: cannot be pruned: {found.why}",
            fix="use a recipe without the steps 'slim' and 'prune', such as int8",
        )
    return found.model


def prunable(model: Any, *, generation: int) -> Prunable:
    """What `load` gave, rebuilt: nested models flattened, Keras 3 and functions of TensorFlow as tf_keras layers.

    Its outputs on random images are the original's: see `edgeres.rebuild.proof`.
    """
    if generation == 0:
        return Prunable(None, "a SavedModel is a graph of operators, without layers")
    if generation == 2 and not needs_rebuilding(model):
        return Prunable(model)
    try:
        flat = rebuild(model)
    except NotRebuiltError as problem:
        return Prunable(None, str(problem))
    except Exception as problem:  # noqa: BLE001 - tf_keras refuses settings by exceptions of every kind
        return Prunable(None, f"tf_keras refuses a layer: {_reason(problem)}")
    try:
        difference = excess(model, flat)
    except Exception as problem:  # noqa: BLE001 - a model of a fixed batch, say, does not take one image
        return Prunable(None, f"it cannot be run on a single image: {_reason(problem)}")
    if difference is not None:
        return Prunable(None, f"its tf_keras counterpart's outputs differ by {difference:.2g} of the largest")
    return Prunable(flat)


def _reason(problem: Exception) -> str:
    """The first line of what went wrong."""
    return next((line.strip() for line in str(problem).splitlines() if line.strip()), type(problem).__name__)


def _build(copy: KerasFile, file: KerasFile) -> Any:
    if file.generation == 0:
        return saved_model.Classifier(copy.path, signature=copy.config["signature"])
    if file.generation == 3:
        os.environ.setdefault("KERAS_BACKEND", "tensorflow")  # the only one whose models TFLite takes
    allow_layers(layer_count(copy.config))
    keras = importlib.import_module("keras" if file.generation == 3 else "tf_keras")
    known = _application_layers(keras)
    if file.trusted:
        known |= _custom_objects(copy.config)
    with keras.utils.custom_object_scope(known):
        return keras.models.load_model(copy.path, compile=False, safe_mode=not file.trusted)


def _custom_objects(config: dict[str, Any]) -> dict[str, Any]:
    """Classes and functions from elsewhere that a trusted configuration names.

    tf_keras imports a class that a layer names only if it is registered, and an `.h5` names no module at all: there the
    package under which a class was registered is taken for one, which registers it.
    """
    for package, mark, _ in (name.partition(">") for name in unplaced_classes(config)):
        if mark and importlib.util.find_spec(package.partition(".")[0]) is not None:
            importlib.import_module(package)
    return {name: getattr(importlib.import_module(module), name) for module, name in foreign_classes(config)}


def _fix(file: KerasFile) -> str:
    """What to do about a file that Keras does not load."""
    unplaced = sorted(set(unplaced_classes(file.config))) if file.trusted and file.generation else []
    if unplaced:
        return (
            f"the file does not say in which module to find {', '.join(unplaced)}: in that module, register it under "
            "the module's name, @keras.saving.register_keras_serializable('MODULE'), save the model again as .keras, "
            "and set PYTHONPATH to where the module lies"
        )
    if file.trusted and any(foreign_classes(file.config)):
        modules = sorted({module for module, _ in foreign_classes(file.config)})
        return f"set PYTHONPATH to where {', '.join(modules)} can be imported from"
    return "save it again with model.save(path), from Keras' own layers"


def _application_layers(keras: Any) -> dict[str, Any]:
    """Layers that `keras.applications` define for themselves: an `.h5` does not say from where they come."""
    applications = f"{keras.__name__}.src.applications"
    convnext, inception = (
        importlib.import_module(f"{applications}.{name}") for name in ("convnext", "inception_resnet_v2")
    )
    return {
        "LayerScale": convnext.LayerScale,
        "StochasticDepth": convnext.StochasticDepth,
        "CustomScaleLayer": inception.CustomScaleLayer,
    }


@contextmanager
def _checked_copy(file: KerasFile) -> Iterator[KerasFile]:
    """A private copy of a file, read and checked again, for as long as the block lasts.

    What Keras unpacks goes into the same folder, and away with it: where Keras fails, it would leave it.

    Raises:
        ModelError: it is not what was read before.
    """
    with tempfile.TemporaryDirectory(prefix="edgeres-load-") as folder:
        place = Path(folder) / f"model{file.path.suffix if file.generation else ''}"
        if file.path.is_dir():
            shutil.copytree(file.path, place, symlinks=True)  # a link that came since is refused below
        else:
            shutil.copyfile(file.path, place)
        copy = read_keras_file(place, trust=file.trusted)
        if copy.sha256 != file.sha256:
            raise ModelError(f"{file.path} changed while it was being read", fix="try again once nothing writes to it")
        if file.generation:
            check_weights(place, where=file.path)
        with temporary_files_in(folder):
            yield replace(copy, path=place)


def save_model(model: Any, path: Path, *, card: ModelCard) -> None:
    """Write a tf_keras model with its card as `.keras`, atomically; weights and graph, no optimizer.

    Raises:
        OutputError: no space, no permission.
    """
    with typed_storage_errors(path), tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
        temporary = Path(folder) / "model.keras"
        bare = tf_keras.models.clone_model(model)  # a copy that was not compiled: no optimizer, loss or schedule
        bare.set_weights(model.get_weights())
        with temporary_files_in(folder):  # where the disk is full, tf_keras would leave its own
            bare.save(temporary)
        with zipfile.ZipFile(temporary, "a") as archive:
            archive.writestr(CARD, dump(card))
        with temporary.open("rb") as stream:
            os.fsync(stream.fileno())
        temporary.replace(path)


def model_bytes(model: Any, *, card: ModelCard) -> bytes:
    """What `save_model` writes.

    Raises:
        OutputError: the folder for temporary files is full.
    """
    with tempfile.TemporaryDirectory(prefix="edgeres-save-") as folder:
        place = Path(folder) / "model.keras"
        save_model(model, place, card=card)
        return place.read_bytes()


def _require_finite(model: Any, path: Path) -> None:
    values = ((weight, np.asarray(weight)) for weight in model.weights)
    broken = [weight for weight, its in values if its.dtype.kind == "f" and not np.isfinite(its).all()]
    if broken:
        first = str(getattr(broken[0], "path", broken[0].name)).partition(":")[0]
        raise ModelError(
            f"{path}: {len(broken)} of {len(model.weights)} weights hold NaN or infinity",
            details=(f"first: {first}",),
            fix="give a checkpoint from before training diverged, or train again with a lower learning rate",
        )


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
