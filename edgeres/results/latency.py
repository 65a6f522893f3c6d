"""Records of how long an artifact takes, and of what the machine did meanwhile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgeres.results.estimate import Estimate

BAND = 0.02
"""Timings within ±2 % of each other are the same to this tool: two runs of one model differ by as much."""


@dataclass(frozen=True)
class Trend:
    """How one value for each round changed while they were measured, as fractions of 1.

    `slope`: of the median, each round (Theil-Sen). `change`: the last quarter's median ÷ the first's, less 1.
    `p`: how often a series without a trend would seem to have as clear a one (Mann-Kendall, two-sided).
    """

    slope: float
    change: float
    p: float


Condition = Literal["drift", "contention", "throttling"]


@dataclass(frozen=True)
class Conditions:
    """What the machine did while latency was measured; `flags` are what a reader should know, in words.

    `trend` is that of the artifact's rounds, `reference` that of a fixed kernel timed once a round (`reference_ms`).
    `pressure`: share of the time in which some task waited for a CPU. `steal`: share of CPU time the hypervisor took.
    `switches_per_s`: involuntary context switches of the artifact's process in a second of running, without the one a
    round that the harness causes when it takes the answer. `throttled`: how often a CPU or the container was. None: the
    system does not count it.
    """

    flags: tuple[Condition, ...]
    trend: Trend
    reference: Trend
    reference_ms: tuple[float, ...]
    pressure: float | None = None
    steal: float | None = None
    switches_per_s: float | None = None
    throttled: int | None = None


@dataclass(frozen=True)
class Latency:
    """Time of one inference of one image; `rounds` are the raw times in ms, one list for each interleaved round.

    `p99_ms` is None where too few runs, or too few rounds that differ, would make it a guess.
    `speedup` is baseline time ÷ this time, paired round by round; `looks` is at how many numbers of rounds the
    measurement could have ended, for which its interval is widened; `speedup_bca` has a bootstrap interval, beside the
    one that the verdict is of. `cores` are those it was pinned to, None where the system chose; `processes` of it took
    turns, round by round; `conditions` are those it was measured under.
    """

    threads: int
    p50_ms: Estimate
    p90_ms: Estimate
    rounds: tuple[tuple[float, ...], ...]
    speedup: Estimate | None = None
    verdict: Literal["faster", "slower", "equivalent", "inconclusive"] | None = None
    p99_ms: Estimate | None = None
    speedup_bca: Estimate | None = None
    looks: int | None = None
    cores: tuple[int, ...] | None = None
    processes: int = 1
    conditions: Conditions | None = None


@dataclass(frozen=True)
class Start:
    """One start of a model in a process of its own: until it is ready, its first run, its memory (see `Memory`)."""

    initialization_ms: float
    first_ms: float
    load_bytes: int
    peak_bytes: int


@dataclass(frozen=True)
class Startup:
    """Medians over all `starts`, which are kept."""

    initialization_ms: Estimate
    first_ms: Estimate
    load_bytes: Estimate
    peak_bytes: Estimate
    starts: tuple[Start, ...]


@dataclass(frozen=True)
class Rate:
    """Images in a second: `processes` side by side with so many `threads` each, `batch` images at a time.

    `rates`: of each round, whose median it is. `scaling`: over the first way, one image on one thread, paired round by
    round; None for that one.
    """

    threads: int
    processes: int
    batch: int
    images_per_s: Estimate
    rates: tuple[float, ...] = ()
    scaling: Estimate | None = None


@dataclass(frozen=True)
class Energy:
    """Energy of one inference, by a counter of the whole package or machine.

    `source`: the counters. `gross_mj`: millijoules of the machine during an inference; `inference_mj`: less those that
    it takes idle for as long. `idle_w`: watts of the idle machine. `idle_watts`, `inferences_mj` (gross),
    `inferences_ms`: of each round. `saving`: the baseline's gross energy ÷ this, paired round by round.
    """

    source: str
    idle_w: Estimate
    gross_mj: Estimate
    inference_mj: Estimate
    idle_watts: tuple[float, ...] = ()
    inferences_mj: tuple[float, ...] = ()
    inferences_ms: tuple[float, ...] = ()
    saving: Estimate | None = None
