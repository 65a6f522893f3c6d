"""Intervals and verdicts: every figure of a report carries what these functions say of it.

Only numpy and the standard library, for a device has no scipy. Each `Estimate` names its method and sample size.

    proportion          a share of independent images           Wilson's score interval
    mean                independent values                      normal, by the central limit theorem
    quantile            independent values                      order statistics, by the binomial distribution
    clustered_quantile  values that come in rounds              Woodruff's interval, a round being the sampling unit
    median_ratio        two timings, paired round by round      order statistics of the log-ratios
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgeres.results import BAND, Estimate

LEVEL = 0.95
"""The confidence level of every interval unless a caller asks for another."""

MEAN_FLOOR = 30
"""A mean of fewer samples has no normal interval."""

LatencyVerdict = Literal["faster", "slower", "equivalent", "inconclusive"]


def proportion(successes: int, n: int, *, level: float = LEVEL) -> Estimate:
    """A share of `n` independent trials, as a fraction of 1, with Wilson's score interval (1927).

    Raises:
        ValueError: no trial, or successes outside 0…n.
    """
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"expected 0 <= successes <= n with n >= 1, found {successes} of {n}")
    low, high = _wilson(successes / n, n, _z(level))
    return Estimate(successes / n, low, high, level, "Wilson score interval", n)


def mean(samples: ArrayLike, *, level: float = LEVEL) -> Estimate:
    """The mean of independent samples with the normal interval of the central limit theorem.

    Raises:
        ValueError: fewer than `MEAN_FLOOR` samples.
    """
    values = np.asarray(samples, np.float64)
    if len(values) < MEAN_FLOOR:
        raise ValueError(f"a mean needs at least {MEAN_FLOOR} samples for a normal interval, found {len(values)}")
    value, half = float(values.mean()), _z(level) * float(values.std(ddof=1)) / math.sqrt(len(values))
    return Estimate(value, value - half, value + half, level, "mean, normal interval", len(values))


def quantile(samples: ArrayLike, q: float, *, level: float = LEVEL) -> Estimate:
    """A quantile of independent samples, with the shortest pair of order statistics that covers it.

    Distribution-free: the number of samples below the quantile is binomial (Conover, "Practical Nonparametric
    Statistics", 3.2). The floor at level 0.95 is 6 samples for a median, 29 for a 90th percentile, 299 for a 99th:
    below it not even the extremes make an interval, and no figure is given.

    Raises:
        ValueError: q outside (0, 1), or fewer samples than the floor.
    """
    ordered = np.sort(np.asarray(samples, np.float64))
    n = len(ordered)
    ranks = _order_ranks(n, q, level)
    if ranks is None:
        raise ValueError(f"quantile {q} at level {level} needs at least {samples_needed(q, level)} samples, found {n}")
    low, high = ordered[ranks[0] - 1], ordered[ranks[1] - 1]
    value = float(np.quantile(ordered, q))
    method = f"quantile {q}, binomial order-statistic interval"
    return Estimate(value, float(low), float(high), level, method, n)


def samples_needed(q: float, level: float = LEVEL) -> int:
    """The fewest samples whose smallest and largest value enclose quantile `q` with probability `level`.

    Raises:
        ValueError: q or level outside (0, 1).
    """
    if not (0 < q < 1 and 0 < level < 1):
        raise ValueError(f"q and level must be in (0, 1), found {q} and {level}")
    n = max(1, math.floor(math.log(1 - level) / math.log(max(q, 1 - q))))
    while 1 - q**n - (1 - q) ** n < level:
        n += 1
    return n


def clustered_quantile(rounds: Sequence[Sequence[float]], q: float, *, level: float = LEVEL) -> Estimate:
    """A quantile of all values when those of one round resemble each other; every round weighs the same.

    Woodruff's interval (1952, "Confidence intervals for medians and other position measures", JASA 47): the share of
    values below the quantile has a standard error, here that between rounds; the interval of the share (Wilson's with
    continuity correction, for the sample size that such an error stands for: Korn and Graubard 1998) is read back off
    the distribution. `n` is the number of rounds.

    Raises:
        ValueError: q outside (0, 1), an empty round, or fewer rounds than `samples_needed`.
    """
    if len(rounds) < samples_needed(q, level) or not all(map(len, rounds)):
        raise ValueError(f"quantile {q} needs at least {samples_needed(q, level)} rounds, found {len(rounds)}")
    return woodruff(rounds, q, effective=effective_runs(rounds, q), level=level)


def effective_runs(rounds: Sequence[Sequence[float]], q: float) -> float:
    """How many independent values would tell the share below quantile `q` as well as all runs of these rounds do."""
    values, cumulated = _weighed(rounds)
    variance = float(np.var(_shares_below(rounds, _weighted_quantile(values, cumulated, q), q), ddof=1)) / len(rounds)
    return min(float(len(values)), q * (1 - q) / variance) if variance > 0 else float(len(values))


def woodruff(rounds: Sequence[Sequence[float]], q: float, *, effective: float, level: float = LEVEL) -> Estimate:
    """The interval of `clustered_quantile` for runs that are worth so many independent values."""
    values, cumulated = _weighed(rounds)
    effective *= (_z(level) / _student(level, len(rounds) - 1)) ** 2  # the variance itself is estimated
    low, high = _wilson(q, effective, _z(level))
    low = _weighted_quantile(values, cumulated, low - 0.5 / effective)
    high = _weighted_quantile(values, cumulated, high + 0.5 / effective)
    method = f"quantile {q} of all runs, rounds weighing the same, Woodruff interval over rounds"
    return Estimate(_weighted_quantile(values, cumulated, q), low, high, level, method, len(rounds))


def median_ratio(log_ratios: ArrayLike, *, level: float = LEVEL) -> Estimate:
    """The median of per-round log-ratios as a ratio, with the order-statistic interval of that median.

    Raises:
        ValueError: fewer than 6 rounds (at level 0.95).
    """
    median = quantile(log_ratios, 0.5, level=level)
    method = "median of per-round ratios, binomial order-statistic interval"
    return Estimate(math.exp(median.value), math.exp(median.low), math.exp(median.high), level, method, median.n)


def latency_verdict(speedup: Estimate, *, band: float = BAND) -> LatencyVerdict:
    """Where the whole interval of a speed-up lies: beyond the band on one side, within it, or neither."""
    slower, faster = 1 / (1 + band), 1 + band
    if speedup.low > faster:
        return "faster"
    if speedup.high < slower:
        return "slower"
    if slower <= speedup.low and speedup.high <= faster:
        return "equivalent"
    return "inconclusive"


def _z(level: float) -> float:
    return NormalDist().inv_cdf((1 + level) / 2)


def _student(level: float, freedom: int) -> float:
    """Student's t quantile by its expansion around the normal one (Abramowitz and Stegun 26.7.5), for freedom > 4."""
    z = _z(level)
    return z + (z**3 + z) / (4 * freedom) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)


