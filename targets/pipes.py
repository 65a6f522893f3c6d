"""The parent's ends of the pipes to a child: one message out, one message in, by a deadline.

What the child prints is read all the while, so that it never blocks on it; the end of it is kept.
"""

from __future__ import annotations

import fcntl
import os
import selectors
import time
from collections.abc import Sequence
from contextlib import suppress

from targets.messages import Message, pack, unpack

_KEPT = 1 << 16
_PIECE = 1 << 20
"""Bytes handed over at a time, and what a pipe holds: the images of a batch in a few turns, not in one for 64 KiB."""


class Pipes:
    """Three file descriptors: `requests` is written, `replies` and `prints` are read. The first two become its own."""

    def __init__(self, requests: int, replies: int, prints: int) -> None:
        self._requests = os.fdopen(requests, "wb", buffering=0)
        self._replies = os.fdopen(replies, "rb", buffering=0)
        self._prints = prints
        self._printed = b""
        for descriptor in (requests, replies, prints):
            os.set_blocking(descriptor, False)
        for descriptor in (requests, replies):
            _widen(descriptor)

    def exchange(
        self, header: dict[str, object], blobs: Sequence[bytes | memoryview], *, deadline: float, limit: int
    ) -> Message:
        """Send a message and wait for the answer, of at most `limit` bytes; `deadline` by `time.monotonic`.

        Raises:
            TimeoutError: no whole answer by the deadline.
            EOFError, OSError: the child has closed its ends: it is dead, or about to be.
            MessageError: the answer is no message.
        """
        for piece in pack(header, blobs):
            self._send(memoryview(piece).cast("B"), deadline)
        return unpack(lambda size: self._receive(size, deadline), limit=limit)

    def _send(self, rest: memoryview, deadline: float) -> None:
        pipe = self._requests.fileno()
        while rest:
            self._wait(pipe, selectors.EVENT_WRITE, deadline)
            rest = rest[os.write(pipe, rest[:_PIECE]) :]

    def _receive(self, size: int, deadline: float) -> bytes:
        pipe, found = self._replies.fileno(), bytearray()
        while len(found) < size:
            self._wait(pipe, selectors.EVENT_READ, deadline)
            piece = os.read(pipe, min(size - len(found), _PIECE))
            if not piece:
                raise EOFError
            found += piece
        return bytes(found)

    def _wait(self, descriptor: int, event: int, deadline: float) -> None:
        """Wait until a pipe is ready, reading what the child prints meanwhile."""
        with selectors.DefaultSelector() as selector:
            selector.register(descriptor, event)
            selector.register(self._prints, selectors.EVENT_READ)
            while True:
                ready = [key.fd for key, _ in selector.select(max(0.0, deadline - time.monotonic()))]
                if descriptor in ready:
                    return
                if not ready and time.monotonic() >= deadline:
                    raise TimeoutError
                if self._prints in ready and not self._read_prints():
                    selector.unregister(self._prints)

    def _read_prints(self) -> bool:
        """Read what is there, once it is known that something is; False at the end."""
        piece = os.read(self._prints, _PIECE)
        self._printed = (self._printed + piece)[-_KEPT:]
        return bool(piece)

    def last_lines(self, count: int = 6) -> tuple[str, ...]:
        """The last lines that the child printed, without chatter of level INFO."""
        return tuple(line[:300] for line in self.all_lines() if not line.startswith("INFO:"))[-count:]

    def all_lines(self) -> tuple[str, ...]:
        """The lines that the child printed, as far back as they are kept."""
        with suppress(OSError):  # nothing more is there, or the pipe has been closed
            while self._read_prints():
                pass
        text = "".join(c if c.isprintable() or c == "\n" else " " for c in self._printed.decode("utf-8", "replace"))
        return tuple(line.strip() for line in text.splitlines() if line.strip())

    def close(self) -> None:
        """Close the two ends that belong to this object."""
        self._requests.close()
        self._replies.close()


def _widen(pipe: int) -> None:
    """Have a pipe hold a piece, where the system has a call for it and lets this user have so much."""
    with suppress(AttributeError, OSError):
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIECE)
