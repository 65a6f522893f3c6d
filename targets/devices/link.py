"""The connection to a runner on a device: calls from several threads at once, each with its time limit.

Works on two pipes, whatever carries what goes through them. Either side says every now and then that it is there: a
connection that has become silent, or a device that has stopped, is found although nothing is closed.
"""

from __future__ import annotations

import logging
import os
import select
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from itertools import count
from threading import Event, Lock, Thread
from typing import Any

from edgeres.errors import TargetError
from targets.devices.deadline import Deadline
from targets.devices.device import ConnectionLost
from targets.devices.runner import ALIVE, MARK, READY, SILENCE_SECONDS
from targets.messages import Message, MessageError, pack, unpack
from targets.sandbox import raised

GRACE_SECONDS = 3.0
"""How much longer a call is waited for than what runs on the device may take: an error is told within five."""

TIDY_SECONDS = 0.5
"""What runs on the device may take for a call that only tidies up."""

_ALIVE_SECONDS = SILENCE_SECONDS / 4
_LOOK_SECONDS = 0.5
_PIECE = 1 << 16
_GREETING_BYTES = 1 << 16
_ANSWER_BYTES = 512 << 20

_log = logging.getLogger(__name__)

Answered = tuple[dict[str, Any], tuple[bytes, ...]]


