"""The bootstrap interval of a median: beside the order statistics, as a second opinion that assumes other things.

Bias-corrected and accelerated (Efron 1987, "Better bootstrap confidence intervals", JASA 82; Efron and Tibshirani 1993,
"An Introduction to the Bootstrap", 14.3). What is drawn anew is a round, for runs of one round resemble each other.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgeres.results import Estimate
from targets.stats import LEVEL

RESAMPLES = 2000
_NORMAL = NormalDist()
_PIECE = 1 << 20


def median_interval(samples: ArrayLike, *, level: float = LEVEL, resamples: int = RESAMPLES, seed: int = 0) -> Estimate:
    """The median of independent samples with its BCa interval; the same for the same samples and seed, everywhere.

    The median of samples that are all the same has an interval without width.

    Raises:
        ValueError: fewer than 6 samples, whose resamples are too few to tell anything.
    """
    values = np.asarray(samples, np.float64)
    n = len(values)
    if n < 6:
        raise ValueError(f"a bootstrap interval needs at least 6 samples, found {n}")
    value = float(np.median(values))
    medians = _resampled(values, resamples, seed)
    below = (np.count_nonzero(medians < value) + np.count_nonzero(medians == value) / 2) / resamples
    bias = _NORMAL.inv_cdf(min(max(below, 0.5 / resamples), 1 - 0.5 / resamples))
    acceleration = _acceleration(values)
    z = _NORMAL.inv_cdf((1 + level) / 2)
    shares = [_share(bias, acceleration, side) for side in (-z, z)]
    low, high = (float(bound) for bound in np.quantile(medians, shares))
    method = f"median, BCa bootstrap interval of {resamples} resamples"
    return Estimate(value, min(low, value), max(high, value), level, method, n)


def _resampled(values: NDArray[np.float64], resamples: int, seed: int) -> NDArray[np.float64]:
    """The medians of samples drawn with replacement; float64 (resamples,).

    From the raw output of PCG64, the one stream that numpy promises for ever.
    """
    bits, n = np.random.PCG64(seed), len(values)
    at_once = max(1, _PIECE // n)
    pieces = []
    for start in range(0, resamples, at_once):
        count = min(at_once, resamples - start)
        drawn = (bits.random_raw(count * n) % n).reshape(count, n)  # n is so small that the remainder is even enough
        pieces.append(np.median(values[drawn], axis=1))
    return np.concatenate(pieces)


def _acceleration(values: NDArray[np.float64]) -> float:
    """How fast the median's standard error changes with its value, by the jackknife: all but one sample at a time."""
    ordered, n = np.sort(values), len(values)
    lower, middle, upper = (n - 1) // 2, n // 2, n // 2 + 1  # without a sample of the lower half the median moves up
    if n % 2:
        above, at, below = (
            ordered[[middle, upper]].mean(),
            ordered[[middle - 1, upper]].mean(),
            ordered[[middle - 1, middle]].mean(),
        )
        left_out = np.repeat([above, at, below], [middle, 1, n - middle - 1])
    else:
        left_out = np.repeat(ordered[[middle, lower]], [middle, n - middle])
    deviations = left_out.mean() - left_out
    squares = float((deviations**2).sum())
    return float((deviations**3).sum()) / (6 * squares**1.5) if squares > 0 else 0.0


def _share(bias: float, acceleration: float, z: float) -> float:
    """Which quantile of the resampled medians is the end of the interval on the side of `z`."""
    moved = bias + z
    share = _NORMAL.cdf(bias + moved / (1 - acceleration * moved))
    return share if math.isfinite(share) else 0.5
