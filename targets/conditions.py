"""Conditions: what the machine did besides, while latency was measured; written down, and never a reason to drop a run.

A fixed kernel of this process is timed once a round: where it slows down, the machine did. The kernel's counters say
why: who waited for a CPU (pressure stall information), what the hypervisor took (steal), how often the model's process
was thrown off its CPU, how often a CPU or a container was throttled. What a system does not count is left out.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgeres.results import Condition, Conditions, Trend
from targets.trend import drifts, trend

PRESSURE = 0.1
"""Contention from here on: the share of the time in which some task waited for a CPU."""

STEAL = 0.02
"""Contention from here on: the share of the CPUs' time that the hypervisor gave to others."""

SWITCHES = 20.0
"""Contention from here on: how often in a second of its running time a model's process lost its CPU to another."""

_PRESSURE = Path("/proc/pressure/cpu")
_STAT = Path("/proc/stat")
_CPUS = Path("/sys/devices/system/cpu")
_GROUP = Path("/sys/fs/cgroup/cpu.stat")

_KERNEL = np.linspace(0.5, 1.5, 4096, dtype=np.float32)
_KERNEL_PASSES = 250
_KERNEL_RUNS = 3


def reference_ms() -> float:
    """Milliseconds of the reference kernel: fixed work of about one millisecond in the first-level cache; median of 3.

    Elementwise on purpose: a matrix product would start threads of its own.
    """
    work, times = np.empty_like(_KERNEL), []
    for _ in range(_KERNEL_RUNS):
        began = time.perf_counter()
        work[:] = _KERNEL
        for _ in range(_KERNEL_PASSES):
            np.multiply(work, _KERNEL, out=work)
            np.minimum(work, 1.0, out=work)
            np.maximum(work, 0.5, out=work)
        times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times)


@dataclass(frozen=True)
class Counters:
    """What the system has counted until now; None where it does not.

    `clock_s`: time. `waited_s`: in which some task waited for a CPU. `stolen`, `ticks`: of all CPUs. `throttled`: times
    that a CPU or this container was. `switches`: involuntary ones of each process.
    """

    clock_s: float
    waited_s: float | None
    stolen: int | None
    ticks: int | None
    throttled: int | None
    switches: tuple[int | None, ...]


Reader = Callable[["Sequence[int | None]"], Counters]  # quoted: Python 3.9 has no `|` of types


def read_counters(processes: Sequence[int | None]) -> Counters:
    """Read them for these process ids; None stands for a process that does not run here."""
    stolen, ticks = _steal(_read(_STAT))
    return Counters(
        clock_s=time.monotonic(),
        waited_s=_pressure(_read(_PRESSURE)),
        stolen=stolen,
        ticks=ticks,
        throttled=_throttled(),
        switches=tuple(None if process is None else _switches(process) for process in processes),
    )


class Watch:
    """Watches a measurement of several processes: `begin` before its rounds, `each_round`, and `end` after them.

    `processes`: of the first artifact, of the second, …; then as many more where several of each take turns.
    `kernel` gives the milliseconds of the reference kernel, `counters` reads what the system has counted.
    """

    def __init__(
        self,
        processes: Sequence[int | None],
        *,
        kernel: Callable[[], float] = reference_ms,
        counters: Reader = read_counters,
    ) -> None:
        self._processes, self._kernel, self._counters = processes, kernel, counters
        self._reference: list[float] = []

    def begin(self) -> None:
        """Run the kernel for the first time, which does not count, and read the counters."""
        self._kernel()
        self._before = self._counters(self._processes)

    def each_round(self) -> None:
        """Time the reference kernel."""
        self.note(self._kernel())

    def note(self, milliseconds: float) -> None:
        """Take in the reference kernel's time at the beginning of a round."""
        self._reference.append(float(f"{milliseconds:.6g}"))

    def end(self, measured: Sequence[Sequence[Sequence[float]]]) -> list[Conditions]:
        """The conditions of each artifact, from the milliseconds of its runs, round by round."""
        before, after = self._before, self._counters(self._processes)
        seconds = after.clock_s - before.clock_s
        pressure = _share(before.waited_s, after.waited_s, seconds)
        steal = _share(before.stolen, after.stolen, (after.ticks or 0) - (before.ticks or 0))
        throttled = _added(before.throttled, after.throttled)
        reference = trend(self._reference)
        found = []
        for place, rounds in enumerate(measured):
            running = sum(map(sum, rounds)) / 1000
            # Whoever takes a block's answer is woken by it, and may well be woken on the same CPU: once a round.
            first, last = (_all(each.switches[place :: len(measured)]) for each in (before, after))
            switches = _share(first, None if last is None else last - len(rounds), running, limit=None)
            own = trend([statistics.median(block) for block in rounds])
            evidence = Evidence(own, reference, pressure, steal, switches, throttled, series=len(measured) + 1)
            found.append(
                Conditions(
                    flags=flags(evidence),
                    trend=own,
                    reference=reference,
                    reference_ms=tuple(self._reference),
                    pressure=pressure,
                    steal=steal,
                    switches_per_s=switches,
                    throttled=None if throttled is None else int(throttled),
                )
            )
        return found


