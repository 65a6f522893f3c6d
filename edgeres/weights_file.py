"""HDF5 files that give more than is in them: links to other files, data kept there, arrays of sizes only declared.

Loading one would read whatever file it names into the model's weights, or take the memory that it asks for.
"""

from __future__ import annotations

import math
import tempfile
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgeres.errors import ModelError, require

_WEIGHTS = "model.weights.h5"

MAX_DECLARED = 64 << 20
"""Bytes that arrays may take in memory whatever is stored of them; beyond, `_MAX_RATIO` times what is stored."""

_MAX_RATIO = 100
_NUMBERS = "fiubcV"  # V: bfloat16, which NumPy does not know; O would be text and references of any length


def check_weights(path: Path, *, where: Path) -> None:
    """Refuse a `.keras` or `.h5` file whose weights are not in the file itself; `where` is the name for the user.

    Only headers are read.

    Raises:
        ModelError: it links to another file, or declares arrays far larger than what is stored; says where in it.
    """
    h5py = require("h5py", extra="convert", purpose="reading an .h5 file")
    if path.suffix != ".keras":
        with h5py.File(path, "r") as file:
            check_open(file, where=where)
        return
    with zipfile.ZipFile(path) as archive, tempfile.TemporaryDirectory(dir=path.parent) as folder:
        for name in archive.namelist():
            if name.endswith((".npz", ".npy", ".pkl")):
                raise ModelError(f"{where}: holds '{name}'", fix="save it again: weights belong into model.weights.h5")
        if _WEIGHTS in archive.namelist():
            with h5py.File(archive.extract(_WEIGHTS, folder), "r") as file:
                check_open(file, where=where)


def check_open(file: Any, *, where: Path) -> None:
    """`check_weights` of an open `h5py.File`: whoever reads on from it reads what was checked.

    Raises:
        ModelError: see `check_weights`.
    """
    h5py = require("h5py", extra="convert", purpose="reading an .h5 file")
    sizes = _Sizes(file.id.get_filesize())

    def visit(name: str, link: Any) -> str | None:
        if isinstance(link, h5py.ExternalLink):
            return f"'{name}' is in another file, {link.filename}"
        if not isinstance(link, h5py.HardLink):
            return None
        try:
            item = file[name]
            if not isinstance(item, h5py.Dataset):
                return None
            if item.external or item.is_virtual:
                return f"the data of '{name}' are in another file"
            return sizes.objection(name, item, place=h5py.h5o.get_info(item.id).addr)
        except (KeyError, OSError, RuntimeError, TypeError, ValueError) as problem:  # h5py makes it a SystemError
            return f"'{name}' cannot be read: {problem}"

    reason = file.visititems_links(visit)
    if reason is not None:
        raise ModelError(f"{where}: refused before loading: {reason}", fix="save it again with model.save(path)")


@dataclass
class _Sizes:
    """Bytes of the arrays seen so far: as declared, and as stored."""

    file: int
    declared: int = 0
    stored: int = 0
    seen: set[int] = field(default_factory=set)

    def objection(self, name: str, item: Any, *, place: int) -> str | None:
        """Why an array may not be read, or None; `place`: where in the file it is, for one of several names."""
        if item.dtype.kind not in _NUMBERS or item.dtype.names is not None:
            return f"'{name}' holds {item.dtype}, not numbers"
        if place in self.seen:
            return None
        self.seen.add(place)
        values = max(math.prod(item.shape or ()), math.prod(item.chunks or ()))  # a chunk is unpacked whole
        self.declared += values * item.dtype.itemsize
        self.stored += item.id.get_storage_size()
        if self.stored > self.file:
            return f"with '{name}' it stores {self.stored:,} bytes, and the file has {self.file:,}"
        if self.declared > max(MAX_DECLARED, _MAX_RATIO * self.stored):
            return f"with '{name}' its arrays are {self.declared:,} bytes, of which {self.stored:,} are stored"
        return None
