"""Latency: every artifact in a process of its own, timed in interleaved rounds, compared round by round.

What a machine does besides (clocks, other programs) changes within seconds and hits whoever runs at that moment.
Therefore one round runs a short block of every artifact, in random order, and only blocks of one round are compared.
No run is dropped. A process has its own luck with memory for as long as it lives: where an artifact has several, they
take turns round by round. Timing one after the other calls two runs of the same model different in 11 of 25 tries; this
protocol with the ±2 % band of `stats.latency_verdict` in none of 200 (`benchmarks/trust.py`).
"""

from __future__ import annotations

import logging
import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from random import Random

from edgeres.progress import Progress, silent
from edgeres.results import Conditions, Latency
from targets.conditions import Watch
from targets.machine import HERE, Block, Machine, Times
from targets.percentiles import tail
from targets.stats import clustered_quantile, latency_verdict
from targets.stopping import enough, looks, speedup, speedup_bca
from targets.target import Session

MIN_ROUNDS = 30
"""A 90th percentile has no interval from fewer than 29 rounds."""

MAX_ROUNDS = 120
"""Where `profile` ends when noise leaves it inconclusive, unless told otherwise: looks after 30, 60 and 120."""

_BLOCK = Block()
_WARM_UP = Block(runs=2, seconds=0.1)

