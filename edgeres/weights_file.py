"""HDF5 files that reach outside of themselves: links to other files, and data kept in other files.

Loading one would read whatever file it names into the model's weights.
"""

from __future__ import annotations

import tempfile
import zipfile
from pathlib import Path
from typing import Any

from edgeres.errors import ModelError, require

_WEIGHTS = "model.weights.h5"


def check_links(path: Path, *, where: Path) -> None:
    """Refuse a `.keras` or `.h5` file whose weights are not in the file itself; `where` is the name for the user.

    Raises:
        ModelError: it links to another file; says where in it.
    """
    if path.suffix != ".keras":
        _check(path, where)
        return
    with zipfile.ZipFile(path) as archive, tempfile.TemporaryDirectory(dir=path.parent) as folder:
        for name in archive.namelist():
            if name.endswith((".npz", ".npy", ".pkl")):
                raise ModelError(f"{where}: holds '{name}'", fix="save it again: weights belong into model.weights.h5")
        if _WEIGHTS in archive.namelist():
            _check(Path(archive.extract(_WEIGHTS, folder)), where)


def _check(path: Path, where: Path) -> None:
    h5py = require("h5py", extra="convert", purpose="reading an .h5 file")

    def visit(name: str, link: Any) -> str | None:
        if isinstance(link, h5py.ExternalLink):
            return f"'{name}' is in another file, {link.filename}"
        if isinstance(link, h5py.HardLink):
            item = file[name]
            if isinstance(item, h5py.Dataset) and (item.external or item.is_virtual):
                return f"the data of '{name}' are in another file"
        return None

    with h5py.File(path, "r") as file:
        reason = file.visititems_links(visit)
    if reason is not None:
        raise ModelError(f"{where}: refused before loading: {reason}", fix="save it again with model.save(path)")
