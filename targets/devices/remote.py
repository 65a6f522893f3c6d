"""A target, its sandboxes and its machine on a device where a runner serves; see `runner.py`."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np

from edgeres.errors import EdgeresError, TargetError
from edgeres.records import decode
from edgeres.registry import lookup
from edgeres.storage import sha256_bytes
from targets import TARGETS
from targets.conditions import Counters, Watch
from targets.devices.device import ConnectionLost, Device
from targets.devices.link import Answered, Link
from targets.machine import Block, Times
from targets.runtimes.cpu import CpuTarget
from targets.runtimes.external import ExternalFamily, ExternalTarget
from targets.runtimes.session import EngineSession
from targets.sandbox import Limits
from targets.target import Availability, Session, Tolerance

USUAL = "cpu"
"""The target on a device that is named alone."""

REPEATABLE = ("load", "infer", "plan", "memory", "first")
"""What gives the same on a model that was loaded anew; a timing does not."""

ATTEMPTS = 3
"""How often one call is tried, each time on a new connection."""

LOCK_SECONDS = 600.0
"""How long another measurement on the device is waited for."""

_CLOSE_SECONDS = 10.0
_POLL_SECONDS = 0.5
_ROUNDS_SECONDS = 2.0
_MOST_ROUNDS = 30

_TOLERANCES = {"cpu": Tolerance(steps=8, share=1e-3), "reference": Tolerance(steps=1, share=1e-4)}
"""Another processor than this one: what runs there is held against the reference kernels here."""

_log = logging.getLogger(__name__)


class Served(Device, Protocol):
    """A device on which a runner serves."""

    @property
    def machine(self) -> RemoteMachine:
        """See `Device.machine`."""

    def linked(self) -> Link:
        """The present connection to the runner, made where there is none."""

    def restore(self, lost: Link) -> None:
        """Connect again after a loss."""

    def call(
        self, method: str, *blobs: bytes | memoryview, arguments: dict[str, Any] | None = None, seconds: float = 60.0
    ) -> Answered:
        """Call a method of the runner."""

    def available(self, path: str = "") -> Availability:
        """Whether a model can run there; never raises."""


class RemoteSandbox:
    """A sandbox on a device; see `targets.sandbox.Sandbox`.

    Where the connection is lost, it is made again, the model is pushed again, and a call that gives the same on a model
    that was loaded anew is repeated; but not while the device is locked, for then it is being timed.
    """

    def __init__(self, device: Served, engine: str, *, limits: Limits | None = None) -> None:
        self._device, self._engine, self._limits = device, engine, limits or Limits()
        self._loaded: tuple[tuple[bytes | memoryview, ...], dict[str, Any]] | None = None
        self._link: Link | None = None
        self._process, self._closed = 0, False
        self.longest_seconds = self._limits.seconds
        self._start()

    @property
    def process_id(self) -> int:
        """Of the child, on the device."""
        return self._process

    def _start(self) -> Link:
        self._link = link = self._device.linked()
        limits = {name: getattr(self._limits, name) for name in ("seconds", "cpu_seconds", "answer_bytes")}
        arguments = {"engine": self._engine, "limits": limits}
        self._process = int(link.call("start", arguments=arguments, seconds=self._limits.seconds)[0]["process"])
        self._device.machine.sandboxes[self._process] = self
        return link

    def call(
        self,
        method: str,
        *blobs: bytes | memoryview,
        arguments: dict[str, Any] | None = None,
        seconds: float | None = None,
    ) -> Answered:
        """See `targets.sandbox.Sandbox.call`.

        Raises:
            ConnectionLost: during a call that is not repeated.
        """
        if self._closed or self._link is None:
            raise TargetError(f"the runtime's process has ended, it cannot '{method}'", fix="open the model again")
        if method == "load":
            self._loaded = blobs, arguments or {}
        left, request = ATTEMPTS, partial(self._pass_on, method, blobs, arguments, seconds)
        while isinstance(found := self._tried(self._link, method, request, again=left < ATTEMPTS), ConnectionLost):
            left -= 1
            if not left or method not in REPEATABLE or self._device.machine.locked:
                raise found
            _log.warning("%s; connecting again", found.message)
        return found

    def _tried(
        self, link: Link, method: str, request: Callable[[Link], Answered], *, again: bool
    ) -> Answered | ConnectionLost:
        try:
            return request(self._recovered(link, method) if again and link.closed else link)
        except ConnectionLost as lost:
            return lost

    def _recovered(self, lost: Link, method: str) -> Link:
        """A new connection, and a process on it that is where the old one was before the call."""
        self._device.restore(lost)
        link = self._start()
        if self._loaded is not None and method != "load":
            self._pass_on("load", *self._loaded, None, link)
        return link

    def _pass_on(
        self,
        method: str,
        blobs: Sequence[bytes | memoryview],
        arguments: dict[str, Any] | None,
        seconds: float | None,
        link: Link,
    ) -> Answered:
        limit = self._limits.seconds if seconds is None else seconds
        self.longest_seconds = max(self.longest_seconds, limit)
        request = {"process": self._process, "method": method, "arguments": arguments or {}, "seconds": limit}
        if method == "load":
            request["sha256"] = [sha256_bytes(bytes(blob)) for blob in blobs]
        return link.call("call", *blobs, arguments=request, seconds=limit)

    def lines(self) -> tuple[str, ...]:
        """None: what a child prints on a device comes with its errors."""
        return ()

    def close(self) -> None:
        """End the child on the device, where it can be reached."""
        if self._closed:
            return
        self._closed = True
        self._device.machine.sandboxes.pop(self._process, None)
        if self._link is not None and not self._link.closed:
            with suppress(EdgeresError):
                self._link.call("close", arguments={"process": self._process}, seconds=_CLOSE_SECONDS)


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
                    link.call("unlock", seconds=60.0)

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


@dataclass(frozen=True)
class RemoteTarget:
    """A target on a device: `inner` is the one that it is there. See `targets.devices.device.DeviceTarget`."""

    name: str
    device: Served
    inner: CpuTarget | ExternalTarget
    tolerance: Tolerance | None
    kind: str = "device"
    timed: bool = True

    @property
    def multiple(self) -> int:
        """See `targets.target.Target`."""
        return self.inner.multiple

    def check(self) -> Availability:
        """Connect, and look for a runtime there."""
        return self.device.available(self.inner.path if isinstance(self.inner, ExternalTarget) else "")

    def open(self, model: bytes, *, threads: int = 1, limits: Limits | None = None) -> EngineSession:
        """Load a model from its bytes in a sandbox on the device.

        Raises:
            ArtifactError: the bytes are not a well-formed flatbuffer.
            ModelError: it does not map one image to one row of scores.
            TargetError: the device cannot be reached, refuses the model, or dies on it.
        """
        return self.inner.open(model, threads=threads, limits=limits, launch=partial(RemoteSandbox, self.device))


def remote_target(device: Served, name: str) -> RemoteTarget:
    """The target of that name on a device; `cpu` where it is empty.

    Raises:
        TargetError: there is none of that name, or none that runs on a device.
    """
    head, colon, argument = (name or USUAL).partition(":")
    found = lookup(TARGETS, head, noun="target", error=TargetError)
    if isinstance(found, ExternalFamily):
        found = found.member(argument)
    elif colon or not isinstance(found, CpuTarget):
        fix = f"{device.name}/cpu, /reference, /builtin, or /external:PATH"
        raise TargetError(f"'{name}' does not run on a device", fix=fix)
    tolerance = found.tolerance or _TOLERANCES[found.name]
    return RemoteTarget(f"{device.name}/{found.name}", device, found, tolerance)
