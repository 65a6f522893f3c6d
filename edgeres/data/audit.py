"""`edgeres data`: every image of a source decoded once, and what is wrong with the set, as a versioned record.

Two images are the same when their decoded RGB pixels are (by a 64-bit hash): a copy in another lossless format, or with
other metadata, is found; one that was shrunk or compressed again is not.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from functools import partial
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from edgeres.data.advice import actions
from edgeres.data.dataset import SPLITS, Dataset, Split
from edgeres.data.duplicates import Copies, Duplicates, find_duplicates
from edgeres.data.images import Images
from edgeres.data.look import Look, look
from edgeres.data.verdicts import ACCEPTED_PERCENT, RUN, chunks, too_many
from edgeres.errors import DataError
from edgeres.progress import Progress, silent

SCHEMA = "edgeres.data/1"

LISTED = 1000
"""So many findings of a kind are listed; their number is always given."""


@dataclass(frozen=True)
class Place:
    """An image: where it is, its split and class, and what is to be said of it."""

    path: str
    split: str
    label: str
    why: str = ""


@dataclass(frozen=True)
class ClassCount:
    """How many images a class has, in all and in each split (corrupt ones included)."""

    label: str
    images: int
    splits: dict[str, int]


@dataclass(frozen=True)
class Extent:
    """A side of the images, in pixels."""

    smallest: int
    median: int
    largest: int


@dataclass(frozen=True)
class SizeCount:
    """How many images have this size."""

    width: int
    height: int
    images: int


@dataclass(frozen=True)
class Corruption:
    """Images that cannot be decoded, as a number, as a share of all, and by path (at most `LISTED`)."""

    images: int
    share: float
    accepted_share: float
    listed: tuple[Place, ...]


@dataclass(frozen=True)
class Audit:
    """Everything that was found.

    `misnamed`: files of another format than their extension says. `lonely`: classes with a single image.
    `sizes`: the ten commonest. `formats` is empty where the source holds pixels.
    """

    source: str
    seed: int
    images: int
    splits: dict[str, int]
    classes: tuple[ClassCount, ...]
    imbalance: float
    width: Extent | None
    height: Extent | None
    sizes: tuple[SizeCount, ...]
    formats: dict[str, int]
    modes: dict[str, int]
    corrupt: Corruption
    misnamed: int
    misnamed_listed: tuple[Place, ...]
    lonely: tuple[str, ...]
    duplicates: Duplicates
    actions: tuple[str, ...] = ()
    schema: str = SCHEMA
    created: str = field(default_factory=lambda: datetime.now(timezone.utc).isoformat(timespec="seconds"))


def require_sound(audit: Audit) -> None:
    """Refuse a data set of which too much is corrupt.

    Raises:
        DataError: it is; names the first files.
    """
    corrupt = audit.corrupt
    if too_many(corrupt.images, audit.images):
        raise DataError(
            f"{audit.source}: {corrupt.images:,} of {audit.images:,} images are corrupt ({corrupt.share:.1%}), "
            f"more than the {ACCEPTED_PERCENT} % that would be left out",
            details=[f"{place.path}: {place.why}" for place in corrupt.listed[:5]],
            fix="remove or replace them",
        )


def audit(dataset: Dataset, *, progress: Progress = silent) -> Audit:
    """Decode every image of a data set and count; what is held of each is 17 bytes."""
    survey = _Survey(dataset)
    done = 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for split in dataset.splits.values():
            for positions in chunks(np.arange(len(split))):
                runs = pool.map(partial(_looks, split.images), chunks(split.indices[positions], RUN))
                looks = chain.from_iterable(runs)
                for position, found in zip(positions.tolist(), looks, strict=True):
                    survey.add(split, position, found)
                done += len(positions)
                progress("images", done, len(dataset))
    return survey.finish()


def _looks(images: Images, indices: NDArray[np.int64]) -> list[Look | str]:
    return [look(images, index) for index in indices.tolist()]


class _Survey:
    """The counts so far."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self._copies = Copies(len(dataset))
        self._sizes: Counter[tuple[int, int]] = Counter()
        self._formats: Counter[str] = Counter()
        self._modes: Counter[str] = Counter()
        self._misnamed = 0
        self._misnamed_listed: list[Place] = []
        self._corrupt_listed = [Place(each.name, "", "", each.why) for each in dataset.rejected][:LISTED]
        self._corrupt = len(dataset.rejected)

    def add(self, split: Split, position: int, found: Look | str) -> None:
        """Take in an image."""
        if isinstance(found, str):
            self._corrupt += 1
            if len(self._corrupt_listed) < LISTED:
                self._corrupt_listed.append(self._place(split, position, found))
            return
        self._sizes[found.width, found.height] += 1
        self._modes[found.mode] += 1
        if found.kind:
            self._formats[found.kind] += 1
        if found.misnamed:
            self._misnamed += 1
            if len(self._misnamed_listed) < LISTED:
                why = f"the content is {found.kind}, the name says {found.claims}"
                self._misnamed_listed.append(self._place(split, position, why))
        self._copies.add(SPLITS.index(split.name), position, found.digest)

    def _place(self, split: Split, position: int, why: str) -> Place:
        return Place(split.where(position), split.name, self._dataset.labels[split.classes[position]], why)

    def finish(self) -> Audit:
        """Everything that was found."""
        dataset, images = self._dataset, len(self._dataset)
        classes = tuple(_class_counts(dataset))
        counts = [each.images for each in classes]
        found = Audit(
            source=dataset.source,
            seed=dataset.seed,
            images=images,
            splits={name: len(split) for name, split in dataset.splits.items()},
            classes=classes,
            imbalance=round(max(counts) / max(1, min(counts)), 3),
            width=_extent(_summed(self._sizes, 0)),
            height=_extent(_summed(self._sizes, 1)),
            sizes=tuple(SizeCount(*size, count) for size, count in self._sizes.most_common(10)),
            formats=dict(self._formats.most_common()),
            modes=dict(self._modes.most_common()),
            corrupt=Corruption(
                self._corrupt, self._corrupt / images, ACCEPTED_PERCENT / 100, tuple(self._corrupt_listed)
            ),
            misnamed=self._misnamed,
            misnamed_listed=tuple(self._misnamed_listed),
            lonely=tuple(each.label for each in classes if each.images == 1),
            duplicates=find_duplicates(self._copies, dataset),
        )
        return replace(found, actions=tuple(actions(found)))


def _class_counts(dataset: Dataset) -> Iterator[ClassCount]:
    labels = dataset.labels
    counts = {name: np.bincount(split.classes, minlength=len(labels)) for name, split in dataset.splits.items()}
    for index, label in enumerate(labels):
        own = {str(name): int(each[index]) for name, each in counts.items()}
        yield ClassCount(label, sum(own.values()), own)


def _summed(sizes: Counter[tuple[int, int]], axis: int) -> Counter[int]:
    sides: Counter[int] = Counter()
    for size, count in sizes.items():
        sides[size[axis]] += count
    return sides


def _extent(sides: Counter[int]) -> Extent | None:
    if not sides:
        return None
    ordered = sorted(sides)
    ends = np.cumsum([sides[side] for side in ordered])
    return Extent(ordered[0], ordered[int(np.searchsorted(ends, (ends[-1] + 1) // 2))], ordered[-1])
