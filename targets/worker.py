"""The program of the child process: it limits itself, builds an engine, and answers calls until its parent is gone.

An engine is a class, named "module:Class". A call names one of its methods, which takes the binary parts and the
arguments, and returns JSON values and binary parts. Runs nothing but what its parent asks for; see `sandbox.py`.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, BinaryIO

from edgeres.errors import EdgeresError
from edgeres.registry import resolve
from targets.messages import pack, unpack

Answer = tuple[dict[str, Any], "Sequence[bytes | memoryview]"]  # quoted: Python 3.9 has no `|` of types
"""What an engine's method returns: JSON values, and binary parts."""

_PR_SET_PDEATHSIG = 1


def main(arguments: Sequence[str]) -> None:
    """Serve until the request pipe ends. Arguments: parent's id, two file descriptors, memory limit, engine."""
    parent, request, reply, memory_bytes = map(int, arguments[:4])
    end_with(parent)
    limit(memory_bytes)
    with os.fdopen(request, "rb") as requests, os.fdopen(reply, "wb", buffering=0) as replies:
        serve(arguments[4], requests, replies)


def end_with(parent: int) -> None:
    """Have the kernel kill this process when its parent dies, however that happens (Linux)."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the line above
        os._exit(1)


def limit(memory_bytes: int) -> None:
    """No core dumps, bounded memory, and an interruption is the parent's business."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(ValueError, OSError):  # a lower limit is in force already
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))


def limit_cpu(seconds: int) -> None:
    """Bound the CPU time of what follows: past it the kernel ends this process with SIGXCPU."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CPU, (int(usage.ru_utime + usage.ru_stime) + 1 + seconds, hard))


def serve(engine_name: str, requests: BinaryIO, replies: BinaryIO) -> None:
    """Answer one request after the other. The first one builds the engine, so that it can report its failure."""
    engine: Any = None
    while True:
        try:
            message = unpack(lambda size: _exactly(requests, size), limit=1 << 40)
        except EOFError:
            return
        limit_cpu(message.header["cpu_seconds"])
        try:
            engine = engine or resolve(engine_name)()
            values, blobs = getattr(engine, message.header["method"])(*message.blobs, **message.header["arguments"])
            pieces = pack({"values": values}, blobs)
        except Exception as error:  # noqa: BLE001 - whatever it is, the parent has to hear of it
            pieces = pack({"error": describe_error(error)})
        del message
        for piece in pieces:
            _write(replies, piece)


def _exactly(stream: BinaryIO, size: int) -> bytes:
    content = stream.read(size)
    if len(content) < size:
        raise EOFError
    return content


def _write(stream: BinaryIO, piece: bytes | memoryview) -> None:
    rest = memoryview(piece).cast("B")
    while rest:
        rest = rest[stream.write(rest) :]


def describe_error(error: Exception) -> dict[str, Any]:
    """An error as JSON values, from which `targets.sandbox.raised` makes it again; a bug's traceback is printed."""
    if isinstance(error, EdgeresError):
        kind = type(error).__name__
        return {"kind": kind, "message": error.message, "details": list(error.details), "fix": error.fix}
    if isinstance(error, MemoryError):
        return {"kind": "MemoryError", "message": "not enough memory", "details": [], "fix": None}
    traceback.print_exception(
        type(error), error, error.__traceback__
    )  # the parent shows the end of what is written here
    sys.stderr.flush()
    return {"kind": type(error).__name__, "message": str(error), "details": [], "fix": None}
