"""Stopping: how many rounds a measurement needs, found while it runs, at a price that is paid in the interval.

Whoever looks often enough at noise sees a difference once. Therefore there are few looks, at numbers of rounds that are
fixed beforehand, each twice the one before, and the interval of every look is widened so that all of them together are
right as often as one alone would be (Bonferroni; Jennison and Turnbull 2000, "Group Sequential Methods", chapter 2).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import replace

from edgeres.results import Estimate
from targets.bootstrap import median_interval
from targets.stats import LEVEL, latency_verdict, median_ratio

PRECISION = 0.025
"""A speed-up is tight enough when its interval reaches no further than ±2.5 % from its middle."""

Blocks = Sequence[Sequence[float]]
"""The milliseconds of an artifact's runs, round by round."""


def looks(first: int, limit: int) -> tuple[int, ...]:
    """After how many rounds to look: `first`, then twice as many each time, and `limit`."""
    found = [first]
    while found[-1] < limit:
        found.append(min(2 * found[-1], limit))
    return tuple(found)


def log_ratios(baseline: Blocks, own: Blocks) -> list[float]:
    """The logarithm of baseline time ÷ own time for each round, of the medians of its runs.

    Raises:
        ValueError: two numbers of rounds.
    """
    medians = ((statistics.median(theirs), statistics.median(mine)) for theirs, mine in zip(baseline, own, strict=True))
    return [math.log(theirs / mine) for theirs, mine in medians]


def corrected(level: float, planned: int) -> float:
    """The level of each of `planned` intervals that are all right with probability `level`, at least."""
    return 1 - (1 - level) / planned


def speedup(baseline: Blocks, own: Blocks, *, planned: int = 1) -> Estimate:
    """Baseline time ÷ own time over the rounds, its interval right at `planned` looks together.

    Raises:
        ValueError: too few rounds for an interval, or two numbers of them.
    """
    found = median_ratio(log_ratios(baseline, own), level=corrected(LEVEL, planned))
    return replace(found, level=LEVEL, method=found.method + _widened(planned))


def speedup_bca(baseline: Blocks, own: Blocks, *, planned: int = 1) -> Estimate:
    """As `speedup`, with the bootstrap's interval of the same median.

    Raises:
        ValueError: too few rounds for an interval, or two numbers of them.
    """
    found = median_interval(log_ratios(baseline, own), level=corrected(LEVEL, planned))
    value, low, high = map(math.exp, (found.value, found.low, found.high))
    return Estimate(value, low, high, LEVEL, f"{found.method} of per-round log-ratios{_widened(planned)}", found.n)


def _widened(planned: int) -> str:
    return f", widened for {planned} looks (Bonferroni)" if planned > 1 else ""


def enough(measured: Sequence[Blocks], baseline: int | None, *, planned: int) -> bool:
    """Whether every artifact has a verdict over the one at `baseline`, and a speed-up that is tight enough."""
    if baseline is None:
        return True
    others = (rounds for place, rounds in enumerate(measured) if place != baseline)
    found = [speedup(measured[baseline], rounds, planned=planned) for rounds in others]
    return all(
        latency_verdict(each) != "inconclusive" and math.log(each.high / each.low) <= 2 * math.log1p(PRECISION)
        for each in found
    )
