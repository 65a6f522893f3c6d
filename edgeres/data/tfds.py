"""`tfds:NAME`: a data set of TensorFlow Datasets that is prepared on this machine.

    tfds:mnist    tfds:mnist:3.0.1    tfds:imagenet_resized/32x32    tfds:flowers?data_dir=/data/tfds

It is looked for in `data_dir`, else in TFDS_DATA_DIR, else in ~/tensorflow_datasets. Nothing is downloaded:
`tfds build` does that. Its TFRecord files are read by our own index, array_record files by the random access of
tensorflow-datasets.
"""

from __future__ import annotations

import difflib
import logging
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgeres.data.dataset import Dataset, SplitName
from edgeres.data.images import file_stamp
from edgeres.data.record_index import Keys
from edgeres.data.splits import Indices, Listing, deal
from edgeres.data.tfrecord import list_records
from edgeres.errors import DataError, require
from edgeres.preprocess import Content

_SPLITS: dict[str, SplitName] = {"train": "train", "validation": "validation", "val": "validation", "test": "test"}
_NAME = re.compile(r"[A-Za-z_]\w*(/[\w.+-]+)?(:(\d[\w.*]*|experimental_latest))?")
_EXAMPLES = "write tfds:NAME, tfds:NAME/CONFIG or tfds:NAME:VERSION, with ?data_dir=PATH where it lies elsewhere"


@dataclass(frozen=True)
class RandomAccess:
    """Images of array_record files: `parts` are tensorflow-datasets' data sources, one a split, one after another."""

    folder: str
    image_key: str
    names: tuple[str, ...]
    parts: tuple[Any, ...]
    version: bytes

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    @property
    def place(self) -> str:
        """The folder of the data set."""
        return f"tfds {self.folder}"

    def stamp(self, index: int) -> bytes | None:
        """The stamp of the data set's files, and the image's number."""
        return self.version + b"\0%d" % index

    def read(self, index: int) -> Content:
        """The encoded bytes."""
        part, position = self._position(index)
        try:
            return bytes(self.parts[part][position][self.image_key])
        except (OSError, RuntimeError, ValueError, IndexError) as problem:  # what array_record raises of a damaged file
            raise DataError(f"the record cannot be read: {problem}") from problem

    def name(self, index: int) -> str:
        """`train[17]`."""
        part, position = self._position(index)
        return f"{self.names[part]}[{position}]"

    def _position(self, index: int) -> tuple[int, int]:
        part = 0
        while index >= len(self.parts[part]):
            index -= len(self.parts[part])
            part += 1
        return part, index


def open_source(argument: str, seed: int) -> Dataset:
    """Open a prepared data set by its name.

    Raises:
        MissingExtraError: tensorflow-datasets is not installed.
        DataError: unknown name (with the nearest ones), not prepared, not an image classification, damaged.
    """
    source = f"tfds:{argument}"
    name, asked, query = argument.partition("?")
    option, _, data_dir = query.partition("=")
    if not _NAME.fullmatch(name) or (asked and (option != "data_dir" or not data_dir)):
        raise DataError(f"'{source}' is no name of a data set", fix=_EXAMPLES)
    library = require("tensorflow_datasets", extra="tfds", purpose="the data source 'tfds'")
    builder = _prepared(library, source, name, str(Path(data_dir).expanduser()) if data_dir else None)
    return deal(_listing(library, source, builder), mirror=_is_mirrored(name), seed=seed)


def _is_mirrored(name: str) -> bool:
    """Not where the images are characters, which change when they are flipped."""
    return not re.search(r"mnist|svhn|digit|omniglot|letters|charac|binarized", name, re.IGNORECASE)


def _prepared(library: Any, source: str, name: str, data_dir: str | None) -> Any:
    try:
        with _quiet():
            builder = library.builder(name, data_dir=data_dir)
    except library.core.registered.DatasetNotFoundError:
        raise _unknown(library, source, name, data_dir) from None
    except (ValueError, AssertionError, OSError, ImportError, RuntimeError) as problem:
        lines = str(problem).strip().splitlines() or [type(problem).__name__]
        raise DataError(f"{source} cannot be opened: {lines[0]}", details=lines[1:4], fix=_EXAMPLES) from problem
    if not builder.is_prepared():
        raise _unprepared(source, name, builder)
    return builder


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the library's warnings about folders that are not there: our own error says so."""
    logger = logging.getLogger("absl")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def _unprepared(source: str, name: str, builder: Any) -> DataError:
    root = os.fspath(builder.data_dir)[: -len(os.fspath(builder.info.full_name)) - 1]
    return DataError(
        f"{source} is not prepared on this machine: nothing at {builder.data_dir}",
        details=("edgeres downloads nothing; where there is a network, this does:",),
        fix=f"tfds build {name.partition(':')[0]} --data_dir {root}, or name the folder it lies in: "
        f"'tfds:{name}?data_dir=PATH'",
    )