@dataclass(frozen=True)
class Evidence:
    """What `flags` judges; `series` is how many trends are looked at in this measurement."""

    own: Trend
    reference: Trend
    pressure: float | None = None
    steal: float | None = None
    switches: float | None = None
    throttled: float | None = None
    series: int = 2


def flags(found: Evidence) -> tuple[Condition, ...]:
    """What to say of one artifact's conditions.

    `drift`: it or the reference kernel became slower or faster. `contention`: others used the CPUs. `throttling`: the
    system counted it, or the reference kernel became slower and no other program was to blame.
    """
    machine = drifts(found.reference, series=found.series)
    contention = (found.pressure or 0) > PRESSURE or (found.steal or 0) > STEAL or (found.switches or 0) > SWITCHES
    throttling = (found.throttled or 0) > 0 or (machine and found.reference.change > 0 and not contention)
    judged: tuple[tuple[Condition, bool], ...] = (
        ("drift", machine or drifts(found.own, series=found.series)),
        ("contention", contention),
        ("throttling", throttling),
    )
    return tuple(name for name, holds in judged if holds)


def _all(counted: Sequence[int | None]) -> int | None:
    known = [each for each in counted if each is not None]
    return sum(known) if len(known) == len(counted) else None


def _added(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else max(0.0, after - before)


def _share(before: float | None, after: float | None, whole: float, *, limit: float | None = 1.0) -> float | None:
    added = _added(before, after)
    if added is None or whole <= 0:
        return None
    share = round(added / whole, 4)
    return share if limit is None else min(limit, share)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _pressure(text: str) -> float | None:
    """Seconds in which some task waited for a CPU, from `/proc/pressure/cpu`."""
    for line in text.splitlines():
        if line.startswith("some"):
            with suppress(ValueError):
                return int(line.rpartition("total=")[2]) / 1e6
    return None


def _steal(text: str) -> tuple[int | None, int | None]:
    """Ticks stolen from all CPUs, and all their ticks, from `/proc/stat`."""
    fields = text.partition("\n")[0].split()
    if len(fields) < 9 or fields[0] != "cpu":
        return None, None
    ticks = [int(field) for field in fields[1:9]]
    return ticks[7], sum(ticks)


def _throttled() -> int | None:
    """How often any core was throttled for heat, and this container for its quota."""
    counts = [_read(path).strip() for path in _CPUS.glob("cpu[0-9]*/thermal_throttle/core_throttle_count")]
    counts += [line.split()[1] for line in _read(_GROUP).splitlines() if line.startswith("nr_throttled ")]
    numbers = [int(count) for count in counts if count.isdecimal()]
    return sum(numbers) if numbers else None


def _switches(process: int) -> int | None:
    """Involuntary context switches of all threads of a process; None where it is gone."""
    texts = [_read(path) for path in Path(f"/proc/{process}/task").glob("*/status")]
    lines = [line for text in texts for line in text.splitlines() if line.startswith("nonvoluntary_ctxt_switches:")]
    return sum(int(line.split()[1]) for line in lines) if lines else None
