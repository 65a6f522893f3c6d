"""Energy of an inference, where the machine counts it: RAPL of x86 processors, or the meter of a battery.

The counters are those of the whole package or machine: what it takes idle is measured in turn with the runs and taken
off. Reference: Linux, Documentation/power/powercap/powercap.rst, Documentation/ABI/testing/sysfs-class-power.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from edgeres.errors import TargetError
from edgeres.progress import Progress, silent
from edgeres.results import Energy, Estimate
from targets.lock import machine_lock
from targets.stats import quantile
from targets.target import Session

SYSFS = Path("/sys/class")
ROUNDS = 8
"""A median has no interval from fewer than 6 rounds."""

RAPL_SECONDS, BATTERY_SECONDS = 1.0, 30.0
"""How long a round is: RAPL counts anew every millisecond, a battery's meter every few seconds."""


@dataclass(frozen=True)
class Counter:
    """A counter of energy that only grows: `joules` reads it; at `wraps_j` it begins anew, where it does.

    `seconds`: how long a round must be for the counter to tell.
    """

    name: str
    joules: Callable[[], float]
    wraps_j: float | None = None
    seconds: float = RAPL_SECONDS

    def between(self, before: float, after: float) -> float:
        """Joules from one reading to a later one."""
        return after - before if after >= before or self.wraps_j is None else after - before + self.wraps_j


def find_counters(sysfs: Path = SYSFS) -> tuple[Counter, ...]:
    """The counters of all processor packages, else of the batteries that discharge.

    Raises:
        TargetError: there is none, or none that may be read; says what to do.
    """
    packages = [
        zone
        for zone in sorted((sysfs / "powercap").glob("intel-rapl:*"))
        if _text(zone / "name").startswith("package") and (zone / "energy_uj").exists()
    ]
    if packages:
        return tuple(_package(zone) for zone in packages)
    batteries = [
        battery
        for battery in sorted((sysfs / "power_supply").glob("*"))
        if _text(battery / "status") == "Discharging" and (battery / "energy_now").exists()
    ]
    if batteries:
        return tuple(_battery(battery) for battery in batteries)
    raise TargetError(
        f"this machine does not say what energy it takes: no package under {sysfs}/powercap, and no battery that "
        f"discharges under {sysfs}/power_supply",
        fix="measure on a machine with RAPL (most x86 ones, not most virtual ones), or unplug the laptop",
    )


def measure(
    sessions: Sequence[Session],
    counters: Sequence[Counter],
    *,
    rounds: int = ROUNDS,
    seconds: float | None = None,
    progress: Progress = silent,
) -> list[Energy]:
    """Energy of an inference of each session, which are warm; idle, and each of them in turn.

    Raises:
        ValueError: fewer than 6 rounds.
        TargetError: a session that died.
    """
    seconds = seconds or max(counter.seconds for counter in counters)
    idle_w: list[float] = []
    found: list[list[tuple[float, float]]] = [[] for _ in sessions]
    with machine_lock():
        for done in range(1, rounds + 1):
            joules, passed = _spent(counters, lambda: time.sleep(seconds))
            idle_w.append(joules / passed)
            for own, session in zip(found, sessions, strict=True):
                times: list[float] = []
                joules, passed = _spent(counters, partial(_run, session, seconds, times))
                own.append((1000 * joules / len(times), 1000 * passed / len(times)))
            progress("energy", done, rounds)
    source = ", ".join(counter.name for counter in counters)
    return [summarize(source, tuple(idle_w), tuple(mj for mj, _ in own), tuple(ms for _, ms in own)) for own in found]


def _run(session: Session, seconds: float, times: list[float]) -> None:
    times += session.time(runs=1, seconds=seconds)


def _spent(counters: Sequence[Counter], work: Callable[[], object]) -> tuple[float, float]:
    """Joules and seconds that some work took."""
    began, before = time.monotonic(), [counter.joules() for counter in counters]
    work()
    after, ended = [counter.joules() for counter in counters], time.monotonic()
    joules = sum(counter.between(*readings) for counter, *readings in zip(counters, before, after, strict=True))
    return joules, ended - began


def summarize(
    source: str, idle_watts: tuple[float, ...], inferences_mj: tuple[float, ...], inferences_ms: tuple[float, ...]
) -> Energy:
    """The medians of the rounds: of each the watts of the idle machine, and what an inference took of the counter.

    Raises:
        ValueError: fewer than 6 rounds.
    """
    rounds = zip(idle_watts, inferences_mj, inferences_ms, strict=True)
    net = [gross - idle * duration for idle, gross, duration in rounds]
    return Energy(
        source=source,
        idle_w=_median(idle_watts),
        gross_mj=_median(inferences_mj),
        inference_mj=_median(net),
        idle_watts=idle_watts,
        inferences_mj=inferences_mj,
        inferences_ms=inferences_ms,
    )


def _median(values: Sequence[float]) -> Estimate:
    return quantile(list(values), 0.5)


def _package(zone: Path) -> Counter:
    try:
        (zone / "energy_uj").read_text()
    except OSError as problem:
        raise TargetError(
            f"{zone}/energy_uj cannot be read: {problem.strerror}",
            fix=f"let it be read until the next start: sudo chmod a+r {zone}/energy_uj",
        ) from problem
    wraps = int(_text(zone / "max_energy_range_uj") or 0) / 1e6
    return Counter(f"RAPL {_text(zone / 'name')}", lambda: int((zone / "energy_uj").read_text()) / 1e6, wraps or None)


def _battery(battery: Path) -> Counter:
    """What it has given: microwatt-hours left, counted down."""
    return Counter(
        f"battery {battery.name}",
        lambda: -int((battery / "energy_now").read_text()) * 3600 / 1e6,
        seconds=BATTERY_SECONDS,
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
