"""Trend: whether a series of rounds changed from its beginning to its end by more than noise explains.

A paired ratio survives a machine that slows down, a single time does not, and a report should say that it happened.
The slope is Theil's (1950) and Sen's (1968), the significance that of the test that belongs to it (Mann 1945, Kendall
1975): both are of ranks and pairs, so that a few spikes move neither.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from edgeres.results import Trend

CHANGE = 0.05
"""What the last quarter must differ by from the first to be called drift: less does not matter to a reader."""

SIGNIFICANCE = 0.04
"""How often a measurement without any trend may be called drifting, over all its series."""

POINTS = 500
"""A longer series is first reduced to medians of neighbours: pairs grow with the square of the rounds."""


def trend(values: Sequence[float]) -> Trend:
    """The trend of one value for each round, in order; the values positive and of any unit.

    Raises:
        ValueError: fewer than 8 rounds, whose quarters say nothing.
    """
    if len(values) < 8:
        raise ValueError(f"a trend needs at least 8 rounds, found {len(values)}")
    width = -(-len(values) // POINTS)
    series = np.asarray([np.median(values[place : place + width]) for place in range(0, len(values), width)])
    later, earlier = np.tril_indices(len(series), -1)
    rises = series[later] - series[earlier]
    quarter = len(series) // 4
    return Trend(
        slope=float(np.median(rises / (later - earlier)) / np.median(series)) / width,
        change=float(np.median(series[-quarter:]) / np.median(series[:quarter]) - 1),
        p=_mann_kendall(rises, len(series)),
    )


def drifts(found: Trend, *, series: int = 1) -> bool:
    """Whether a trend is drift: large enough to matter, and beyond chance for as many `series` as are looked at."""
    return abs(found.change) >= CHANGE and found.p < SIGNIFICANCE / series


def _mann_kendall(rises: NDArray[np.float64], n: int) -> float:
    """The two-sided p-value of the sum of the signs of all rises, by its normal approximation, good from 10 rounds."""
    total = abs(float(np.sign(rises).sum()))
    deviation = math.sqrt(n * (n - 1) * (2 * n + 5) / 18)
    return 2 * NormalDist().cdf(-max(0.0, total - 1) / deviation)
