"""Deals the images of a source into disjoint train, validation, test and calibration splits.

The dealing is stratified by class and fixed by the seed: it ranks images by the raw output of PCG64, which numpy
guarantees never to change (its `permutation` carries no such promise), so equal listings and seeds give equal splits
on every machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edgeres.data.dataset import Dataset, Split, SplitName
from edgeres.data.images import Images
from edgeres.data.verdicts import Corrupt
from edgeres.errors import DataError

Indices = NDArray[np.int64]

TEST_PERCENT, VALIDATION_PERCENT, CALIBRATION_PERCENT = 20, 10, 10
MAX_VALIDATION, MAX_CALIBRATION = 2500, 512


@dataclass(frozen=True)
class Listing:
    """All labelled images of a source, in an order that is the same on every machine (sorted by name).

    `classes`: int64 (n,), the class index of each image. `own`: indices of the images that the source itself keeps
    for "test" or "validation"; they stay there, the rest is dealt. `rejected`: what is no labelled image, beside those.
    """

    source: str
    labels: tuple[str, ...]
    images: Images
    classes: Indices
    own: Mapping[SplitName, Indices] = field(default_factory=dict)
    rejected: tuple[Corrupt, ...] = ()


def deal(listing: Listing, *, mirror: bool, seed: int) -> Dataset:
    """Deal a listing into the four splits; each is shuffled, so that its first images are a random sample.

    test: the source's own, or 20 % of all. validation: its own, or 10 % of what is left, at most 2,500. calibration:
    10 % of what is then left, at most 512. train: the rest, with at least one image of each class.

    Raises:
        DataError: too few images for every split to have one.
    """
    bits = np.random.PCG64(seed)
    dealing, showing = bits.random_raw(len(listing.classes)), bits.random_raw(len(listing.classes))
    held = np.zeros(len(listing.classes), bool)
    for indices in listing.own.values():
        held[indices] = True
    pool = _ranked(np.flatnonzero(~held), dealing)
    rules: dict[SplitName, tuple[int, int]] = {
        "test": (TEST_PERCENT, len(pool)),
        "validation": (VALIDATION_PERCENT, MAX_VALIDATION),
        "calibration": (CALIBRATION_PERCENT, MAX_CALIBRATION),
    }
    wanted = [name for name in rules if name not in listing.own]
    _require_enough(listing, pool, wanted)
    dealt = dict(listing.own)
    for later, name in reversed(list(enumerate(reversed(wanted)))):
        percent, most = rules[name]
        size = min(most, max(1, (len(pool) * percent + 50) // 100))
        dealt[name], pool = _take(pool, listing.classes, size=size, reserve=later)
    order: tuple[SplitName, ...] = ("train", "validation", "test", "calibration")
    dealt["train"] = pool
    splits = {
        name: Split(name, listing.images, indices, listing.classes[indices], listing.source)
        for name in order
        for indices in [_ranked(dealt[name], showing)]
    }
    return Dataset(listing.source, listing.labels, splits, mirror, seed, listing.rejected)


def _ranked(indices: Indices, ranks: NDArray[np.uint64]) -> Indices:
    ordered = np.sort(indices)
    return ordered[np.argsort(ranks[ordered], kind="stable")].astype(np.int64)


def _require_enough(listing: Listing, pool: Indices, wanted: list[SplitName]) -> None:
    counts = np.bincount(listing.classes[pool], minlength=len(listing.labels))
    if not counts.all():
        absent = [label for label, count in zip(listing.labels, counts, strict=True) if not count]
        raise DataError(
            f"{listing.source} has classes without an image to train on: {', '.join(absent[:5])}",
            fix="add images to these classes, or remove them",
        )
    needed = len(listing.labels) + len(wanted)
    if len(pool) < needed:
        raise DataError(
            f"{listing.source} has {len(pool)} images of {len(listing.labels)} classes, at least {needed} are needed",
            details=(f"one of each class to train on, and one each for {', '.join(wanted)}",),
            fix="add images",
        )


def _take(pool: Indices, classes: Indices, *, size: int, reserve: int) -> tuple[Indices, Indices]:
    """Take `size` images off the pool, class by class in proportion; leave one of each class and `reserve` more."""
    own = classes[pool]
    counts = np.bincount(own)
    spare = np.maximum(counts - 1, 0)
    quotas = _quotas(counts, spare, size=min(size, int(spare.sum()) - reserve))
    by_class = np.argsort(own, kind="stable")  # the pool's order within each class
    starts = np.cumsum(counts) - counts
    taken = np.zeros(len(pool), bool)
    for label in np.flatnonzero(quotas):
        taken[by_class[starts[label] : starts[label] + quotas[label]]] = True
    return pool[taken], pool[~taken]


def _quotas(counts: Indices, spare: Indices, *, size: int) -> Indices:
    """How many images each class gives: in proportion to `counts`, at most `spare`, `size` in all (in integers)."""
    total = int(counts.sum())
    quotas = np.minimum(size * counts // total, spare)
    while (missing := size - int(quotas.sum())) > 0:
        able = np.flatnonzero(quotas < spare)
        shortfall = size * counts[able] - quotas[able] * total
        quotas[able[np.argsort(-shortfall, kind="stable")[:missing]]] += 1
    return quotas
