"""Counts of a tensor's values, over a range that doubles when a value lies outside."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BINS = 2048
"""Even, so that zero is a border; 256 steps of int8 over half of the range still have four bins each."""


@dataclass(frozen=True)
class Histogram:
    """`counts`: int64 (BINS,), of equal bins over [−radius, radius]."""

    counts: NDArray[np.int64]
    radius: float

    @property
    def middles(self) -> NDArray[np.float64]:
        """The value that a bin stands for: float64 (BINS,)."""
        width = 2 * self.radius / BINS
        return (np.arange(BINS, dtype=np.float64) + 0.5) * width - self.radius

    def outside(self, low: float, high: float) -> float:
        """The share of the values under `low` or above `high`; bins that are partly beyond do not count."""
        middles, half = self.middles, self.radius / BINS
        beyond = (middles + half <= low) | (middles - half >= high)
        return float(self.counts[beyond].sum() / max(1, self.counts.sum()))

    def central(self, share: float) -> tuple[float, float]:
        """The range of the middle `share` of the values, to the width of a bin."""
        total = np.cumsum(self.counts)
        if not total[-1]:
            return 0.0, 0.0
        tail = (1 - share) / 2 * total[-1]
        first, last = np.searchsorted(total, tail, side="right"), np.searchsorted(total, total[-1] - tail)
        return float(self.middles[first]), float(self.middles[min(int(last), BINS - 1)])


class Counter:
    """A histogram being filled."""

    def __init__(self) -> None:
        self._counts = np.zeros(BINS, np.int64)
        self._radius = 0.0

    def add(self, values: NDArray[np.float32], peak: float) -> None:
        """Count finite float32 values of any shape; `peak`: not less than the largest magnitude among them."""
        self._widen(peak)
        if self._radius:
            scaled = values.ravel() * np.float32(BINS / 2 / self._radius) + np.float32(BINS / 2)
            places = np.clip(scaled.astype(np.int32), 0, BINS - 1)
            self._counts += np.bincount(places, minlength=BINS)

    def _widen(self, peak: float) -> None:
        if not self._radius and peak:
            self._radius = 2.0 ** math.ceil(math.log2(peak))
        while self._radius < peak:
            quarter = np.zeros(BINS // 4, np.int64)
            self._counts = np.concatenate([quarter, self._counts.reshape(-1, 2).sum(axis=1), quarter])
            self._radius *= 2

    def merge(self, other: Counter) -> None:
        """Add what another one counted: the same, bin by bin, as if this one had been given its values."""
        self._widen(other._radius)
        other._widen(self._radius)
        self._counts += other._counts

    def found(self) -> Histogram:
        """What was counted so far."""
        return Histogram(self._counts.copy(), self._radius)
