"""Pinning: models take turns on the same cores, as many as they have threads, so that no run pays for a move.

Whoever measures goes there too: model and parent never run at the same time, and an answer need not wake another core.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_CPUS = Path("/sys/devices/system/cpu")


def cores_for(threads: int) -> tuple[int, ...] | None:
    """One core for each thread, of those that this process may use; None where nothing is left to choose.

    The fastest ones, for not all cores of a processor are alike; no two that are one core's hardware threads, as long
    as there are others; the last ones, for the first serves interrupts.
    """
    try:
        own = os.sched_getaffinity(0)
    except AttributeError:  # not Linux
        return None
    if threads >= len(own):
        return None
    taken: dict[str, int] = {}
    ranked: list[tuple[int, int, int]] = []
    for core in sorted(own, key=lambda core: (-_speed(core), -core)):
        siblings = _read(core, "topology/thread_siblings_list") or str(core)
        ranked.append((taken.get(siblings, 0), len(ranked), core))
        taken[siblings] = taken.get(siblings, 0) + 1
    return tuple(sorted(core for _, _, core in sorted(ranked)[:threads]))


@contextmanager
def pinned(processes: Iterable[int | None], cores: tuple[int, ...] | None) -> Iterator[None]:
    """Keep all threads of these processes, and the calling thread, on these cores; the caller is freed at the end.

    Without cores, nothing is pinned.
    """
    if cores is None:
        yield
        return
    before = os.sched_getaffinity(0)
    for process in processes:
        for task in Path(f"/proc/{process}/task").glob("[0-9]*"):
            with suppress(OSError):  # a thread that has just ended
                os.sched_setaffinity(int(task.name), cores)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _speed(core: int) -> int:
    """How fast a core is, in a unit of its system; 0 where that is not said."""
    for name in ("cpu_capacity", "cpufreq/cpuinfo_max_freq"):
        if (text := _read(core, name)).isdecimal():
            return int(text)
    return 0


def _read(core: int, name: str) -> str:
    try:
        return (_CPUS / f"cpu{core}" / name).read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
