"""What runs on a device: it starts sandboxes there, passes calls on to them, and answers for the machine.

Comes over the connection as sources in a zip file, which lies in memory and has no name (`sources.py`); nothing is
written on the device but the lock's empty file. Needs Python 3.9; numpy and a runtime where a model runs. Ends, and
its sandboxes with it, when the connection does, or when the other side has been silent for a minute.

Requests: {"id", "method", "arguments"} and binary parts; answers {"id", "values"} or {"id", "error"}, in any order.
A sandbox goes by the id of its process.
"""

from __future__ import annotations

import hashlib
import logging
import os
import select
import shutil
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock, Thread
from typing import Any, NoReturn

from edgeres.errors import TargetError
from targets.environment import describe
from targets.lock import LOCK, open_lock, take
from targets.messages import Message, MessageError, pack, unpack
from targets.pinning import cores_for, pinned
from targets.sandbox import Limits, Sandbox
from targets.worker import Answer, describe_error

SILENCE_SECONDS = 60.0
"""Either side says that it is there several times in this time, or is gone."""

ALIVE = "alive"
"""The method that says so; the answer says the same of this side."""

MARK = b"\0edgeres\0"
"""Comes before the first answer: what a login shell printed has to be told from it."""

READY = "ready"
"""What the first answer holds, of the id 0, which nobody asked for: the version of Python."""


def main() -> NoReturn:
    """Serve file descriptors 0 and 1 until the other side is gone. What anything else prints goes to 2."""
    requests, replies = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    runner = Runner(replies)
    with suppress(EOFError, MessageError, OSError):
        runner.serve(requests)
    os._exit(0)  # threads may be waiting for sandboxes, which the kernel ends with this process


