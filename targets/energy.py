"""Energy of an inference, by the counters of the machine: what it takes idle is measured in turn, and taken off.

In each round the machine is left alone once, and every artifact runs once, in random order, each as long as the
counters need (`meter.py`). An artifact is compared with the baseline round by round, as in `latency.py`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from functools import partial
from random import Random

from edgeres.progress import Progress, silent
from edgeres.results import Energy
from targets.lock import machine_lock
from targets.meter import Counter, UncountedError
from targets.stats import median_ratio, quantile
from targets.target import Session

ROUNDS = 8
"""A median has no interval from fewer than 6 rounds."""


def measure(
    sessions: Sequence[Session],
    counters: Sequence[Counter],
    *,
    baseline: int | None = None,
    rounds: int = ROUNDS,
    seed: int = 0,
    progress: Progress = silent,
) -> list[Energy]:
    """Energy of an inference of each session, which are warm, compared with that at `baseline`.

    Raises:
        ValueError: fewer than 6 rounds.
        UncountedError: the counters cannot be read any more, or do not move.
        TargetError: a session died.
    """
    seconds = max(counter.seconds for counter in counters)
    idle_w: list[float] = []
    found: list[list[tuple[float, float]]] = [[] for _ in sessions]
    order, random = [*range(len(sessions)), None], Random(seed)  # noqa: S311 - an order, not a secret
    with machine_lock():
        for done in range(1, rounds + 1):
            random.shuffle(order)
            for place in order:
                if place is None:
                    joules, passed, _ = _spent(counters, partial(_sleep, seconds))
                    idle_w.append(_rounded(joules / passed))
                else:
                    joules, passed, runs = _spent(counters, partial(_run, sessions[place], seconds))
                    found[place].append((_rounded(1000 * joules / runs), _rounded(1000 * passed / runs)))
            progress("energy", done, rounds)
    source = ", ".join(counter.name for counter in counters)
    if not all(any(mj for mj, _ in own) for own in found):
        raise UncountedError(f"{source}: nothing was counted while models ran", fix="measure on another machine")
    costs = [tuple(mj for mj, _ in own) for own in found]
    return [
        summarize(
            source,
            tuple(idle_w),
            costs[place],
            tuple(ms for _, ms in own),
            baseline_mj=None if baseline in (None, place) else costs[baseline],
        )
        for place, own in enumerate(found)
    ]


def summarize(
    source: str,
    idle_watts: tuple[float, ...],
    inferences_mj: tuple[float, ...],
    inferences_ms: tuple[float, ...],
    *,
    baseline_mj: tuple[float, ...] | None = None,
) -> Energy:
    """The medians of the rounds: of each the watts of the idle machine, and what an inference took of the counter.

    `baseline_mj`: of the baseline's inferences in the same rounds. A round in which a slow gauge did not move leaves no
    ratio.

    Raises:
        ValueError: fewer than 6 rounds, or another number of the baseline.
    """
    rounds = zip(idle_watts, inferences_mj, inferences_ms, strict=True)
    net = [gross - idle * duration for idle, gross, duration in rounds]
    saving = None
    if baseline_mj is not None and min(*baseline_mj, *inferences_mj) > 0:
        pairs = zip(baseline_mj, inferences_mj, strict=True)
        saving = median_ratio([math.log(theirs / own) for theirs, own in pairs])
    return Energy(
        source=source,
        idle_w=quantile(idle_watts, 0.5),
        gross_mj=quantile(inferences_mj, 0.5),
        inference_mj=quantile(net, 0.5),
        idle_watts=idle_watts,
        inferences_mj=inferences_mj,
        inferences_ms=inferences_ms,
        saving=saving,
    )


def again(found: Energy, *, baseline: Energy | None) -> Energy:
    """The same, computed anew from the rounds; `baseline`: what it was compared with.

    Raises:
        ValueError: they are too few for an interval, or of another number than the baseline's.
    """
    rounds = found.idle_watts, found.inferences_mj, found.inferences_ms
    return summarize(found.source, *rounds, baseline_mj=baseline.inferences_mj if baseline else None)


def _sleep(seconds: float) -> int:
    time.sleep(seconds)
    return 0


def _run(session: Session, seconds: float) -> int:
    return len(session.time(runs=1, seconds=seconds))


def _spent(counters: Sequence[Counter], work: Callable[[], int]) -> tuple[float, float, int]:
    """Joules and seconds that some work took, and what it returned."""
    began, before = time.monotonic(), [counter.joules() for counter in counters]
    done = work()
    after, ended = [counter.joules() for counter in counters], time.monotonic()
    joules = sum(counter.between(*readings) for counter, *readings in zip(counters, before, after, strict=True))
    return joules, ended - began, done


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")
