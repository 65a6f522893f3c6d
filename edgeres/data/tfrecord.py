"""`tfrecord:GLOB`: TFRecord files of `tf.train.Example`, each with an encoded image and its class.

The features are found by their usual names (`record_index.IMAGE_KEYS`, `LABEL_KEYS`). Files whose names say so
(`train-00000-of-00010`, `flowers-test.tfrecord-00000-of-00002`) are the splits; of other names all are dealt.
TensorFlow is not needed.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgeres.data.dataset import Dataset, SplitName
from edgeres.data.images import file_stamp
from edgeres.data.names import is_label
from edgeres.data.record_index import Index, Keys, read_index
from edgeres.data.splits import Indices, Listing, deal
from edgeres.data.verdicts import ACCEPTED_PERCENT, too_many
from edgeres.errors import DataError
from edgeres.preprocess import Content

_SPLIT_WORDS: dict[str, SplitName] = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}


@dataclass(frozen=True)
class RecordImages:
    """The images that an index points at. `stamps` are of the files."""

    paths: tuple[Path, ...]
    stamps: tuple[bytes, ...]
    index: Index

    def __len__(self) -> int:
        return len(self.index.starts)

    @property
    def place(self) -> str:
        """The folder of the first file."""
        return f"tfrecord {self.paths[0].resolve().parent}"

    def stamp(self, index: int) -> bytes | None:
        """The file's stamp, and the image's place in it."""
        return self.stamps[int(self.index.files[index])] + b"\0%d" % self.index.starts[index]

    def read(self, index: int) -> Content:
        """The encoded bytes.

        Raises:
            DataError: the file is gone or became shorter.
        """
        start, length = int(self.index.starts[index]), int(self.index.lengths[index])
        try:
            with self.paths[self.index.files[index]].open("rb", buffering=0) as stream:
                content = os.pread(stream.fileno(), length, start)
        except OSError as problem:
            raise DataError(f"the file cannot be read: {problem.strerror}") from problem
        if len(content) < length:
            raise DataError("the file has become shorter")
        return content

    def name(self, index: int) -> str:
        """`train-00000-of-00010 at byte 4,711`: where the image begins."""
        return f"{self.paths[self.index.files[index]].name} at byte {int(self.index.starts[index]):,}"


def open_source(argument: str, seed: int) -> Dataset:
    """Open the TFRecord files that a pattern matches.

    Raises:
        DataError: no file, damaged files, no image or label in them, a single class, files of no split beside others.
        MissingExtraError: google-crc32c is not installed.
    """
    source = f"tfrecord:{argument}"
    return deal(list_records(source, _parts(source, _matched(source, argument))), mirror=True, seed=seed)


def _matched(source: str, pattern: str) -> list[Path]:
    if not pattern:
        raise DataError(f"'{source}' names no files", fix="write tfrecord:GLOB, e.g. 'tfrecord:photos/*.tfrecord'")
    expanded = os.path.expanduser(pattern)  # noqa: PTH111 - a pattern is no path
    found = sorted(set(glob.glob(expanded, recursive=True)))  # noqa: PTH207 - an absolute pattern is none for Path.glob
    paths = [Path(name) for name in found if Path(name).is_file() and not Path(name).name.startswith(".")]
    if not paths:
        folder = found[0] if len(found) == 1 and Path(found[0]).is_dir() else None
        raise DataError(
            f"{source}: {'it is a folder, expected files' if folder else 'no file matches'}",
            fix=f"write 'tfrecord:{folder}/*'"
            if folder
            else "check the pattern, and quote it: the shell expands * too",
        )
    return paths


def _parts(source: str, paths: Sequence[Path]) -> dict[SplitName, list[Path]]:
    """The files of each split, told by their names; all are "train" where no name says anything."""
    parts: dict[SplitName, list[Path]] = {}
    unknown: list[Path] = []
    for path in paths:
        words = [word for word in re.split(r"[^a-z]+", path.name.lower()) if word in _SPLIT_WORDS]
        (parts.setdefault(_SPLIT_WORDS[words[0]], []) if words else unknown).append(path)
    if parts and unknown:
        raise DataError(
            f"{source}: the names of some files say their split, those of {len(unknown)} others do not",
            details=[str(path) for path in unknown[:5]],
            fix="put train, val or test into each name, or narrow the pattern",
        )
    if parts and "train" not in parts:
        raise DataError(f"{source} matches files of {', '.join(parts)}, none of train", fix="widen the pattern")
    return parts or {"train": unknown}


def list_records(
    source: str,
    parts: Mapping[SplitName, Sequence[Path]],
    *,
    keys: Keys | None = None,
    labels: tuple[str, ...] | None = None,
) -> Listing:
    """The images of TFRecord files; `labels` are the names of the labels 0…n-1 where these are known.

    Raises:
        DataError: see `open_source`.
    """
    order: tuple[SplitName, ...] = ("train", "validation", "test")
    held = [(split, path) for split in order for path in parts.get(split, ())]
    paths = tuple(path for _, path in held)
    index = read_index(source, paths, keys=keys)
    if too_many(len(index.rejected), len(index.starts) + len(index.rejected)):
        raise DataError(
            f"{source}: {len(index.rejected):,} of {len(index.starts) + len(index.rejected):,} records are damaged or "
            f"lack an image or a label, more than {ACCEPTED_PERCENT} %",
            details=[str(each) for each in index.rejected[:5]],
            fix="write the files again",
        )
    if not len(index.starts):
        raise DataError(
            f"{source}: the files hold no record", details=[str(path) for path in paths[:5]], fix="check them"
        )
    names, classes = _classes(source, index, labels)
    stamps = tuple(file_stamp(str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns) for path in paths)
    of_split = np.asarray([order.index(split) for split, _ in held])[index.files]
    own: dict[SplitName, Indices] = {
        split: np.flatnonzero(of_split == order.index(split)).astype(np.int64) for split in parts if split != "train"
    }
    return Listing(source, names, RecordImages(paths, stamps, index), classes, own, index.rejected)


def _classes(source: str, index: Index, labels: tuple[str, ...] | None) -> tuple[tuple[str, ...], Indices]:
    """The class names in order, and the class of each image: int64 (n,)."""
    if labels is not None:
        outside = np.flatnonzero((index.labels < 0) | (index.labels >= len(labels)))
        if len(outside):
            found = int(index.labels[outside[0]])
            raise DataError(
                f"{source}: {len(outside):,} images have labels outside 0…{len(labels) - 1}, the first {found}",
                fix="choose a data set with labels",
            )
        return labels, index.labels
    values = np.unique(index.labels)
    plain = [index.texts.get(value, str(value)) for value in values.tolist()]
    names = [f"{name} ({value})" if plain.count(name) > 1 else name for name, value in zip(plain, values, strict=True)]
    if len(set(names)) < len(names):  # a name was what another became
        names = [f"{name} ({value})" for name, value in zip(plain, values, strict=True)]
    if len(names) == 1:
        raise DataError(f"{source} has a single class, '{names[0]}': there is nothing to tell apart", fix="add classes")
    for name in names:
        if not is_label(name):
            raise DataError(
                f"{source}: the class name {name!r} is blank, or has control characters or line breaks", fix="rename it"
            )
    return tuple(names), np.searchsorted(values, index.labels).astype(np.int64)
