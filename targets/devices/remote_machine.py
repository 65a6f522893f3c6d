"""The machine of a device where a runner serves: its lock, its cores, its counters, and rounds of timing on it."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from typing import Any

import numpy as np

from edgeres.errors import EdgeresError, TargetError
from edgeres.records import decode
from targets.conditions import Counters, Watch
from targets.devices.link import TIDY_SECONDS, Answered
from targets.devices.remote_sandbox import RemoteSandbox, Served
from targets.machine import Block, Times
from targets.target import Session

LOCK_SECONDS = 600.0
"""How long another measurement on the device is waited for."""

_POLL_SECONDS = 0.5
_ROUNDS_SECONDS = 2.0
_MOST_ROUNDS = 30

_log = logging.getLogger(__name__)


class RemoteMachine:
    """See `targets.machine.Machine`."""

    def __init__(self, device: Served) -> None:
        self._device = device
        self._cores: tuple[int, ...] | None = None
        self.sandboxes: dict[int, RemoteSandbox] = {}
        self.locked = False

    def describe(self) -> dict[str, Any]:
        """See `Machine.describe`."""
        environment: dict[str, Any] = self._device.call("describe")[0]["environment"]
        return environment

    @contextmanager
    def lock(self) -> Iterator[None]:
        """See `Machine.lock`.

        Raises:
            TargetError: another measurement does not end.
        """
        deadline, told = time.monotonic() + LOCK_SECONDS, False
        link = self._device.linked()
        while not (found := link.call("lock", seconds=60.0)[0])["held"]:
            if time.monotonic() > deadline:
                problem = f"{self._device.name}: another latency measurement has been running for {LOCK_SECONDS:.0f} s"
                raise TargetError(problem, fix="wait for it to end, or end it there")
            if not told:
                _log.warning("another latency measurement is running on %s; waiting for it to end", self._device.name)
                told = True
            time.sleep(_POLL_SECONDS)
        if why := found.get("why"):
            _log.warning("measuring on %s without its lock: %s", self._device.name, why)
        self.locked = True
        try:
            yield
        finally:
            self.locked = False
            if not link.closed:
                with suppress(EdgeresError):
                    link.call("unlock", seconds=TIDY_SECONDS)

    @contextmanager
    def pinned(self, processes: Sequence[int | None], threads: int | None) -> Iterator[tuple[int, ...] | None]:
        """See `Machine.pinned`; the rounds pin the processes before they begin."""
        del processes
        cores = self._device.call("cores", arguments={"threads": threads})[0]["cores"] if threads is not None else None
        self._cores = None if cores is None else tuple(map(int, cores))
        try:
            yield self._cores
        finally:
            self._cores = None

    def reference_ms(self) -> float:
        """See `Machine.reference_ms`."""
        return float(self._device.call("reference")[0]["reference_ms"])

    def counters(self, processes: Sequence[int | None], /) -> Counters:
        """See `Machine.counters`."""
        found, _ = self._device.call("counters", arguments={"processes": list(processes)})
        return decode(Counters, found, where=f"the answer of {self._device.name}", error=TargetError)

    def rounds(
        self, sessions: Sequence[Session], orders: Sequence[Sequence[int]], block: Block, *, watch: Watch | None
    ) -> Iterator[Times]:
        """See `Machine.rounds`: so many in one call as take two seconds.

        Raises:
            ConnectionLost: the measurement has to begin anew.
        """
        processes = [session.process_id for session in sessions]
        used = [self.sandboxes[process] for process in processes if process is not None]
        limits = [2 * each.longest_seconds for each in used]
        request = {"processes": processes, "block": asdict(block), "limits": limits, "cores": self._cores}
        done, at_once = 0, 1
        while done < len(orders):
            some = [list(order) for order in orders[done : done + at_once]]
            began = time.monotonic()
            found = self._device.call("rounds", arguments={**request, "orders": some}, seconds=len(some) * sum(limits))
            seconds = time.monotonic() - began
            for reference, times in _unfolded(found, some, name=self._device.name):
                if watch is not None:
                    watch.note(reference)
                yield times
            done += len(some)
            at_once = max(1, min(_MOST_ROUNDS, int(_ROUNDS_SECONDS * len(some) / seconds)))


def _unfolded(found: Answered, orders: Sequence[Sequence[int]], *, name: str) -> Iterator[tuple[float, Times]]:
    """The reference kernel's time and the times of each session, round by round, from an answer of `do_rounds`.

    Raises:
        TargetError: it does not answer what was asked.
    """
    values, blobs = found
    places = [place for order in orders for place in order]
    counts, references = values.get("counts"), values.get("references_ms")
    times = np.frombuffer(blobs[0], "<f8") if len(blobs) == 1 and len(blobs[0]) % 8 == 0 else np.empty(0)
    if (
        not isinstance(counts, list)
        or not isinstance(references, list)
        or not all(type(count) is int and count > 0 for count in counts)
        or not all(isinstance(reference, (int, float)) for reference in references)
        or (len(counts), len(references), sum(counts)) != (len(places), len(orders), len(times))
        or not (times > 0).all()
    ):
        raise TargetError(f"{name} answered with rounds that make no sense", fix="measure again")
    pieces = iter(np.split(times, np.cumsum(counts)[:-1]))
    for order, reference in zip(orders, references, strict=True):
        own: list[list[float]] = [[] for _ in order]
        for place in order:
            own[place] = next(pieces).tolist()
        yield float(reference), own