def _wilson(share: float, n: float, z: float) -> tuple[float, float]:
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half))


@lru_cache
def _order_ranks(n: int, q: float, level: float) -> tuple[int, int] | None:
    """Ranks (from 1) of the closest two order statistics that enclose quantile `q`, tails as even as can be."""
    if n < samples_needed(q, level):
        return None
    below = np.cumsum(_binomial(n, q))  # P(at most k samples lie below the quantile)
    best: tuple[int, float, int, int] | None = None
    for low in range(1, n):
        high = int(np.searchsorted(below[:n], below[low - 1] + level)) + 1
        if high > n:
            break
        lopsided = abs(float(below[low - 1]) - (1 - float(below[high - 1])))
        candidate = (high - low, lopsided, low, high)
        best = candidate if best is None else min(best, candidate)
    return None if best is None else best[2:]


def _shares_below(rounds: Sequence[Sequence[float]], value: float, q: float) -> NDArray[np.float64]:
    """The share of each round below a value, ties split so that the shares' mean is `q`; float64 (rounds,)."""
    below = np.asarray([np.mean(np.asarray(block) < value) for block in rounds])
    ties = np.asarray([np.mean(np.asarray(block) == value) for block in rounds])
    return np.asarray(below + ties * (q - below.mean()) / ties.mean())


def _binomial(n: int, q: float) -> NDArray[np.float64]:
    """P(exactly k of n) for k in 0…n; float64 (n + 1,)."""
    choose = [math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) for k in range(n + 1)]
    return np.exp([c + k * math.log(q) + (n - k) * math.log1p(-q) for k, c in enumerate(choose)])


def _weighed(rounds: Sequence[Sequence[float]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """All values in order, and the share of the weight up to each, every round weighing the same."""
    values = np.concatenate([np.asarray(block, np.float64) for block in rounds])
    weights = np.concatenate([np.full(len(block), 1 / (len(block) * len(rounds))) for block in rounds])
    order = np.argsort(values, kind="stable")
    return values[order], np.cumsum(weights[order])


def _weighted_quantile(values: NDArray[np.float64], cumulated: NDArray[np.float64], q: float) -> float:
    return float(values[min(int(np.searchsorted(cumulated, q * (1 - 1e-12))), len(values) - 1)])
