"""`digits`: scikit-learn's 1,797 handwritten digits of 8x8 pixels, the data set that needs no download.

Source: UCI Machine Learning Repository, Optical Recognition of Handwritten Digits (Alpaydin and Kaynak, 1998).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeres.data.dataset import Dataset
from edgeres.data.splits import Listing, deal
from edgeres.errors import DataError, require
from edgeres.preprocess import Content

LEVELS = 16
"""The brightest value of the original, which counts 0…16."""


@dataclass(frozen=True)
class DigitImages:
    """The digits, held decoded. `pixels`: uint8 (1797, 8, 8) in 0…255."""

    pixels: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.pixels)

    def read(self, index: int) -> Content:
        """Pixels: uint8 (8, 8, 3), three equal channels."""
        return np.repeat(self.pixels[index][..., np.newaxis], 3, axis=-1)

    def name(self, index: int) -> str:
        """`digits[17]`."""
        return f"digits[{index}]"


def open_source(argument: str, seed: int) -> Dataset:
    """Open the digits; they are not mirrored, for a mirrored digit is another or none.

    Raises:
        DataError: an argument was given.
        MissingExtraError: scikit-learn is not installed.
    """
    if argument:
        raise DataError(f"the data source 'digits' takes no argument, found '{argument}'", fix="use --data digits")
    datasets = require("sklearn.datasets", extra="digits", purpose="the data source 'digits'")
    raw = datasets.load_digits()
    pixels = np.rint(raw.images * (255 / LEVELS)).astype(np.uint8)
    labels = tuple(str(digit) for digit in range(10))
    return deal(Listing("digits", labels, DigitImages(pixels), raw.target.astype(np.int64)), mirror=False, seed=seed)
