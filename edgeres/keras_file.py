"""Model files of Keras, read but not built: configuration, version and card, without TensorFlow.

`.keras` and `.h5` of both generations, and SavedModel folders (whose graph takes TensorFlow to read).

A file written by edgeres carries a `ModelCard` (its preprocessing, labels and network) beside the weights: a member
`edgeres.json` in the `.keras` archive, which Keras ignores.
"""

from __future__ import annotations

import json
import os
import stat
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from edgeres.archive import check_members
from edgeres.bundle import is_bundle
from edgeres.data.origin import Origin
from edgeres.errors import ModelError, require
from edgeres.keras_config import check_config, require_unquantized
from edgeres.native_output import resolve_muted
from edgeres.preprocess import Preprocess
from edgeres.records import decode
from edgeres.storage import sha256_bytes, sha256_file
from edgeres.training.run import NetworkConfig

SUFFIXES = (".keras", ".h5", ".hdf5")
CARD = "edgeres.json"
SAVED_MODEL = "saved_model.pb"
"""The file that makes a folder a SavedModel."""

MAX_BYTES = 8 << 30
"""A model's file or folder must not be larger: it is copied before it is loaded."""

_READ_SAVED_MODEL = "edgeres.saved_model:read"  # by name: it takes TensorFlow

# What a damaged archive, a damaged HDF5 file and a configuration of the wrong shape raise.
_UNREADABLE = (OSError, EOFError, KeyError, TypeError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True)
class ModelCard:
    """What a file written by edgeres says of itself.

    `network` is None for a model that is not of the zoo, `origin` for one that was not trained here. `kept`: for a
    model whose channels were pruned, the layers that lost outputs, each with the positions of those that it kept.
    """

    preprocess: Preprocess
    labels: tuple[str, ...]
    network: NetworkConfig | None = None
    origin: Origin | None = None
    kept: dict[str, tuple[int, ...]] | None = None
    schema: str = "edgeres.model/1"


