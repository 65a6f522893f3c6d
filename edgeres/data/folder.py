"""`folder:PATH`: images in one sub-folder for each class, or in `train/`, `val/`, `test/` that each hold them.

Files are listed by extension and sorted by name; nothing is opened until it is read. Hidden files and other
extensions are passed over; sub-folders of a class belong to it; links to folders inside a class are not followed.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from edgeres.data.dataset import Dataset, SplitName
from edgeres.data.images import file_stamp
from edgeres.data.names import is_label, pack
from edgeres.data.splits import Indices, Listing, deal
from edgeres.errors import DataError
from edgeres.preprocess import Content

EXTENSIONS = frozenset((".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"))

MAX_FILE_BYTES = 512 << 20
"""A larger file is refused before it is read into memory."""

_SPLIT_FOLDERS: dict[str, SplitName] = {
    "train": "train",
    "val": "validation",
    "validation": "validation",
    "test": "test",
}
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ImageFiles:
    """Image files below `root`; `names` are their paths relative to it, with forward slashes."""

    root: Path
    names: Sequence[str]

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def place(self) -> str:
        """The folder's absolute path."""
        return str(self.root.resolve())

    def stamp(self, index: int) -> bytes | None:
        """Path, size and time of the file; None where it cannot be asked."""
        name = self.names[index]
        try:
            found = os.stat(f"{self.place}/{name}")  # noqa: PTH116 - a Path for each of a million files takes longer
        except OSError:
            return None
        return file_stamp(name, found.st_size, found.st_mtime_ns)

    def read(self, index: int) -> Content:
        """The file's bytes.

        Raises:
            DataError: it cannot be read, or is larger than `MAX_FILE_BYTES`.
        """
        path = self.root / self.names[index]
        try:
            if path.exists() and not path.is_file():  # opening a pipe would wait for its writer
                raise DataError("it is not a regular file")
            with path.open("rb") as stream:
                if os.fstat(stream.fileno()).st_size > MAX_FILE_BYTES:
                    raise DataError(f"the file has more than the {MAX_FILE_BYTES >> 20} MiB accepted")
                return stream.read()
        except OSError as problem:
            raise DataError(f"the file cannot be read: {problem.strerror}") from problem

    def name(self, index: int) -> str:
        """The path relative to the root, safe to print: what is no printable text is shown as `\\ufffd`."""
        name = os.fsencode(self.names[index]).decode("utf-8", "replace")
        return "".join(character if character.isprintable() else "\ufffd" for character in name)


def open_source(argument: str, seed: int) -> Dataset:
    """Open a folder of images.

    Raises:
        DataError: see `list_folder`; or too few images.
    """
    return deal(list_folder(f"folder:{argument}", argument), mirror=True, seed=seed)


def list_folder(source: str, path: str) -> Listing:
    """List the images of a folder without opening them; `source` is what errors and results call it.

    Raises:
        DataError: no folder there, no class sub-folder, a single class, a class without images or with a name that
            cannot be a label, or test classes other than the train classes.
    """
    root = _existing_folder(source, path)
    try:
        parts = _split_folders(source, root)
        if parts is None:
            return _listing(source, root, {"train": root})
        return _listing(source, root, parts)
    except OSError as problem:
        raise DataError(
            f"{source}: {problem.filename} cannot be listed: {problem.strerror}", fix="check its permissions"
        ) from problem


def _existing_folder(source: str, path: str) -> Path:
    if not path:
        raise DataError(f"'{source}' names no folder", fix=f"write {source.partition(':')[0]}:PATH")
    root = Path(path).expanduser()  # a shell leaves the ~ of folder:~/photos alone
    if not root.exists():
        raise DataError(f"{source}: {root} does not exist", fix="check the path")
    if not root.is_dir():
        raise DataError(f"{source}: {root} is a file, expected a folder", fix="give the folder that holds the images")
    return root


def _sub_folders(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir())


