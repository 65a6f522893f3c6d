"""A sandbox on a device where a runner serves; see `runner.py`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from edgeres.errors import EdgeresError, TargetError
from edgeres.storage import sha256_bytes
from targets.devices.device import ConnectionLost, Device
from targets.devices.link import TIDY_SECONDS, Answered, Link
from targets.sandbox import Limits
from targets.target import Availability

if TYPE_CHECKING:
    from targets.devices.remote_machine import RemoteMachine

REPEATABLE = ("load", "infer", "plan", "memory", "first")
"""What gives the same on a model that was loaded anew; a timing does not."""

ATTEMPTS = 3
"""How often one call is tried, each time on a new connection."""

_log = logging.getLogger(__name__)


class Served(Device, Protocol):
    """A device on which a runner serves."""

    @property
    def machine(self) -> RemoteMachine:
        """See `Device.machine`."""

    @property
    def call_seconds(self) -> float:
        """How long one call of a runtime there may take."""

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
                self._link.call("close", arguments={"process": self._process}, seconds=TIDY_SECONDS)