class Link:
    """A runner at the other end of two pipes: `requests` is written, `replies` is read; both become its own.

    `name`: of the device, for errors. `ending`: says how it ended, once it has, and what it last printed.
    """

    def __init__(
        self, requests: int, replies: int, *, name: str, ending: Callable[[], tuple[str, Sequence[str]]]
    ) -> None:
        self._requests, self._replies, self._name, self._ending = requests, replies, name, ending
        self._ids = count(1)
        self._waiting: dict[int, Future[Message]] = {0: Future()}
        self._ready = self._waiting[0]
        self._guard, self._sending, self._closed = Lock(), Lock(), Event()
        self._heard = time.monotonic()
        os.set_blocking(requests, False)
        os.set_blocking(replies, False)
        self._threads = [Thread(target=work, daemon=True) for work in (self._receive_all, self._say_alive)]

    def begin(self, sources: bytes, deadline: Deadline) -> str:
        """Send the sources and wait until they run; returns the version of Python there.

        Raises:
            TargetError: they do not run, or not in time.
        """
        self._threads[0].start()
        with self._sending:
            self._send(memoryview(sources), deadline=deadline)
        message = self._wait(self._ready, "begin", deadline)
        self._threads[1].start()
        return str(message.header.get("values", {}).get(READY))

    def call(
        self, method: str, *blobs: bytes | memoryview, arguments: dict[str, Any] | None = None, seconds: float
    ) -> Answered:
        """Call a method of the runner; `seconds`: how long the device may take for it, sending apart.

        Raises:
            EdgeresError: what the method raised.
            ConnectionLost: the connection ended before the answer.
            TargetError: no answer in time; the connection is ended then.
        """
        future: Future[Message] = Future()
        number = next(self._ids)
        with self._guard:
            if self._closed.is_set():
                raise self._lost(method)
            self._waiting[number] = future
        pieces = pack({"id": number, "method": method, "arguments": arguments or {}}, blobs)
        with self._sending:
            for piece in pieces:
                self._send(memoryview(piece).cast("B"), pause=min(seconds, SILENCE_SECONDS))
        message = self._wait(future, method, Deadline(seconds + GRACE_SECONDS))
        if (error := message.header.get("error")) is not None:
            text = f"the runner on {self._name} failed during '{method}': {error.get('kind')}: {error.get('message')}"
            raise raised(error) or TargetError(text, details=self._ending()[1])
        return message.header["values"], message.blobs

    def _wait(self, future: Future[Message], method: str, deadline: Deadline) -> Message:
        try:
            return future.result(deadline.left)
        except ConnectionLost as lost:
            raise self._lost(method) from lost
        except FutureTimeout:
            self.close()
            problem = f"no answer from {self._name} to '{method}' within {deadline.seconds:.0f} s"
            raise TargetError(problem, fix="look whether the device hangs, or is out of memory") from None
        except BaseException:  # an interruption: whoever asked is gone
            self.close()
            raise

    def _lost(self, method: str) -> ConnectionLost:
        how, lines = self._ending()
        return ConnectionLost(
            f"{self._name}: {how} during '{method}'", details=lines, fix="look at the device, and try again"
        )

    def _send(self, rest: memoryview, *, pause: float = SILENCE_SECONDS, deadline: Deadline | None = None) -> None:
        """Write it all by the deadline; without one, the other side may not pause for longer than so many seconds."""
        while rest and not self._closed.is_set():
            limit = pause if deadline is None else deadline.left
            try:
                if not self._until_ready(self._requests, select.POLLOUT, limit):
                    break
                rest = rest[os.write(self._requests, rest[:_PIECE]) :]
            except OSError:  # closed at the other end
                break
        if rest:
            self._end()

    def _until_ready(self, pipe: int, event: int, seconds: float | None) -> bool:
        """Wait until a pipe can be read or written; False after so many seconds, or when this link is closed."""
        poll, deadline = select.poll(), time.monotonic() + (seconds if seconds is not None else float("inf"))
        poll.register(pipe, event)
        while not self._closed.is_set() and (left := deadline - time.monotonic()) >= 0:
            if poll.poll(1000 * min(left, _LOOK_SECONDS)):
                return True
        return False

    def _receive_all(self) -> None:
        try:
            self._skip_greeting()
            while True:
                message = unpack(self._exactly, limit=_ANSWER_BYTES)
                found = message.header.get("error", message.header.get("values"))
                if not isinstance(found, dict):
                    raise MessageError("neither values nor an error")
                with self._guard:
                    future = self._waiting.pop(message.header.get("id", -1), None)
                if future is not None:
                    future.set_result(message)
        except MessageError as problem:
            _log.warning("%s answered nonsense: %s", self._name, problem)
        except (EOFError, OSError):
            pass
        finally:
            self._end()
            with self._sending:  # nobody writes any more: the numbers of these pipes may soon be those of others
                os.close(self._requests)
            os.close(self._replies)

    def _skip_greeting(self) -> None:
        """Read past what a login shell prints, up to the mark."""
        found = bytearray()
        while not found.endswith(MARK):
            if len(found) > _GREETING_BYTES:
                raise MessageError("no runner began, only text came")
            found += self._exactly(1)

    def _exactly(self, size: int) -> bytes:
        found = bytearray()
        while len(found) < size:
            if not self._until_ready(self._replies, select.POLLIN, None):
                raise EOFError
            piece = os.read(self._replies, min(size - len(found), _PIECE))
            if not piece:
                raise EOFError
            found += piece
            self._heard = time.monotonic()
        return bytes(found)

    def _say_alive(self) -> None:
        while not self._closed.wait(_ALIVE_SECONDS):
            if time.monotonic() - self._heard > SILENCE_SECONDS:
                _log.warning("%s has been silent for %.0f s", self._name, SILENCE_SECONDS)
                self._end()
                return
            with self._sending:
                for piece in pack({"id": next(self._ids), "method": ALIVE, "arguments": {}}):
                    self._send(memoryview(piece).cast("B"))

    def _end(self) -> None:
        """Fail all calls that wait, and let the threads and the other side go."""
        with self._guard:
            self._closed.set()
            waiting, self._waiting = list(self._waiting.values()), {}
        for future in waiting:
            future.set_exception(ConnectionLost("lost"))

    @property
    def closed(self) -> bool:
        """Whether it has ended."""
        return self._closed.is_set()

    def close(self) -> None:
        """End it; calls that wait end with a ConnectionLost."""
        self._end()
