"""What a data source hands out: labelled images in disjoint splits, read one at a time."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgeres.data.images import Images, content_digest
from edgeres.data.verdicts import ACCEPTED_PERCENT, Corrupt, Examined, examine, too_many
from edgeres.errors import DataError, suggestion
from edgeres.preprocess import Content, Pixels, Preprocess, open_image

SplitName = Literal["train", "validation", "test", "calibration"]
SPLITS: tuple[SplitName, ...] = ("train", "validation", "test", "calibration")

LISTED = 20
"""So many corrupt images are named in a warning; `edgeres data` names all."""

_log = logging.getLogger(__name__)


def class_digest(index: int) -> bytes:
    """What a class adds to a fingerprint, 8 bytes."""
    return index.to_bytes(8, "little")


@dataclass(frozen=True)
class Split:
    """A part of a data set: `indices` into `images`, and `classes`, the class index of each.

    `indices`: int64 (n,). `classes`: int64 (n,). `source`: the data source as the user gave it, for errors.
    `left_out`: the images that were dealt to it and cannot be decoded; they are not among `indices`.
    """

    name: SplitName
    images: Images
    indices: NDArray[np.int64]
    classes: NDArray[np.int64]
    source: str = ""
    left_out: tuple[Corrupt, ...] = ()

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
        with self.named(position):
            return contract.geometry(self.read(position))

    def picture(self, position: int, *, exif: bool = True) -> Pixels:
        """The image at `position` in its own size: uint8 (h, w, 3) RGB.

        Raises:
            DataError: see `decode`.
        """
        with self.named(position):
            return np.asarray(open_image(self.read(position), exif=exif))

    @contextmanager
    def named(self, position: int) -> Iterator[None]:
        """A DataError that is raised within is said of the image at `position`."""
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

    def without(self, names: Collection[str]) -> Split:
        """The split without the images of these names."""
        if not names:
            return self
        kept = np.asarray([self.where(position) not in names for position in range(len(self))], bool)
        return replace(self, indices=self.indices[kept], classes=self.classes[kept])


@dataclass(frozen=True)
class Dataset:
    """A data source, opened: `source` as the user gave it, class names in the order of their indices.

    `splits`: everything that was dealt, corrupt images included; `split` gives what can be used.
    `mirror`: whether an image keeps its class when flipped left to right (a digit does not).
    `seed`: what fixed the splits. `rejected`: what the source holds besides and could not even be dealt.
    """

    source: str
    labels: tuple[str, ...]
    splits: Mapping[SplitName, Split]
    mirror: bool
    seed: int
    rejected: tuple[Corrupt, ...] = ()
    _usable: dict[str, Split] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __len__(self) -> int:
        return sum(map(len, self.splits.values())) + len(self.rejected)

    def split(self, name: str, *, images: int | None = None) -> Split:
        """One of the four splits, or its first `images`, without those that cannot be decoded.

        To know that, each image of a source of files is decoded once; see `edgeres.data.verdicts`.

        Raises:
            DataError: unknown name, the split has no image, or more than the accepted share of the data is corrupt.
        """
        if name in self._usable:
            return self._usable[name].head(images)
        whole = self.dealt(name)
        found = examine(whole.images, whole.indices, wanted=images, most=self._most())
        self._require_few(found)
        split = _kept(whole, found)
        if not len(split):
            raise DataError(f"{self.source} has no image left for the split '{name}'", fix="add images")
        if images is None:
            self._require_every_class(split)
            self._usable[name] = split
        return split.head(images)

    def dealt(self, name: str) -> Split:
        """One of the four splits as it was dealt, corrupt images included.

        Raises:
            DataError: unknown name.
        """
        for known, split in self.splits.items():
            if known == name:
                return split
        raise DataError(f"unknown split '{name}'", fix=suggestion(name, SPLITS))

    def _most(self) -> int:
        return len(self) * ACCEPTED_PERCENT // 100

    def _require_few(self, found: Examined) -> None:
        """The share counts over the whole data set: the rest is looked at where this part does not settle it."""
        corrupt, images = found.corrupt, len(self)
        unusable = len(corrupt) + len(self.rejected)
        if corrupt and len(corrupt) <= self._most() and too_many(unusable, len(found.sound)):
            everything = [
                examine(split.images, split.indices, wanted=None, most=self._most()) for split in self.splits.values()
            ]
            corrupt = (*self.rejected, *(each for part in everything for each in part.corrupt))
        if too_many(len(corrupt), images):
            raise DataError(
                f"{self.source}: {len(corrupt):,} or more of {images:,} images cannot be decoded, "
                f"more than the {ACCEPTED_PERCENT} % that would be left out",
                details=[str(each) for each in corrupt[:5]],
                fix=f"remove or replace them: edgeres data '{self.source}' lists them all",
            )

    def _require_every_class(self, split: Split) -> None:
        if split.left_out and split.name == "train":
            counts = np.bincount(split.classes, minlength=len(self.labels))
            if not counts.all():
                absent = [label for label, count in zip(self.labels, counts, strict=True) if not count]
                raise DataError(
                    f"{self.source}: no image of {', '.join(absent[:5])} to train on can be decoded",
                    details=[str(each) for each in split.left_out[:5]],
                    fix="replace them",
                )


def _kept(whole: Split, found: Examined) -> Split:
    """What is left of a split once the corrupt ones are gone, which are told."""
    if found.corrupt:
        names = "".join(f"\n  {each}" for each in found.corrupt[:LISTED])
        more = f"\n  and {len(found.corrupt) - LISTED} more" if len(found.corrupt) > LISTED else ""
        _log.warning(
            "%s: %d of the %s images cannot be decoded and are left out:%s%s",
            whole.source,
            len(found.corrupt),
            whole.name,
            names,
            more,
        )
    seen = len(found.sound)
    indices, classes = whole.indices[:seen][found.sound], whole.classes[:seen][found.sound]
    return replace(whole, indices=indices, classes=classes, left_out=found.corrupt)


Opener = Callable[[str, int], Dataset]
"""What a source's module offers: `open_source(argument, seed)`, argument being what follows the colon."""
