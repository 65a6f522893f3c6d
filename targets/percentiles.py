"""Tail percentiles: given where the samples suffice, and not at all where they do not.

Runs of one round resemble each other. Where whole rounds are slow, the slowest hundredth of all runs comes from two or
three rounds, however many runs those hold, and any interval of it is a guess.
"""

from __future__ import annotations

from collections.abc import Sequence

from edgeres.results import Estimate
from targets.stats import effective_runs, samples_needed, woodruff

RUNS = {0.9: 64, 0.99: 662}
"""The fewest runs for a percentile: those of MLPerf Inference (Reddi et al. 2020, early stopping)."""

_STEADIER = 0.9
"""How much rounds differ is read off this quantile too: at the tail itself a few rounds decide what seems to be so."""


def tail(rounds: Sequence[Sequence[float]], q: float) -> Estimate | None:
    """The quantile `q` (0.9 or 0.99) of all runs with Woodruff's interval, in the unit of the runs; or None.

    None where there are fewer runs than `RUNS`, or where they are worth fewer independent ones than an interval of
    order statistics would need (`samples_needed`: 299 for a 99th percentile).
    """
    if sum(map(len, rounds)) < RUNS[q]:
        return None
    effective = min(effective_runs(rounds, each) for each in (_STEADIER, q))
    if effective < samples_needed(q):
        return None
    return woodruff(rounds, q, effective=effective)
