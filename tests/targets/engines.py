"""Engines that misbehave in a sandbox, each in its own way."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from edgeres.errors import ModelError
from targets.worker import Answer


class Engine:
    def echo(self, *blobs: bytes, **arguments: Any) -> Answer:
        return arguments, blobs

    def limits(self) -> Answer:
        import resource

        names = {"core": resource.RLIMIT_CORE, "memory": resource.RLIMIT_AS, "cpu": resource.RLIMIT_CPU}
        return {name: resource.getrlimit(number)[0] for name, number in names.items()}, ()

    def session(self) -> Answer:
        return {"session": os.getsid(0), "path": sys.path[0]}, ()

    def refuse(self) -> Answer:
        raise ModelError("the model is too blue", details=["blue: 3"], fix="paint it red")

    def fail(self) -> Answer:
        raise KeyError("a bug in the engine")

    def crash(self) -> Answer:
        ctypes.string_at(0)
        return {}, ()

    def crash_with_words(self) -> Answer:
        os.write(2, b"INFO: all is well\nerror: \x1b[31mthe tensor is on fire\n")
        os.abort()

    def leave(self) -> Answer:
        os._exit(3)

    def hang(self, *, marker: str = os.devnull) -> Answer:
        Path(marker).touch()
        time.sleep(3600)
        return {}, ()

    def spin(self, *, marker: str = os.devnull) -> Answer:
        Path(marker).touch()
        while True:
            pass

    def devour(self) -> Answer:
        return {"size": len(bytearray(1 << 40))}, ()

    def devour_natively(self) -> Answer:
        libc = ctypes.CDLL(None)
        libc.malloc.restype = ctypes.c_void_p
        libc.malloc.argtypes = [ctypes.c_size_t]
        return {"address": libc.malloc(1 << 40)}, ()

    def chatter(self, *, size: int) -> Answer:
        line = b"noise on both outputs " * 50 + b"\n"
        for _ in range(size // len(line)):
            os.write(1, line)
            os.write(2, line)
        return {"printed": size}, ()

    def babble(self) -> Answer:
        """Write into the pipe of the answers, as native code that has lost its way could."""
        # Whichever numbers the parent had free.
        for descriptor in [*Path("/proc/self/fd").iterdir()]:
            with suppress(OSError):
                os.write(int(descriptor.name), b"\xff" * 64)
        time.sleep(3600)
        return {}, ()

    def boast(self) -> Answer:
        return {}, [bytes(1 << 20)]


class NeverBuilt:
    def __init__(self) -> None:
        raise ModelError("the engine does not start")


class KilledAtBirth:
    def __init__(self) -> None:
        os.kill(os.getpid(), signal.SIGILL)