def _split_folders(source: str, root: Path) -> dict[SplitName, Path] | None:
    """The folder of each split, or None where the sub-folders are classes (one of which may be called 'train')."""
    folders = _sub_folders(root)
    known = [name for name in folders if name in _SPLIT_FOLDERS]
    others = [name for name in folders if name not in _SPLIT_FOLDERS]
    if not known or not any(_sub_folders(root / name) for name in known):
        return None
    if "train" not in known:
        raise DataError(f"{source} has {', '.join(f'{name}/' for name in known)} but no train/", fix="add train/")
    if {"val", "validation"} <= set(known):
        raise DataError(f"{source} has both val/ and validation/", fix="keep one of them")
    if others:
        raise DataError(
            f"{source} has other folders beside train/: {', '.join(others[:5])}",
            fix="keep only train/, val/ and test/ there, or only class folders",
        )
    return {_SPLIT_FOLDERS[name]: root / name for name in known}


def _listing(source: str, root: Path, parts: dict[SplitName, Path]) -> Listing:
    labels = _labels(source, parts["train"])
    counts: list[int] = []

    def every_class() -> Iterator[list[str]]:
        for folder in parts.values():
            for label in labels:
                files = _image_files(source, folder / label, root)
                counts.append(len(files))
                yield files

    for folder in parts.values():
        if (found := _labels(source, folder)) != labels:
            raise _other_classes(source, folder.name, found, labels)
    names = pack(every_class())
    classes = np.repeat(np.tile(np.arange(len(labels), dtype=np.int64), len(parts)), counts)
    ends = np.cumsum(np.reshape(counts, (len(parts), len(labels))).sum(axis=1))
    ranges: dict[SplitName, Indices] = {
        split: np.arange(start, end, dtype=np.int64)
        for split, start, end in zip(parts, (0, *ends[:-1]), ends, strict=True)
        if split != "train"
    }
    return Listing(source, labels, ImageFiles(root, names), classes, ranges)


def _labels(source: str, folder: Path) -> tuple[str, ...]:
    labels = tuple(_sub_folders(folder))
    with os.scandir(folder) as entries:
        loose = sum(entry.is_file() and _is_image(entry.name) for entry in entries)
    if not labels:
        held = f"{loose} images, but no class sub-folders" if loose else "neither images nor class sub-folders"
        raise DataError(f"{source}: {folder} holds {held}", fix="give each class a sub-folder with its images")
    if loose:
        _log.warning("%s: %d images lie beside the class folders of %s and are not used", source, loose, folder)
    for label in labels:
        if not is_label(label):
            raise DataError(
                f"{source}: the class folder {label!r} has control characters, line breaks or broken text in its name",
                fix="rename the folder",
            )
    if len(labels) == 1:
        raise DataError(
            f"{source} has a single class, '{labels[0]}': there is nothing to tell apart",
            details=(f"in {folder}",),
            fix="add a sub-folder for each further class",
        )
    return labels


def _is_image(name: str) -> bool:
    return not name.startswith(".") and name[name.rfind(".") :].lower() in EXTENSIONS


def _image_files(source: str, folder: Path, root: Path) -> list[str]:
    names: list[str] = []
    passed_over: Counter[str] = Counter()
    for place, folders, files in os.walk(folder, onerror=_raise):
        folders[:] = [name for name in folders if not name.startswith(".")]
        base = Path(place).relative_to(root).as_posix()  # not for each file: a Path takes ten times as long as the rest
        for name in files:
            if _is_image(name):
                names.append(f"{base}/{name}")
            elif not name.startswith("."):
                passed_over[Path(name).suffix.lower() or "(no extension)"] += 1
    if not names:
        others = ", ".join(f"{count} {extension}" for extension, count in passed_over.most_common(5))
        raise DataError(
            f"{source}: the class folder {folder.relative_to(root).as_posix()}/ has no images",
            details=(f"found other files: {others}",) if others else (),
            fix=f"add images ({' '.join(sorted(EXTENSIONS))}), or remove the folder",
        )
    return sorted(names)


def _raise(problem: OSError) -> None:
    raise problem


def _other_classes(source: str, part: str, found: tuple[str, ...], expected: tuple[str, ...]) -> DataError:
    details = []
    if absent := sorted(set(expected) - set(found)):
        details.append(f"only in train/: {', '.join(absent[:10])}")
    if unknown := sorted(set(found) - set(expected)):
        details.append(f"only in {part}/: {', '.join(unknown[:10])}")
    return DataError(
        f"{source}: the classes of {part}/ ({len(found)}) are not those of train/ ({len(expected)})",
        details=details,
        fix="give each part the same class folders",
    )
