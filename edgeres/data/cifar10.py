"""`cifar10:PATH`: CIFAR-10 as a folder of images, or as the original binary batches (never as pickle).

Source: Krizhevsky, 2009, Learning Multiple Layers of Features from Tiny Images. A record of a binary batch is one
label byte and 3,072 bytes of pixels: 32x32, channels first, red, green, blue.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeres.data.dataset import Dataset
from edgeres.data.folder import list_folder
from edgeres.data.splits import Listing, deal
from edgeres.errors import DataError
from edgeres.preprocess import Content

SIDE = 32
RECORD_BYTES = 1 + 3 * SIDE * SIDE
LABELS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
TRAIN_BATCHES = tuple(f"data_batch_{number}.bin" for number in range(1, 6))
TEST_BATCH, NAMES = "test_batch.bin", "batches.meta.txt"

_ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2")


@dataclass(frozen=True)
class BatchImages:
    """The records of all batches, memory-mapped. `batches`: uint8 (n, 3073) each, all of the same n."""

    names: tuple[str, ...]
    batches: tuple[NDArray[np.uint8], ...]

    def __len__(self) -> int:
        return sum(map(len, self.batches))

    def read(self, index: int) -> Content:
        """Pixels: uint8 (32, 32, 3)."""
        batch, record = divmod(index, len(self.batches[0]))
        channels_first = self.batches[batch][record, 1:].reshape(3, SIDE, SIDE)
        return np.array(channels_first.transpose(1, 2, 0), np.uint8, order="C")

    def name(self, index: int) -> str:
        """`data_batch_1.bin[17]`."""
        batch, record = divmod(index, len(self.batches[0]))
        return f"{self.names[batch]}[{record}]"


def open_source(argument: str, seed: int) -> Dataset:
    """Open CIFAR-10 in whichever of its layouts lies at the path.

    Raises:
        DataError: an archive, the Python (pickle) version, an incomplete or damaged copy, other classes than the ten.
    """
    source, root = f"cifar10:{argument}", Path(argument).expanduser()
    if root.is_file() and root.name.lower().endswith(_ARCHIVES):
        raise _packed(source, root)
    if (root / "data_batch_1").exists():
        raise DataError(
            f"{source} is the Python version, whose pickle files can run code when they are read",
            fix="take the binary version (cifar-10-binary.tar.gz), or a folder train/<class>/, test/<class>/",
        )
    if argument and any((root / name).exists() for name in (*TRAIN_BATCHES, TEST_BATCH)):
        return deal(_list_batches(source, root), mirror=True, seed=seed)
    if (nested := root / "cifar-10-batches-bin").is_dir():
        raise DataError(f"{source} holds the batches in a sub-folder", fix=f"use cifar10:{nested}")
    listing = list_folder(source, argument)
    if set(listing.labels) != set(LABELS) or "test" not in listing.own:
        raise DataError(
            f"{source} is not CIFAR-10: expected train/ and test/ with the classes {', '.join(LABELS)}",
            details=(f"found the classes {', '.join(listing.labels[:12])}",),
            fix=f"check the path; open any other images with folder:{argument}",
        )
    return deal(listing, mirror=True, seed=seed)


def _packed(source: str, archive: Path) -> DataError:
    folder = archive.name[: archive.name.lower().rindex(".t")]
    archive_word, folder_word = shlex.quote(str(archive)), shlex.quote(folder)
    return DataError(
        f"{source} is an archive, expected a folder",
        fix=f"mkdir {folder_word} && tar -xf {archive_word} -C {folder_word}, then use cifar10:{folder}",
    )


def _list_batches(source: str, root: Path) -> Listing:
    files = (*TRAIN_BATCHES, TEST_BATCH)
    batches = tuple(_map_batch(source, root / name) for name in files)
    counts = [len(batch) for batch in batches]
    if len(set(counts)) != 1:
        sizes = [f"{name}: {count:,} images" for name, count in zip(files, counts, strict=True)]
        raise DataError(f"{source}: the batches are not of one size", details=sizes, fix="download the data set again")
    classes = np.concatenate([batch[:, 0] for batch in batches]).astype(np.int64)
    test = np.arange(len(classes) - counts[-1], len(classes), dtype=np.int64)
    labels = _names(source, root / NAMES)
    if classes.max() >= len(labels):
        first = int(np.argmax(classes >= len(labels)))
        place = f"{files[first // counts[0]]}[{first % counts[0]}]"
        raise DataError(f"{source}: {place} has the label {classes[first]}, expected 0…9", fix="download it again")
    return Listing(source, labels, BatchImages(files, batches), classes, {"test": test})


def _map_batch(source: str, path: Path) -> NDArray[np.uint8]:
    try:
        size = path.stat().st_size
        if not size or size % RECORD_BYTES:
            raise DataError(
                f"{source}: {path.name} has {size:,} bytes, expected a multiple of {RECORD_BYTES:,}",
                fix="download the data set again",
            )
        return np.memmap(path, np.uint8, "r", shape=(size // RECORD_BYTES, RECORD_BYTES))
    except FileNotFoundError:
        raise DataError(f"{source}: {path.name} is missing", fix="unpack the whole archive") from None
    except OSError as problem:
        raise DataError(f"{source}: {path.name} cannot be read: {problem.strerror}") from problem


def _names(source: str, path: Path) -> tuple[str, ...]:
    """The classes in the order of the label bytes: from `batches.meta.txt`, or the known ones where it is absent."""
    try:
        names = tuple(path.read_text(encoding="utf-8").split())
    except FileNotFoundError:
        return LABELS
    except (OSError, UnicodeDecodeError) as problem:
        raise DataError(f"{source}: {path.name} cannot be read: {problem}", fix=f"remove {path}") from problem
    if sorted(names) != sorted(LABELS):
        raise DataError(
            f"{source}: {path.name} names other classes: {', '.join(names[:12])}", fix="download the data set again"
        )
    return names