class Runner:
    """The methods that can be called, and the sandboxes that they started."""

    def __init__(self, replies: int) -> None:
        self._replies, self._writing = replies, Lock()
        self._sandboxes: dict[int, Sandbox] = {}
        self._lock: int | None = None

    def serve(self, requests: int) -> None:
        """Answer requests, each in a thread of its own; but sandboxes are started in this one, which they live with.

        Raises:
            EOFError: the other side is gone, or silent for too long.
        """
        os.write(self._replies, MARK)
        self._send({"id": 0, "values": {READY: sys.version.split()[0]}}, ())
        while True:
            message = unpack(lambda size: _exactly(requests, size), limit=1 << 40)
            method = message.header["method"]
            if method in ("start", ALIVE):
                self._answer(message)
            else:
                Thread(target=self._answer, args=(message,), daemon=True).start()

    def _answer(self, message: Message) -> None:
        header: dict[str, Any] = {"id": message.header["id"]}
        blobs: Sequence[bytes | memoryview] = ()
        try:
            method = getattr(self, f"do_{message.header['method']}")
            header["values"], blobs = method(*message.blobs, **message.header["arguments"])
        except Exception as error:  # noqa: BLE001 - whatever it is, the other side has to hear of it
            header["error"] = describe_error(error)
        try:
            self._send(header, blobs)
        except OSError:
            os._exit(0)

    def _send(self, header: dict[str, Any], blobs: Sequence[bytes | memoryview]) -> None:
        with self._writing:
            for piece in pack(header, blobs):
                rest = memoryview(piece).cast("B")
                while rest:
                    rest = rest[os.write(self._replies, rest) :]

    def do_alive(self) -> Answer:
        """Nothing but that this process runs."""
        return {}, ()

    def do_describe(self) -> Answer:
        """The machine and its software, and the free bytes for temporary files: 0 where no folder can be written."""
        try:
            free = shutil.disk_usage(tempfile.gettempdir()).free
        except OSError:  # Python finds no folder in which it could write
            free = 0
        return {"environment": describe(), "executable": sys.executable, "free_bytes": free}, ()

    def do_available(self, *, path: str = "") -> Answer:
        """Whether a runtime is there, and the file at `path`, where one is given."""
        from targets.runtimes.interpreter import available  # here: it needs numpy, which may be what is missing

        found = available()
        exists = not path or Path(path).is_file()
        return {"available": found.available, "version": found.version, "why": found.why, "exists": exists}, ()

    def do_start(self, *, engine: str, limits: dict[str, Any]) -> Answer:
        """Start a sandbox; the memory that it may use is that of this machine."""
        sandbox = Sandbox(engine, limits=Limits(**limits))
        self._sandboxes[sandbox.process_id] = sandbox
        return {"process": sandbox.process_id}, ()

    def do_call(
        self,
        *blobs: bytes,
        process: int,
        method: str,
        arguments: dict[str, Any],
        seconds: float | None,
        sha256: Sequence[str] = (),
    ) -> Answer:
        """Pass a call on to a sandbox, once its binary parts have the hashes that they should have, where any."""
        found = [hashlib.sha256(blob).hexdigest() for blob in blobs[: len(sha256)]]
        if found != list(sha256):
            raise TargetError("the model arrived on the device as other bytes than were sent", fix="try again")
        return self._sandboxes[process].call(method, *blobs, arguments=arguments, seconds=seconds)

    def do_close(self, *, process: int) -> Answer:
        """End a sandbox."""
        opened = self._sandboxes.pop(process, None)
        if opened is not None:
            opened.close()
        return {}, ()

    def do_lock(self) -> Answer:
        """Take the machine's lock, where nobody holds it; `why` it is done without, where its file cannot be opened."""
        if self._lock is None:
            try:
                handle = open_lock(Path(tempfile.gettempdir()) / LOCK)
            except OSError as problem:
                return {"held": True, "why": problem.strerror}, ()
            if not take(handle):
                os.close(handle)
                return {"held": False}, ()
            self._lock = handle
        return {"held": True}, ()

    def do_unlock(self) -> Answer:
        """Leave the machine's lock."""
        handle, self._lock = self._lock, None
        if handle is not None:
            os.close(handle)
        return {}, ()

    def do_reference(self) -> Answer:
        """Milliseconds of the reference kernel."""
        from targets.conditions import reference_ms

        return {"reference_ms": reference_ms()}, ()

    def do_counters(self, *, processes: Sequence[int | None]) -> Answer:
        """What the system has counted until now."""
        from dataclasses import asdict

        from targets.conditions import read_counters

        return asdict(read_counters(processes)), ()

    def do_cores(self, *, threads: int) -> Answer:
        """The cores for so many threads; null where nothing is to choose."""
        return {"cores": cores_for(threads)}, ()

    def do_rounds(
        self,
        *,
        processes: Sequence[int],
        orders: Sequence[Sequence[int]],
        block: dict[str, Any],
        limits: Sequence[float],
        cores: Sequence[int] | None,
    ) -> Answer:
        """Run rounds, one for each order of the places in `processes`, and first a block of each that does not count.

        For the pause in which this request came has let the processor rest. Returns the reference kernel's times, and
        in the order in which they ran: how many runs each block has, and all times, float64 milliseconds.
        """
        from targets.conditions import reference_ms

        used = [self._sandboxes[process] for process in processes]
        references, counts, times = [], [], []
        with pinned(processes, None if cores is None else tuple(cores)):
            for place, each in enumerate(used):
                each.call("time", arguments=block, seconds=limits[place])
            for order in orders:
                references.append(reference_ms())
                for place in order:
                    _, (found,) = used[place].call("time", arguments=block, seconds=limits[place])
                    counts.append(len(found) // 8)
                    times.append(found)
        return {"references_ms": references, "counts": counts}, (b"".join(times),)


def _exactly(requests: int, size: int) -> bytes:
    """So many bytes, each of which comes within a minute of the one before."""
    found = bytearray()
    while len(found) < size:
        ready, _, _ = select.select([requests], [], [], SILENCE_SECONDS)
        piece = os.read(requests, min(size - len(found), 1 << 20)) if ready else b""
        if not piece:
            raise EOFError
        found += piece
    return bytes(found)