def _unknown(library: Any, source: str, name: str, data_dir: str | None) -> DataError:
    base = re.split("[/:]", name)[0]
    known = set(library.list_builders(with_community_datasets=False)) | set(_folders(data_dir))
    if base in known:
        return DataError(
            f"{source}: '{base}' is there, but not as '{name}'", fix="choose another configuration or version"
        )
    nearest = difflib.get_close_matches(base, sorted(known), n=3)
    choice = (
        f"did you mean {' or '.join(map(repr, nearest))}?" if nearest else "tensorflow.org/datasets lists the names"
    )
    return DataError(f"{source}: there is no data set '{base}'", fix=choice)


def _folders(data_dir: str | None) -> Iterable[str]:
    """Data sets that lie in the data folder and that the library does not know by itself."""
    root = Path(data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets").expanduser()
    try:
        return [entry.name for entry in root.iterdir() if entry.is_dir() and entry.name != "downloads"]
    except OSError:
        return []


def _listing(library: Any, source: str, builder: Any) -> Listing:
    keys, labels = _features(library, source, builder.info)
    parts = {_SPLITS[name]: name for name in builder.info.splits if name in _SPLITS}
    if "train" not in parts:
        found = ", ".join(builder.info.splits) or "none"
        raise DataError(f"{source} has no split 'train'", details=(f"splits found: {found}",), fix="choose another")
    kind = builder.info.file_format.value
    if kind == "tfrecord":
        files = {split: _files(source, builder.info.splits[name]) for split, name in parts.items()}
        return list_records(source, files, keys=keys, labels=labels)
    if kind == "array_record":
        return _random_access(library, source, builder, parts, keys, labels)
    raise DataError(
        f"{source} is prepared in the format {kind}, which is not read here",
        fix="prepare it with tfds build --file_format=tfrecord",
    )


def _files(source: str, split: Any) -> list[Path]:
    paths = [Path(os.fspath(path)) for path in split.filepaths]
    for path in paths:
        if not path.is_file():
            raise DataError(f"{source}: {path} is missing", fix="prepare the data set again")
    return paths


def _features(library: Any, source: str, info: Any) -> tuple[Keys, tuple[str, ...]]:
    """The names of the image and the label among the features, and the classes.

    Raises:
        DataError: there is not one of each.
    """
    kinds: dict[str, Any] = dict(info.features.items()) if hasattr(info.features, "items") else {}
    images = [key for key, kind in kinds.items() if isinstance(kind, library.features.Image)]
    labels = [key for key, kind in kinds.items() if isinstance(kind, library.features.ClassLabel)]
    wanted: Sequence[str] = info.supervised_keys or ()
    image = next((key for key in images if key in wanted or len(images) == 1), None)
    label = next((key for key in labels if key in wanted or len(labels) == 1), None)
    if image is None or label is None:
        found = ", ".join(f"{key} ({type(kind).__name__})" for key, kind in sorted(kinds.items()))
        raise DataError(
            f"{source} is no image classification: expected one image and one class label",
            details=(f"features found: {found or 'none'}",),
            fix="choose another data set",
        )
    return Keys(image, label), tuple(kinds[label].names)


def _random_access(
    library: Any,
    source: str,
    builder: Any,
    parts: Mapping[SplitName, str],
    keys: Keys,
    labels: tuple[str, ...],
) -> Listing:
    files = [path for name in parts.values() for path in _files(source, builder.info.splits[name])]
    stats = [path.stat() for path in files]
    version = b"".join(
        file_stamp(str(path), stat.st_size, stat.st_mtime_ns) for path, stat in zip(files, stats, strict=True)
    )
    skip = {keys.image: library.decode.SkipDecoding()}
    held = tuple(builder.as_data_source(name, decoders=skip) for name in parts.values())
    images = RandomAccess(os.fspath(builder.data_dir), keys.image, tuple(parts.values()), held, version)
    counts = [len(part) for part in held]
    classes = np.fromiter((int(item[keys.label]) for part in held for item in part), np.int64, sum(counts))
    if len(classes) and not 0 <= classes.min() <= classes.max() < len(labels):
        raise DataError(f"{source} has images without a label", fix="choose a data set with labels")
    ends = np.cumsum(counts)
    own: dict[SplitName, Indices] = {
        split: np.arange(end - count, end, dtype=np.int64)
        for split, count, end in zip(parts, counts, ends, strict=True)
        if split != "train"
    }
    return Listing(source, labels, images, classes, own)
