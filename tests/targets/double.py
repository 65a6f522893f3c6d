"""A Target and Session that run in this process and do exactly what a test says: the shipped test double."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edgeres.errors import TargetError
from edgeres.results import Memory, Operators, Start
from targets.conditions import Counters, Reader, Watch
from targets.target import Availability, Signature, Tolerance

Infer = Callable[[NDArray[np.float32]], NDArray[np.float32]]


def quiet(processes: Sequence[int | None]) -> Counters:
    """Counters of a machine on which nothing else runs."""
    return Counters(
        clock_s=time.monotonic(), waited_s=0, stolen=0, ticks=0, throttled=0, switches=(0,) * len(processes)
    )


def watch(sessions: int, *, kernel: Callable[[], float] = lambda: 1.0, counters: Reader = quiet) -> Watch:
    """A watch of as many simulated sessions, its reference kernel simulated too."""
    return Watch([None] * sessions, kernel=kernel, counters=counters)


def signature(shape: tuple[int, int, int] = (8, 8, 3), classes: int = 3, *, scale: float = 0.0) -> Signature:
    return Signature((1, *shape), "float32", 0.0, 0, (1, classes), "float32", scale, 0)


@dataclass
class DoubleSession:
    """Runs `function` on a batch; `time` hands out `milliseconds` one by one; `calls` records what was done."""

    function: Infer = lambda inputs: np.zeros((len(inputs), 3), np.float32)
    milliseconds: Iterator[float] = field(default_factory=lambda: iter(lambda: 1.0, 0.0))
    signature: Signature = field(default_factory=signature)
    calls: list[str] = field(default_factory=list)
    name: str = "double"
    process_id: int | None = None

    def infer(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        self.calls.append(f"{self.name} infer {len(inputs)}")
        return self.function(inputs)

    def time(self, *, runs: int, seconds: float) -> list[float]:
        self.calls.append(f"{self.name} time")
        times: list[float] = []
        while len(times) < runs or sum(times) < 1000 * seconds:
            times.append(next(self.milliseconds))
        return times

    def start(self) -> Start:
        self.calls.append(f"{self.name} start")
        return Start(next(self.milliseconds), next(self.milliseconds), 1000, 2000)

    def operators(self) -> Operators:
        return Operators(nodes=3, delegated=2, delegate="double")

    def memory(self) -> Memory:
        return Memory(load_bytes=1000, peak_bytes=2000, arena_bytes=300)

    def close(self) -> None:
        self.calls.append(f"{self.name} close")

    def __enter__(self) -> DoubleSession:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


@dataclass
class DoubleTarget:
    """Opens what `make` returns for a model's bytes; unavailable where `why` is given."""

    make: Callable[[bytes], DoubleSession]
    name: str = "double"
    kind: str = "cpu"
    multiple: int = 1
    timed: bool = True
    tolerance: Tolerance | None = None
    why: str | None = None
    opened: list[DoubleSession] = field(default_factory=list)

    def check(self) -> Availability:
        if self.why:
            return Availability(False, why=self.why, fix="plug it in")
        return Availability(True, version="1.0")

    def open(self, model: bytes, *, threads: int = 1) -> DoubleSession:
        if self.why:
            raise TargetError(self.why)
        session = self.make(model)
        self.opened.append(session)
        return session
