"""Images small enough to be kept, and which of them are copies of one another, mirrored and turned ones included."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

SIDE = 16
"""Of a thumbnail in pixels, at most."""

ALIKE = 0.998
"""Correlation from which two are the same image: a copy in JPEG at quality 75 has more, no two digits have (0.996)."""

_LITTLE = 1e-3
"""Contrast as a share of the largest value; a single colour has less, for rounding alone makes it."""

_LEAST = 1e-30


def thumbnail(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Area means of an input (1, height, width, channels), each channel less its mean: float32 (h, w, channels).

    Their square sum is 1, so that a product of two is their correlation; all 0 for an image of a single colour.
    """
    _, height, width, channels = image.shape
    rows = (_areas(height) @ image.reshape(height, -1)).reshape(-1, width, channels)
    small = _areas(width) @ rows
    small = small - small.mean(axis=(0, 1))
    contrast = float(np.linalg.norm(small))
    if contrast <= _LITTLE * float(np.abs(image).max()) and not np.ptp(image, axis=(0, 1, 2)).any():
        return np.zeros_like(small)
    found: NDArray[np.float32] = small / max(contrast, _LEAST)
    return found


@lru_cache
def _areas(length: int) -> NDArray[np.float32]:
    """The share of each of `length` pixels in each of equal cells, `SIDE` at most, the same from both ends."""
    side = min(SIDE, length)
    edges, pixels = np.linspace(0, length, side + 1), np.arange(length)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    shares: NDArray[np.float32] = (np.clip(overlap, 0, None) * side / length).astype(np.float32)
    return shares


def flat(thumbnails: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which images are of a single colour: (images, h, w, channels) to bool (images,)."""
    return np.asarray(~np.any(thumbnails, axis=(1, 2, 3)))


def copies(thumbnails: NDArray[np.float32]) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Pairs of the same image, the earlier one first: as it is; and mirrored, turned, or both.

    A later image is told once, with the first that it is a copy of. Images of a single colour are none of anything.
    """
    rows = thumbnails.reshape(len(thumbnails), -1)
    same: dict[int, int] = {}
    turned: dict[int, int] = {}
    for number, again in enumerate(_turns(thumbnails)):
        alike = np.triu(rows @ again.reshape(len(rows), -1).T >= ALIKE, 1)
        for first, later in np.argwhere(alike).tolist():
            if number == 0:
                same.setdefault(later, first)
            elif later not in same:
                turned.setdefault(later, first)
    return _pairs(same), _pairs(turned)


def _turns(thumbnails: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    """The eight symmetries of the square, or the four of what is none, that which changes nothing first."""
    quarter = 1 if thumbnails.shape[1] == thumbnails.shape[2] else 2
    for faces in (thumbnails, thumbnails[:, :, ::-1]):
        for quarters in range(0, 4, quarter):
            yield np.rot90(faces, quarters, axes=(1, 2))


def _pairs(found: dict[int, int]) -> list[tuple[int, int]]:
    return sorted((first, later) for later, first in found.items())
