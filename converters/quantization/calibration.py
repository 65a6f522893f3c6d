"""Calibration data: real images of the calibration split, never of the test split, never random."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from edgeres.data import Split
from edgeres.errors import DataError
from edgeres.preprocess import Preprocess


def require_disjoint(calibration: Split, test: Split) -> None:
    """Refuse calibration on images that accuracy is measured on.

    Raises:
        DataError: names the first of them.
    """
    measured = {test.digest(position) for position in range(len(test))}
    shared = [position for position in range(len(calibration)) if calibration.digest(position) in measured]
    if shared:
        raise DataError(
            f"calibration data overlaps the test split ({len(shared)} of {len(calibration)} images, by content hash)",
            details=(f"first: {calibration.where(shared[0])}",),
            fix="remove the duplicates from the data set",
        )


def stratified(split: Split) -> Split:
    """The same images in an order of which any beginning holds the classes as evenly as the split does.

    First one image of each class, then in proportion: the places are given by Adams' divisors, as a parliament's seats
    are, where every party has one. Within a class, and where two are equally due, the order of the split decides, which
    its seed fixed.
    """
    counts = np.bincount(split.classes)
    by_class = np.argsort(split.classes, kind="stable")
    rank = np.empty(len(split), np.int64)
    rank[by_class] = np.arange(len(split)) - np.repeat(np.cumsum(counts) - counts, counts)
    order = np.argsort(rank / counts[split.classes], kind="stable")
    return replace(split, indices=split.indices[order], classes=split.classes[order])


def inputs(split: Split, contract: Preprocess) -> Iterator[NDArray[np.float32]]:
    """The model's inputs one by one: float32 (1, height, width, channels).

    Raises:
        DataError: an image cannot be decoded; names the file.
    """
    for position in range(len(split)):
        yield contract.normalize(split.decode(position, contract))[np.newaxis]
