"""A simulated device: what a model really takes is known, so that one can count how often a measurement is right."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgeres.results import Memory, Operators, Start
from targets.conditions import Counters, Watch
from targets.target import Signature


class Device:
    """A machine of one speed for all that runs on it.

    `noise`: the deviation of a run's log-time. `spikes`: the share of runs in which something else ran as well, which
    doubles them on average. `drift`: how much slower it is after `rounds` rounds, growing from round to round;
    `slow_down`: how much slower from the middle round on.
    """

    def __init__(
        self, *, seed: int, noise: float, spikes: float, drift: float = 0.0, slow_down: float = 0.0, rounds: int = 30
    ) -> None:
        self._random = np.random.default_rng(seed)
        self._noise, self._spikes, self._drift, self._slow_down = noise, spikes, drift, slow_down
        self._rounds, self._round = rounds, -1  # the watch runs its kernel once before the first round

    def run(self, milliseconds: float) -> float:
        """How long something takes now that takes so long on the machine at rest."""
        speed = 1 + self._drift * max(0, self._round) / self._rounds
        speed *= 1 + self._slow_down * (self._round > self._rounds // 2)
        spike = 1 + self._random.exponential(1) if self._random.random() < self._spikes else 1.0
        return float(milliseconds * speed * spike * np.exp(self._random.normal(0, self._noise)))

    def watch(self, sessions: int) -> Watch:
        """A watch of this device, whose counters count nothing; its kernel begins every round."""
        return Watch([None] * sessions, kernel=self._kernel, counters=_nothing)

    def _kernel(self) -> float:
        self._round += 1
        return self.run(1.0)


def _nothing(processes: Sequence[int | None]) -> Counters:
    return Counters(time.monotonic(), None, None, None, None, (None,) * len(processes))


class Model:
    """A session on a simulated device: a model that takes `milliseconds` at rest."""

    def __init__(self, device: Device, milliseconds: float) -> None:
        self.signature = Signature((1, 8, 8, 3), "float32", 0.0, 0, (1, 10), "float32", 0.0, 0)
        self._device, self._milliseconds = device, milliseconds

    @property
    def process_id(self) -> int | None:
        """None: it is not run by a process of this machine."""
        return None

    def infer(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Nothing is computed: zeros."""
        return np.zeros((len(inputs), 10), np.float32)

    def time(self, *, runs: int, seconds: float) -> list[float]:
        """The milliseconds of at least so many runs, and so long."""
        times: list[float] = []
        while len(times) < runs or sum(times) < 1000 * seconds:
            times.append(self._device.run(self._milliseconds))
        return times

    def start(self) -> Start:
        """Takes as long as two runs."""
        return Start(self._device.run(self._milliseconds), self._device.run(self._milliseconds), 0, 0)

    def operators(self) -> Operators:
        """None."""
        return Operators(nodes=0, delegated=0)

    def memory(self) -> Memory:
        """None."""
        return Memory(0, 0, 0)

    def close(self) -> None:
        """Nothing is open."""

    def __enter__(self) -> Model:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