@dataclass(frozen=True)
class KerasFile:
    """A file whose configuration was read, and nothing of which was built.

    `generation`: 2 for tf_keras, 3 for Keras 3, 0 for a SavedModel, whatever wrote it; its `config` is its signature.
    `version`: of the Keras that wrote it, or of TensorFlow. `trusted`: code in it may run; nothing was checked.
    """

    path: Path
    sha256: str
    config: dict[str, Any]
    generation: Literal[0, 2, 3]
    version: str
    card: ModelCard | None
    trusted: bool = False

    @property
    def format(self) -> str:
        """What kind of file it is, for a person."""
        return "SavedModel" if self.generation == 0 else f"Keras {self.generation}, {self.path.suffix}"

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of the model's input.

        Raises:
            ModelError: the configuration does not fix it.
        """
        shape = next(_input_shapes(self.config), None)
        if shape is None or len(shape) != 4 or not all(isinstance(size, int) for size in shape[1:]):
            raise ModelError(
                f"{self.path}: expected an input (N, height, width, channels) of fixed size, found {shape}",
                fix="save the model with a fixed Input shape",
            )
        return shape[1], shape[2], shape[3]


def is_saved_model(path: Path) -> bool:
    """Whether a path is the folder of a SavedModel."""
    return (path / SAVED_MODEL).is_file()


def read_keras_file(path: Path, *, trust: bool = False) -> KerasFile:
    """Read a file's configuration and card, and check that loading it would run no code; not where it is trusted.

    Raises:
        ModelError: absent, not a Keras file, weights only, or a Lambda, custom class or function in it.
    """
    if is_saved_model(path):
        _files(path)
        config, version = resolve_muted(_READ_SAVED_MODEL)(path, trust=trust)
        return KerasFile(path, sha256_folder(path), config, 0, version, None, trust)
    if is_bundle(path) or (path.suffix == ".tflite" and path.is_file()):
        raise ModelError(
            f"{path} is converted already: expected a Keras file", fix="give the model that it was made from"
        )
    if path.suffix not in SUFFIXES:
        raise ModelError(
            f"{path} is no Keras file", fix=f"give a file ending in {', '.join(SUFFIXES)}, or a SavedModel"
        )
    if not path.is_file():
        raise ModelError(f"{path} does not exist", fix="give the path of a .keras or .h5 file, or of a SavedModel")
    _require_size(path, path.stat().st_size)
    try:
        config, version, card = (_read_archive if path.suffix == ".keras" else _read_hdf5)(path)
        require_unquantized(config, where=str(path))
        if not trust:
            # How a `.keras` file was compiled is not loaded: a loss of the user's own, say, does no harm. An `.h5` has
            # that elsewhere (training_config), not loaded either; but a compile_config here, Keras would build.
            left_out = {"compile_config"} if path.suffix == ".keras" else set[str]()
            built = {key: value for key, value in config.items() if key not in left_out}
            check_config(built, where=str(path), details=(f"it was written by Keras {version}",))
    except _UNREADABLE as problem:  # too deep a configuration among them: a RecursionError is a RuntimeError
        raise ModelError(
            f"{path} is not a readable Keras file: {problem}", fix="save it again with model.save(path)"
        ) from problem
    generation: Literal[2, 3] = 3 if version.split(".")[0].isdecimal() and int(version.split(".")[0]) >= 3 else 2
    return KerasFile(path, sha256_file(path), config, generation, version, card, trust)


def sha256_folder(path: Path) -> str:
    """SHA-256 of the names and contents of all files below a folder.

    Raises:
        ModelError: a link, a pipe or a device among them, or more than `MAX_BYTES`.
    """
    # NUL is the one character that no name has; fsencode takes names that are not UTF-8.
    return sha256_bytes(
        b"".join(os.fsencode(file.relative_to(path)) + b"\0" + sha256_file(file).encode() for file in _files(path))
    )


def _files(path: Path) -> list[Path]:
    """All files below a folder; none but its own, which are read to their end."""
    found, size = [], 0
    for folder, folders, files in os.walk(path):  # does not follow links
        for entry in (Path(folder, name) for name in (*folders, *files)):
            status = entry.lstat()
            if stat.S_ISDIR(status.st_mode):
                continue
            if not stat.S_ISREG(status.st_mode):
                what = "a link" if stat.S_ISLNK(status.st_mode) else "no file"
                raise ModelError(
                    f"{path}: refused before loading: '{entry.relative_to(path)}' in it is {what}",
                    fix="copy the folder with the files themselves (cp -rL), if they are what the model consists of",
                )
            found.append(entry)
            size += status.st_size
    _require_size(path, size)
    return sorted(found)


def _require_size(path: Path, size: int) -> None:
    if size > MAX_BYTES:
        raise ModelError(
            f"{path}: expected a model of {MAX_BYTES:,} bytes at most, found {size:,}",
            fix="save the model without its optimizer",
        )


def _read_archive(path: Path) -> tuple[dict[str, Any], str, ModelCard | None]:
    with zipfile.ZipFile(path) as archive:
        check_members(archive, limit=MAX_BYTES)
        config = json.loads(archive.read("config.json"))
        metadata = json.loads(archive.read("metadata.json"))
        card = None
        if CARD in archive.namelist():
            card = decode(ModelCard, json.loads(archive.read(CARD)), where=f"{path}: {CARD}", error=ModelError)
    return _mapping(config), str(metadata["keras_version"]), card


def _mapping(config: Any) -> dict[str, Any]:
    if not isinstance(config, dict):
        raise ValueError(f"its configuration is a {type(config).__name__}")  # noqa: TRY004 - typed by the caller
    return config


def _input_shapes(item: Any) -> Iterator[list[Any]]:
    """Shapes of inputs in a configuration: Keras 2 calls them `batch_input_shape`, Keras 3 `batch_shape`."""
    if isinstance(item, dict):
        for key, value in item.items():
            if key in ("batch_input_shape", "batch_shape") and isinstance(value, list):
                yield value
            yield from _input_shapes(value)
    elif isinstance(item, list):
        for value in item:
            yield from _input_shapes(value)


def _read_hdf5(path: Path) -> tuple[dict[str, Any], str, None]:
    h5py = require("h5py", extra="convert", purpose="reading an .h5 file")
    with h5py.File(path, "r") as file:
        if "model_config" not in file.attrs:
            raise ValueError("it holds weights but no model")
        if file.attrs.get_id("model_config").shape != ():
            raise ValueError("its model_config is not one text")
        config = file.attrs["model_config"]
        version = file.attrs.get("keras_version", "2")
    return _mapping(json.loads(config)), str(version.decode() if isinstance(version, bytes) else version), None
