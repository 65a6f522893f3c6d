"""The machine on which sessions run: what a measurement asks of it besides running them.

`HERE` is this one. A device has its own: its lock keeps two measurements on it apart, its counters are read there, and
rounds run there as a whole, so that no block of runs begins behind a pause of the network.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from targets.conditions import Counters, Watch, read_counters, reference_ms
from targets.environment import describe
from targets.lock import machine_lock
from targets.pinning import cores_for, pinned
from targets.target import Session

Times = Sequence[Sequence[float]]
"""Milliseconds of every run of one round, one sequence for each session."""


@dataclass(frozen=True)
class Block:
    """How long one artifact runs before the next one's turn: at least `runs` times and `seconds`."""

    runs: int = 3
    seconds: float = 0.01


class Machine(Protocol):
    """A machine; `processes` are ids on it, None for a session that has none there."""

    def describe(self) -> dict[str, Any]:
        """The hardware and the software, see `targets.environment.describe`."""

    def lock(self) -> AbstractContextManager[None]:
        """Keeps two measurements on this machine apart; waits for its turn."""

    def pinned(
        self, processes: Sequence[int | None], threads: int | None
    ) -> AbstractContextManager[tuple[int, ...] | None]:
        """Keeps processes on the same cores, one for each thread: those, or None where nothing is to choose.

        Without a number of threads, nothing is pinned.
        """

    def reference_ms(self) -> float:
        """Milliseconds of the reference kernel, see `targets.conditions.reference_ms`."""

    def counters(self, processes: Sequence[int | None], /) -> Counters:
        """What the system has counted until now."""

    def rounds(
        self,
        sessions: Sequence[Session],
        orders: Sequence[Sequence[int]],
        block: Block,
        *,
        watch: Watch | None,
    ) -> Iterator[Times]:
        """Run a round for each order: a block of every session, in that order.

        Tells the watch the reference kernel's time at the beginning of each round.
        """


class Here:
    """This machine."""

    def describe(self) -> dict[str, Any]:
        """See `Machine.describe`."""
        return describe()

    def lock(self) -> AbstractContextManager[None]:
        """See `Machine.lock`."""
        return machine_lock()

    @contextmanager
    def pinned(self, processes: Sequence[int | None], threads: int | None) -> Iterator[tuple[int, ...] | None]:
        """See `Machine.pinned`; nothing is pinned where no session has a process here."""
        cores = cores_for(threads) if threads is not None and any(processes) else None
        with pinned(processes, cores):
            yield cores

    def reference_ms(self) -> float:
        """See `Machine.reference_ms`."""
        return reference_ms()

    def counters(self, processes: Sequence[int | None], /) -> Counters:
        """See `Machine.counters`."""
        return read_counters(processes)

    def rounds(
        self,
        sessions: Sequence[Session],
        orders: Sequence[Sequence[int]],
        block: Block,
        *,
        watch: Watch | None,
    ) -> Iterator[Times]:
        """See `Machine.rounds`."""
        for order in orders:
            if watch is not None:
                watch.each_round()
            times: list[list[float]] = [[] for _ in sessions]
            for place in order:
                times[place] = sessions[place].time(runs=block.runs, seconds=block.seconds)
            yield times


HERE = Here()


def machine_of(target: object) -> Machine:
    """The machine on which a target runs: a device's own, else this one."""
    device = getattr(target, "device", None)
    machine: Machine = HERE if device is None else device.machine
    return machine
