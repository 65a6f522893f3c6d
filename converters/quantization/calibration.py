"""Calibration data: real images of the calibration split, never of the test split, never random."""

from __future__ import annotations

from collections.abc import Iterator

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


def inputs(split: Split, contract: Preprocess) -> Iterator[NDArray[np.float32]]:
    """The model's inputs one by one: float32 (1, height, width, channels).

    Raises:
        DataError: an image cannot be decoded; names the file.
    """
    for position in range(len(split)):
        yield contract.normalize(split.decode(position, contract))[np.newaxis]
