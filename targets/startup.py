"""Start-up: what it takes until a model's first answer, and what memory it has taken by then; in fresh processes.

A process can begin only once, so every sample costs one. The artifacts take turns in random order, as in `latency.py`.
The runtime's own files are in the system's cache by then; a first start after boot takes longer.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from edgeres.progress import Progress, silent
from edgeres.results import Start, Startup
from targets.artifact import Artifact
from targets.catalogue import open_session
from targets.machine import machine_of
from targets.stats import quantile
from targets.target import Target

MIN_STARTS = 6
"""A median has no interval from fewer."""


def measure(
    artifacts: Sequence[Artifact],
    target: Target,
    *,
    threads: int = 1,
    starts: int = MIN_STARTS,
    seed: int = 0,
    progress: Progress = silent,
) -> list[Startup]:
    """Start every artifact so many times, each in a process of its own; one after the other.

    Raises:
        ValueError: fewer than `MIN_STARTS` starts.
        EdgeresError: an artifact that the target refuses, or dies on.
    """
    if starts < MIN_STARTS:
        raise ValueError(f"expected starts >= {MIN_STARTS}, found {starts}")
    order, random = list(range(len(artifacts))), Random(seed)  # noqa: S311 - an order, not a secret
    found: list[list[Start]] = [[] for _ in artifacts]
    with machine_of(target).lock():
        for done in range(1, starts + 1):
            random.shuffle(order)
            for place in order:
                with open_session(artifacts[place], target, threads=threads) as session:
                    found[place].append(session.start())
            progress("start-up", done, starts)
    return [summarize(each) for each in found]


def summarize(starts: Sequence[Start]) -> Startup:
    """The medians of all starts, with their intervals.

    Raises:
        ValueError: fewer than `MIN_STARTS`.
    """
    return Startup(
        initialization_ms=quantile([each.initialization_ms for each in starts], 0.5),
        first_ms=quantile([each.first_ms for each in starts], 0.5),
        load_bytes=quantile([each.load_bytes for each in starts], 0.5),
        peak_bytes=quantile([each.peak_bytes for each in starts], 0.5),
        starts=tuple(starts),
    )