Rounds = tuple[tuple[float, ...], ...]
"""Milliseconds of every run, one tuple for each round."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Protocol:
    """How latency is measured.

    `rounds` is the least number of rounds; it is the number, unless `max_rounds` is more: then the measurement goes on
    after each of `looks` while a speed-up is inconclusive or its interval wide. `threads` of each model; `pin` keeps
    all on the same cores, one for each thread; `seed` of the order within rounds. Warm-up: blocks of `warm_up` until
    two successive medians agree within `settled`, for at least `warm_up_runs` runs and `warm_up_seconds`; given up
    after `warm_up_limit` seconds.
    """

    rounds: int = MIN_ROUNDS
    max_rounds: int | None = None
    threads: int = 1
    pin: bool = False
    seed: int = 0
    block: Block = _BLOCK
    warm_up: Block = _WARM_UP
    warm_up_runs: int = 10
    warm_up_seconds: float = 0.5
    warm_up_limit: float = 10.0
    settled: float = 0.02

    def __post_init__(self) -> None:
        if self.rounds < MIN_ROUNDS or self.threads < 1:
            raise ValueError(f"expected rounds >= {MIN_ROUNDS}, threads >= 1; found {self.rounds}, {self.threads}")
        if self.max_rounds is not None and self.max_rounds < self.rounds:
            raise ValueError(f"expected max_rounds >= rounds; found {self.max_rounds}, {self.rounds}")

    @property
    def looks(self) -> tuple[int, ...]:
        """After how many rounds the measurement may stop; after the last it does."""
        return looks(self.rounds, self.max_rounds or self.rounds)


def warm_up(session: Session, protocol: Protocol) -> bool:
    """Run until the time of a run no longer changes; whether that happened within the limit."""
    previous, runs, seconds = math.inf, 0, 0.0
    while runs < protocol.warm_up_runs or seconds < protocol.warm_up_limit:
        began = time.monotonic()
        times = session.time(runs=protocol.warm_up.runs, seconds=protocol.warm_up.seconds)
        spent = max(sum(times) / 1000, time.monotonic() - began)  # a device may run more than it tells
        median, runs, seconds = statistics.median(times), runs + len(times), seconds + spent
        agree = abs(median - previous) <= protocol.settled * previous
        if agree and runs >= protocol.warm_up_runs and seconds >= protocol.warm_up_seconds:
            return True
        previous = median
    return False


def run_rounds(
    sessions: Sequence[Session],
    protocol: Protocol,
    *,
    others: Sequence[Sequence[Session]] = (),
    machine: Machine = HERE,
    watch: Watch | None = None,
    enough: Callable[[Sequence[Rounds]], bool] = lambda _: False,
    progress: Progress = silent,
) -> list[Rounds]:
    """Time every session in interleaved rounds; the rounds of each, in the order of `sessions`.

    `others` of the same artifacts take turns with them. `machine`: where they run. `watch` observes every round;
    `enough` says at every look whether to stop. Times are rounded to 6 significant digits, so that every figure can be
    recomputed from what a result stores.
    """
    order, random = list(range(len(sessions))), Random(protocol.seed)  # noqa: S311 - an order, not a secret
    measured: list[list[tuple[float, ...]]] = [[] for _ in sessions]
    done = 0
    for look in protocol.looks:
        orders = []
        for _ in range(done, look):
            random.shuffle(order)
            orders.append(tuple(order))
        for times in _in_turns(machine, (sessions, *others), orders, protocol.block, first=done, watch=watch):
            for place, own in enumerate(times):
                measured[place].append(tuple(float(f"{time:.6g}") for time in own))
            done += 1
            progress("latency", done, protocol.looks[-1])
        if enough([tuple(rounds) for rounds in measured]):
            break
    return [tuple(rounds) for rounds in measured]


def _in_turns(
    machine: Machine,
    sets: Sequence[Sequence[Session]],
    orders: Sequence[Sequence[int]],
    block: Block,
    *,
    first: int,
    watch: Watch | None,
) -> Iterator[Times]:
    """The rounds from number `first` on, each with the next set of sessions."""
    if len(sets) == 1:  # a device runs all rounds in one go
        yield from machine.rounds(sets[0], orders, block, watch=watch)
        return
    for number, order in enumerate(orders, first):
        yield from machine.rounds(sets[number % len(sets)], [order], block, watch=watch)


def summarize(
    rounds: Rounds,
    *,
    threads: int,
    baseline: Rounds | None = None,
    planned: int = 1,
    cores: tuple[int, ...] | None = None,
    processes: int = 1,
    conditions: Conditions | None = None,
) -> Latency:
    """The figures of one artifact; against the baseline's rounds of the same run, where there is one.

    `planned`: at how many looks the measurement could have stopped. `cores`: where it was pinned.
    `processes`: how many of it took turns.

    Raises:
        ValueError: too few rounds, or a baseline with another number of them.
    """
    ratio = None if baseline is None else speedup(baseline, rounds, planned=planned)
    return Latency(
        threads=threads,
        p50_ms=clustered_quantile(rounds, 0.5),
        p90_ms=clustered_quantile(rounds, 0.9),
        rounds=rounds,
        speedup=ratio,
        verdict=None if ratio is None else latency_verdict(ratio),
        p99_ms=tail(rounds, 0.99),
        speedup_bca=None if baseline is None else speedup_bca(baseline, rounds, planned=planned),
        looks=planned,
        cores=cores,
        processes=processes,
        conditions=conditions,
    )


def measure(
    sessions: Sequence[Session],
    protocol: Protocol,
    *,
    others: Sequence[Sequence[Session]] = (),
    baseline: int | None = None,
    machine: Machine = HERE,
    watch: Watch | None = None,
    progress: Progress = silent,
) -> list[Latency]:
    """Warm up, run the rounds, and summarize: the latency of each session, compared with that at `baseline`.

    `others`: further sessions of the same artifacts, in processes of their own, which take turns with the first ones,
    round by round. `machine` is where the sessions run; `watch` observes it meanwhile; unless given, one of the
    sessions' processes.

    Raises:
        TargetError: a session's process died, or did not answer in time.
    """
    everyone = [*sessions, *chain.from_iterable(others)]
    planned, processes = len(protocol.looks), [session.process_id for session in everyone]
    watch = watch or Watch(processes, kernel=machine.reference_ms, counters=machine.counters)
    with machine.lock(), machine.pinned(processes, protocol.threads if protocol.pin else None) as cores:
        for place, session in enumerate(everyone):
            progress("warm-up", place, len(everyone))
            if not warm_up(session, protocol):
                artifact = place % len(sessions) + 1
                _log.warning("artifact %d of %d had not settled after its warm-up", artifact, len(sessions))
        watch.begin()
        measured = run_rounds(
            sessions,
            protocol,
            others=others,
            machine=machine,
            watch=watch,
            enough=lambda rounds: enough(rounds, baseline, planned=planned),
            progress=progress,
        )
        conditions = watch.end(measured)
    reference = None if baseline is None else measured[baseline]
    return [
        summarize(
            rounds,
            threads=protocol.threads,
            baseline=None if place == baseline else reference,
            planned=planned,
            cores=cores,
            processes=1 + len(others),
            conditions=conditions[place],
        )
        for place, rounds in enumerate(measured)
    ]
