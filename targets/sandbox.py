"""Native code runs in a child process with limits: what kills it there is an error here.

The child (`worker.py`) is a session of its own, so that Ctrl-C in a terminal does not reach it; the kernel kills it
when its parent dies; it has no core dumps, and limits of memory, of CPU time and of wall-clock time for each call.
Calls and answers are messages (`messages.py`) on pipes of their own (`pipes.py`): what native code prints cannot
disturb them, and the end of it is kept for error messages.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeres.errors import ArtifactError, ConfigError, DataError, EdgeresError, ModelError, TargetError
from targets.environment import physical_memory
from targets.messages import Message, MessageError
from targets.pipes import Pipes

_START = "import sys; sys.path[0] = sys.argv[1]; from targets.worker import main; main(sys.argv[2:])"
"""Runs the worker from where this package lies, whatever the working directory holds."""

_ERRORS: dict[str, type[EdgeresError]] = {
    kind.__name__: kind for kind in (ArtifactError, ConfigError, DataError, ModelError, TargetError)
}

_SIGNALS = {
    signal.SIGSEGV: "it used memory that it does not have",
    signal.SIGBUS: "it used memory that it does not have",
    signal.SIGABRT: "the runtime aborted",
    signal.SIGFPE: "an arithmetic error, such as a division by zero",
    signal.SIGILL: "an instruction that this processor does not have",
    signal.SIGKILL: "killed from outside; where memory is short, by the system",
    signal.SIGXCPU: "it used up its CPU time",
}


def _memory() -> int:
    return max(4 << 30, physical_memory())


@dataclass(frozen=True)
class Limits:
    """What a child may use; time is for one call.

    `seconds`: wall clock. `cpu_seconds`: of all its threads. `memory_bytes`: address space. `answer_bytes`: the
    longest answer accepted from it.
    """

    seconds: float = 300.0
    cpu_seconds: int = 1800
    memory_bytes: int = _memory()
    answer_bytes: int = 256 << 20


class Sandbox:
    """A child process that runs one engine. Close it, or use it in a `with`.

    One call at a time; `close` may come from another thread and ends a call that runs. The thread that opens a
    sandbox must outlive it: the kernel ties the child's life to that thread.
    """

    def __init__(self, engine: str, *, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._busy = threading.Lock()
        self._process, self._pipes = _start(engine, self._limits)
        self._ended = weakref.finalize(self, _end, self._process)

    @property
    def process_id(self) -> int:
        """The child's process id."""
        return self._process.pid

    def call(
        self,
        method: str,
        *blobs: bytes | memoryview,
        arguments: dict[str, Any] | None = None,
        seconds: float | None = None,
    ) -> tuple[dict[str, Any], tuple[bytes, ...]]:
        """Run a method of the engine; returns its JSON values and its binary parts.

        `blobs` are the binary parts that it takes, `arguments` the JSON values; `seconds` is the wall-clock limit,
        where another than the sandbox's is right.

        Raises:
            EdgeresError: what the engine raised.
            TargetError: anything else that it raised; it crashed, hung, ran out of memory, or answered nonsense.
        """
        limit = self._limits.seconds if seconds is None else seconds
        with self._busy:
            if not self._ended.alive:
                raise TargetError(f"the runtime's process has ended, it cannot '{method}'", fix="open the model again")
            header = {"method": method, "arguments": arguments or {}, "cpu_seconds": self._cpu_seconds(limit)}
            message = self._exchange(method, header, blobs, limit)
            if (error := message.header.get("error")) is not None:
                raise self._raised(method, error)
            return message.header["values"], message.blobs

    def _cpu_seconds(self, seconds: float) -> int:
        longer = max(0.0, seconds - self._limits.seconds)
        return self._limits.cpu_seconds + int(longer * (os.cpu_count() or 1))

    def _exchange(self, method: str, header: dict[str, Any], blobs: tuple[Any, ...], seconds: float) -> Message:
        deadline = time.monotonic() + seconds
        try:
            message = self._pipes.exchange(header, blobs, deadline=deadline, limit=self._limits.answer_bytes)
            if not isinstance(message.header.get("error", message.header.get("values")), dict):
                raise MessageError("neither values nor an error")
        except (EOFError, BrokenPipeError, ConnectionError):
            raise self._error(f"{self._death()} during '{method}'", fix=_REPLACE) from None
        except TimeoutError:
            self._ended()
            problem = f"no answer to '{method}' within {seconds:g} s; the runtime's process was ended"
            raise self._error(problem, fix=_REPLACE) from None
        except MessageError as problem:
            self._ended()
            raise self._error(f"the runtime's process answered nonsense to '{method}': {problem}") from problem
        except BaseException:  # an interruption: the answer on its way would meet the next call
            self._ended()
            raise
        return message

    def _death(self) -> str:
        """How the child ended, once its pipes have closed."""
        try:
            code = self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._ended()
            return "the runtime's process closed its pipes and was ended"
        self._ended()
        if code >= 0:
            return f"the runtime's process ended itself with exit code {code}"
        number = signal.Signals(-code)
        meaning = f" ({_SIGNALS[number]})" if number in _SIGNALS else ""
        return f"the runtime's process was ended by {number.name}{meaning}"

    def _raised(self, method: str, error: dict[str, Any]) -> EdgeresError:
        if (known := raised(error)) is not None:
            return known
        kind, message = str(error.get("kind")), str(error.get("message"))
        if kind == "MemoryError":
            problem = f"the runtime's process ran out of memory during '{method}'"
            limit = f"{self._limits.memory_bytes:,} bytes of address space"
            return self._error(problem, fix=f"use a smaller model, or a machine with more memory (it had {limit})")
        return self._error(f"the runtime failed during '{method}': {kind}: {message}")

    def _error(self, message: str, *, fix: str | None = None) -> TargetError:
        return TargetError(message, details=self._pipes.last_lines(), fix=fix)

    def lines(self) -> tuple[str, ...]:
        """What the child has printed up to now, of every level: runtimes say there what they do not return."""
        return self._pipes.all_lines()

    def close(self) -> None:
        """End the child and reap it; a call that runs in another thread ends with a TargetError."""
        self._ended()
        with self._busy:
            if self._process.stdout is not None and not self._process.stdout.closed:
                self._process.stdout.close()
                self._pipes.close()

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def raised(error: dict[str, Any]) -> EdgeresError | None:
    """The error that `targets.worker.describe_error` describes, where it is one of a user's."""
    kind = _ERRORS.get(str(error.get("kind")))
    if kind is None:
        return None
    details, fix = error.get("details"), error.get("fix")
    lines = tuple(map(str, details)) if isinstance(details, list) else ()
    return kind(str(error.get("message")), details=lines, fix=None if fix is None else str(fix))


_REPLACE = "the file may be malformed, or not made for this runtime: convert it again, or choose another target"


def _start(engine: str, limits: Limits) -> tuple[subprocess.Popen[bytes], Pipes]:
    request, requests = os.pipe()
    replies, reply = os.pipe()
    root = str(Path(__file__).absolute().parent.parent)  # not resolved: on a device it is a zip file without a name
    arguments = [str(value) for value in (os.getpid(), request, reply, limits.memory_bytes, engine)]
    try:
        process = subprocess.Popen(
            [sys.executable, "-c", _START, root, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
            pass_fds=(request, reply),
            start_new_session=True,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},  # its pool of threads would only take memory
        )
    except OSError as problem:
        os.close(requests)
        os.close(replies)
        raise TargetError(f"cannot start a process for the runtime: {problem.strerror}") from problem
    finally:
        os.close(request)
        os.close(reply)
    if process.stdout is None:
        raise RuntimeError("a pipe was asked for")
    return process, Pipes(requests, replies, process.stdout.fileno())


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill the child with whatever it started, and reap it."""
    if process.poll() is None:  # until it is reaped, its number cannot belong to another process
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
