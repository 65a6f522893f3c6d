"""What a data source hands out: labelled images in disjoint splits, read one at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from edgeres.errors import DataError, suggestion
from edgeres.preprocess import Content, Pixels, Preprocess, open_image

SplitName = Literal["train", "validation", "test", "calibration"]
SPLITS: tuple[SplitName, ...] = ("train", "validation", "test", "calibration")


class Images(Protocol):
    """Random access to the images of a source; nothing is decoded, nothing is held."""

    def __len__(self) -> int: ...

    def read(self, index: int) -> Content:
        """The encoded bytes of an image file, or uint8 RGB pixels (h, w, 3) where the source holds them decoded."""

    def name(self, index: int) -> str:
        """Where the image is, as a person would look it up: a path relative to the source, or `digits[17]`."""


def content_digest(content: Content) -> bytes:
    """SHA-256 of an image's content, 32 bytes."""
    body = content if isinstance(content, bytes) else f"{content.shape}".encode() + content.tobytes()
    return hashlib.sha256(body).digest()


def class_digest(index: int) -> bytes:
    """What a class adds to a fingerprint, 8 bytes."""
    return index.to_bytes(8, "little")


@dataclass(frozen=True)
class Split:
    """A part of a data set: `indices` into `images`, and `classes`, the class index of each.

    `indices`: int64 (n,). `classes`: int64 (n,). `source`: the data source as the user gave it, for errors.
    """

    name: SplitName
    images: Images
    indices: NDArray[np.int64]
    classes: NDArray[np.int64]
    source: str = ""

    def __len__(self) -> int:
        return len(self.indices)

    def read(self, position: int) -> Content:
        """The content of the image at `position` in this split."""
        return self.images.read(int(self.indices[position]))

    def where(self, position: int) -> str:
        """The place of the image at `position` in this split."""
        return self.images.name(int(self.indices[position]))

    def decode(self, position: int, contract: Preprocess) -> Pixels:
        """The image at `position` as the contract's `geometry`: uint8 (height, width, channels), before scaling.

        Raises:
            DataError: the file is gone, corrupt, or no image; names the file.
        """
        with self._named(position):
            return contract.geometry(self.read(position))

    def picture(self, position: int, *, exif: bool = True) -> Pixels:
        """The image at `position` in its own size: uint8 (h, w, 3) RGB.

        Raises:
            DataError: see `decode`.
        """
        with self._named(position):
            return np.asarray(open_image(self.read(position), exif=exif))

    @contextmanager
    def _named(self, position: int) -> Iterator[None]:
        try:
            yield
        except DataError as error:
            place = f"{self.source}: {self.where(position)}" if self.source else self.where(position)
            fix = error.fix or "remove or replace the file"
            raise DataError(f"{place}: {error.message}", details=error.details, fix=fix) from error

    def digest(self, position: int) -> bytes:
        """SHA-256 of the content of the image at `position`: equal for equal files, whatever their names."""
        return content_digest(self.read(position))

    def fingerprint(self) -> str:
        """SHA-256 over contents and classes in order: equal splits of equal images on every machine."""
        total = hashlib.sha256()
        for position in range(len(self)):
            total.update(self.digest(position) + class_digest(int(self.classes[position])))
        return total.hexdigest()

    def __iter__(self) -> Iterator[tuple[Content, int]]:
        for position in range(len(self)):
            yield self.read(position), int(self.classes[position])

    def head(self, count: int | None) -> Split:
        """The first `count` images (all for None); splits are shuffled, so these are a random sample."""
        return replace(self, indices=self.indices[:count], classes=self.classes[:count])


@dataclass(frozen=True)
class Dataset:
    """A data source, opened: `source` as the user gave it, class names in the order of their indices.

    `mirror`: whether an image keeps its class when flipped left to right (a digit does not).
    `seed`: what fixed the splits.
    """

    source: str
    labels: tuple[str, ...]
    splits: Mapping[SplitName, Split]
    mirror: bool
    seed: int

    def split(self, name: str) -> Split:
        """One of the four splits.

        Raises:
            DataError: unknown name, or the split has no image.
        """
        for known, split in self.splits.items():
            if known == name:
                if not len(split):
                    raise DataError(f"{self.source} has no image left for the split '{name}'", fix="add images")
                return split
        raise DataError(f"unknown split '{name}'", fix=suggestion(name, SPLITS))


Opener = Callable[[str, int], Dataset]
"""What a source's module offers: `open_source(argument, seed)`, argument being what follows the colon."""
