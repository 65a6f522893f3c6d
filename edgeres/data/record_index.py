"""Where each image lies in a set of TFRecord files, and its label: one pass over the files, kept in the cache.

The index holds 24 bytes an image. It points at the image's bytes inside the record, so that reading one is a single
read of the file.
"""

from __future__ import annotations

import io
import json
import logging
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeres.cache import folder
from edgeres.data.example import Feature, MalformedError, features
from edgeres.data.framing import Record, records
from edgeres.data.images import file_stamp
from edgeres.data.verdicts import Corrupt
from edgeres.errors import DataError, EdgeresError
from edgeres.storage import sha256_bytes, write_bytes

IMAGE_KEYS = ("image/encoded", "image", "image_raw", "image/raw", "img", "jpeg", "jpg", "png", "x")
LABEL_KEYS = ("image/class/label", "label", "labels", "class", "class_id", "target", "y")
TEXT_KEYS = ("image/class/text", "label_text", "label/text", "class_text", "class_name", "text")

_VERSION = 2
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Keys:
    """The features that hold the encoded image, its class (an integer or a text), and where present its name."""

    image: str
    label: str
    text: str | None = None


@dataclass(frozen=True)
class Index:
    """`files` int32, `starts` int64, `lengths` int32, `labels` int64, each (n,); `texts`: the name of a label.

    Labels that are texts themselves are numbered in alphabetical order.
    """

    files: NDArray[np.int32]
    starts: NDArray[np.int64]
    lengths: NDArray[np.int32]
    labels: NDArray[np.int64]
    texts: Mapping[int, str] = field(default_factory=dict)
    rejected: tuple[Corrupt, ...] = ()


def read_index(source: str, paths: Sequence[Path], *, keys: Keys | None) -> Index:
    """The index of these files: from the cache where they have not changed since, else made now.

    Raises:
        DataError: see `edgeres.data.framing.records`; or no feature that could be the image or its label.
    """
    stamps = [file_stamp(str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns) for path in paths]
    key = sha256_bytes(repr((_VERSION, IMAGE_KEYS, LABEL_KEYS, TEXT_KEYS, keys, stamps)).encode())
    place = folder() / "tfrecord" / f"{key}.npz"
    if (known := _load(place)) is not None:
        return known
    index = _Builder(source, keys).build(paths)
    try:
        write_bytes(place, _dump(index))
    except (EdgeresError, OSError) as problem:
        _log.info("the index of %s is not kept: %s", source, problem)
    return index


class _Builder:
    """An index in the making; arrays of plain numbers, not Python objects."""

    def __init__(self, source: str, keys: Keys | None) -> None:
        self._source, self._keys = source, keys
        self._files, self._starts, self._lengths, self._labels = array("i"), array("q"), array("i"), array("q")
        self._texts: dict[int, str] = {}
        self._numbers: dict[str, int] = {}
        self._rejected: list[Corrupt] = []

    def build(self, paths: Sequence[Path]) -> Index:
        for number, path in enumerate(paths):
            for record in records(self._source, path):
                if (why := self._add(number, record)) is not None:
                    self._rejected.append(Corrupt(f"{path.name} at byte {record.offset:,}", why))
        labels, texts = np.asarray(self._labels, np.int64), self._texts
        if self._numbers:
            ordered = sorted(self._numbers)
            ranks = np.empty(len(ordered), np.int64)
            ranks[[self._numbers[text] for text in ordered]] = np.arange(len(ordered))
            labels, texts = ranks[labels], dict(enumerate(ordered))
        return Index(
            np.asarray(self._files, np.int32),
            np.asarray(self._starts, np.int64),
            np.asarray(self._lengths, np.int32),
            labels,
            texts,
            tuple(self._rejected),
        )

    def _add(self, file: int, record: Record) -> str | None:
        """Take a record in; or the reason why not."""
        if not record.intact:
            return "the record's checksum does not match its data"
        try:
            found = features(record.data)
        except MalformedError as problem:
            return f"the record is no tf.train.Example ({problem})"
        if not found:
            return "the record has no features"
        keys = self._keys = self._keys or detect(self._source, found)
        image, label = found.get(keys.image, Feature()), self._label(record, found.get(keys.label, Feature()))
        if len(image.spans) != 1:
            return f"the record has no image in '{keys.image}'"
        if label is None:
            return f"the record has no label in '{keys.label}'"
        text = found.get(keys.text or "", Feature()).spans
        if text and label not in self._texts and not self._numbers:
            name = record.data[slice(*text[0])].decode("utf-8", "replace")
            if name.strip():
                self._texts[label] = name
        start, end = image.spans[0]
        self._files.append(file)
        self._starts.append(record.start + start)
        self._lengths.append(end - start)
        self._labels.append(label)
        return None

    def _label(self, record: Record, feature: Feature) -> int | None:
        if len(feature.integers) == 1 and not self._numbers:
            return feature.integers[0]
        if len(feature.spans) != 1 or (self._labels and not self._numbers):  # some are numbers, some are texts
            return None
        text = record.data[slice(*feature.spans[0])].decode("utf-8", "replace")
        return self._numbers.setdefault(text, len(self._numbers))


def detect(source: str, found: Mapping[str, Feature]) -> Keys:
    """Which features are the image and its label, by their names and types.

    Raises:
        DataError: none is; lists the features that there are.
    """
    image = next((key for key in IMAGE_KEYS if len(found.get(key, Feature()).spans) == 1), None)
    label = next((key for key in LABEL_KEYS if _is_label(found.get(key, Feature())) and key != image), None)
    text = next((key for key in TEXT_KEYS if len(found.get(key, Feature()).spans) == 1), None)
    if image is not None and label is not None:
        return Keys(image, label, text)
    lacks = "an encoded image" if image is None else "a class label"
    raise DataError(
        f"{source}: no feature of the records is known to be {lacks}",
        details=(
            f"features found: {', '.join(f'{key} ({_kind(found[key])})' for key in sorted(found)) or 'none'}",
            f"looked for: {', '.join(IMAGE_KEYS if image is None else LABEL_KEYS)}",
        ),
        fix="write the records with the features image/encoded and image/class/label",
    )


def _is_label(feature: Feature) -> bool:
    return len(feature.integers) == 1 or len(feature.spans) == 1


def _kind(feature: Feature) -> str:
    if feature.spans:
        return f"{len(feature.spans)} bytes" if len(feature.spans) > 1 else "bytes"
    return f"{len(feature.integers)} integers" if feature.integers else "floats, or empty"


def _dump(index: Index) -> bytes:
    words = json.dumps([list(index.texts.items()), [asdict(each) for each in index.rejected]]).encode()
    buffer = io.BytesIO()
    np.savez(
        buffer,
        files=index.files,
        starts=index.starts,
        lengths=index.lengths,
        labels=index.labels,
        words=np.frombuffer(words, np.uint8),
    )
    return buffer.getvalue()


def _load(place: Path) -> Index | None:
    try:
        with np.load(place, allow_pickle=False) as found:
            texts, rejected = json.loads(found["words"].tobytes())
            arrays = (found["files"], found["starts"], found["lengths"], found["labels"])
            return Index(*arrays, dict(map(tuple, texts)), tuple(Corrupt(**each) for each in rejected))
    except FileNotFoundError:
        return None
    except Exception as problem:  # noqa: BLE001 - whatever a damaged archive raises: the index is made again
        _log.info("%s is made again: %s", place, problem)
        return None
