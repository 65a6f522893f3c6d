"""Two classifiers on the same images: the drop in accuracy, its bounds, and whether it is within a margin.

All figures follow from three counts: images, those that only the baseline got right (`lost`), and those that only the
artifact did (`won`). Only the standard library and numpy.

    accuracy_drop       the drop with a two-sided interval       Tango's score interval
    drop_bounds         the two one-sided bounds of the drop     the same score, half an image of continuity correction
    mcnemar             are the two equally often right?         exact binomial test
    images_for_verdict  how many images would decide             the bounds at larger n
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgeres.results import Estimate
from targets.stats import LEVEL

AccuracyVerdict = Literal["pass", "fail", "insufficient"]

MOST_IMAGES = 10**9
"""Beyond this many images no number is named: the drop is the margin, for all that can be told."""


@dataclass(frozen=True)
class Pairs:
    """`n` images, of which only the baseline got `lost` right, and only the artifact `won`."""

    n: int
    lost: int
    won: int

    def __post_init__(self) -> None:
        if self.n < 1 or min(self.lost, self.won) < 0 or self.lost + self.won > self.n:
            raise ValueError(f"expected lost + won of n images, found {self.lost} + {self.won} of {self.n}")


def pairs(baseline: NDArray[np.bool_], artifact: NDArray[np.bool_]) -> Pairs:
    """Count: both bool (n,), whether each image was classified right, in the same order.

    Raises:
        ValueError: no image, or two lengths.
    """
    if baseline.shape != artifact.shape or baseline.ndim != 1 or not len(baseline):
        raise ValueError(f"expected two arrays of one length, found {baseline.shape} and {artifact.shape}")
    lost, won = np.count_nonzero(baseline & ~artifact), np.count_nonzero(artifact & ~baseline)
    return Pairs(len(baseline), int(lost), int(won))


def accuracy_drop(counted: Pairs, *, level: float = LEVEL) -> Estimate:
    """How much less often the artifact is right than the baseline on the same images, in percentage points.

    The interval inverts the score test for matched pairs (Tango 1998, "Equivalence test and confidence interval for
    the difference in proportions for the paired-sample design", Statistics in Medicine 17): unlike Wald's it has a
    width where the two never differ.
    """
    n, lost, won = counted.n, counted.lost, counted.won
    z = NormalDist().inv_cdf((1 + level) / 2)
    low, high = _lower(n, lost, won, z), _upper(n, lost, won, z)
    method = "paired difference in percentage points, Tango score interval"
    return Estimate(100 * (lost - won) / n, 100 * low, 100 * high, level, method, n)


def drop_bounds(counted: Pairs, *, level: float = LEVEL) -> Estimate:
    """The drop in percentage points between its lower and its upper bound, each one-sided at `level`.

    `high` is the bound of a test of non-inferiority: a true drop of a margin is below it in at least `level` of all
    samples. Tango's score alone lets up to 6 % of them pass where images or differences are few; counting half an
    image more on the side of caution keeps it below 5 % (exact, over all trinomial samples).
    """
    n, lost, won = counted.n, counted.lost, counted.won
    z = NormalDist().inv_cdf(level)
    method = "paired difference in percentage points, one-sided Tango score bounds with continuity correction"
    return Estimate(
        100 * (lost - won) / n,
        100 * _lower(n, lost, won + 0.5, z),
        100 * _upper(n, lost + 0.5, won, z),
        level,
        method,
        n,
    )


def accuracy_verdict(bounds: Estimate, *, margin_points: float) -> AccuracyVerdict:
    """Non-inferiority, by `drop_bounds`: pass where the upper bound is within the margin, fail where the lower is not.

    "insufficient" means that so few images cannot tell.
    """
    if bounds.high <= margin_points:
        return "pass"
    return "fail" if bounds.low > margin_points else "insufficient"


def mcnemar(counted: Pairs) -> float:
    """The p-value of "both are right equally often": McNemar's test (1947), two-sided and exact by the binomial."""
    differing, fewer = counted.lost + counted.won, min(counted.lost, counted.won)
    logs = [_log_choose(differing, k) - differing * math.log(2) for k in range(fewer + 1)]
    return min(1.0, 2 * math.fsum(map(math.exp, logs)))


def images_for_verdict(counted: Pairs, *, margin_points: float, level: float = LEVEL) -> int | None:
    """How many images would have sufficed for a verdict, had the two differed on the same share of them.

    No promise: the next images may differ. None where the drop is too close to the margin for any number.
    """

    def decided(n: int) -> bool:
        lost, won, z = counted.lost * n / counted.n, counted.won * n / counted.n, NormalDist().inv_cdf(level)
        margin = margin_points / 100
        return _upper(n, lost + 0.5, won, z) <= margin or _lower(n, lost, won + 0.5, z) > margin

    short, enough = 0, 1
    while not decided(enough):
        short, enough = enough, 2 * enough
        if enough > MOST_IMAGES:
            return None
    while enough - short > 1:
        middle = (short + enough) // 2
        short, enough = (short, middle) if decided(middle) else (middle, enough)
    return enough


def images_needed(half_width_points: float, *, disagreement: float, level: float = LEVEL) -> int:
    """How many images bring the interval of `accuracy_drop` to a half-width, in percentage points.

    `disagreement`: the share of images about which only one of the two classifiers is right. The variance of a paired
    difference is at most that share (Connor 1987, "Sample size for testing differences in proportions for the
    paired-sample design", Biometrics 43), and the two are nearly equal where the drop is small.

    Raises:
        ValueError: a half-width or a share outside (0, 100] and (0, 1].
    """
    if not (0 < half_width_points <= 100 and 0 < disagreement <= 1):
        raise ValueError(f"expected points in (0, 100], a share in (0, 1], found {half_width_points}, {disagreement}")
    z = NormalDist().inv_cdf((1 + level) / 2)
    return math.ceil(disagreement * (100 * z / half_width_points) ** 2)


def _lower(n: int, lost: float, won: float, z: float) -> float:
    return _crossing(lambda delta: _tango_score(delta, lost, won, n) - z, -1.0, max(-1.0, (lost - won) / n))


def _upper(n: int, lost: float, won: float, z: float) -> float:
    return _crossing(lambda delta: _tango_score(delta, lost, won, n) + z, min(1.0, (lost - won) / n), 1.0)


def _tango_score(delta: float, lost: float, won: float, n: int) -> float:
    """Tango's statistic for the hypothesis that the true difference is `delta`: falls as delta grows."""
    b = (2 * n - lost + won) * delta - lost - won
    c = -won * delta * (1 - delta)
    share_won = (math.sqrt(max(0.0, b * b - 8 * n * c)) - b) / (4 * n)  # its maximum likelihood under delta
    variance = n * max(0.0, 2 * share_won + delta * (1 - delta))
    difference = lost - won - n * delta
    if variance > 0:
        return difference / math.sqrt(variance)
    return math.copysign(math.inf, difference) if difference else 0.0


def _crossing(falling: Callable[[float], float], low: float, high: float) -> float:
    """Where a falling function crosses zero, by bisection to the last bit that matters."""
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if falling(middle) > 0 else (low, middle)
    return (low + high) / 2


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
