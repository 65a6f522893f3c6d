"""What engines have in common whose model is set, invoked and read: batches, times, the first run, memory.

Tensors come and go as they are stored; quantization is the parent's business. Every call returns JSON values and
binary parts, see `targets.worker`.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter_ns
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeres.errors import ModelError
from targets.memory import reset_peak, resident
from targets.runtimes.refusal import refusal
from targets.worker import Answer

_PEAK_RUNS = 3


@dataclass(frozen=True)
class FirstRun:
    """Milliseconds from a model's bytes to an interpreter with its tensors, and of its first invocation."""

    initialization_ms: float
    first_ms: float


class InvokedEngine:
    """One model. Create it once the runtime is imported: what is resident by then is not the model's.

    A subclass loads its model within `_loading`, then calls `_ready`, and says how to set an image and read scores.
    """

    def __init__(self) -> None:
        self._before = resident().now_bytes

    @contextmanager
    def _loading(self) -> Iterator[None]:
        """Clocks what is done inside, and the memory it takes."""
        reset_peak()
        began = perf_counter_ns()
        yield
        self._initialization_ms = (perf_counter_ns() - began) / 1e6
        found = resident()
        self._loaded, self._peak = found.now_bytes, found.peak_bytes

    def _ready(self, shape: tuple[int, ...], dtype: Any, run: Callable[[], object]) -> None:
        """Note the stored input, and what invokes the model; set a fixed input to begin with."""
        self._shape, self._dtype, self._run = shape, np.dtype(dtype), run
        self._set(np.random.default_rng(0).integers(0, 127, shape).astype(self._dtype))

    def _set(self, image: NDArray[Any]) -> None:
        raise NotImplementedError

    def _scores(self) -> bytes:
        raise NotImplementedError

    def _invoke(self) -> None:
        with refusal("the model cannot be run"):
            self._run()

    def first(self) -> Answer:
        """Invoke for the first time; returns a `FirstRun`."""
        began = perf_counter_ns()
        self._invoke()
        first_ms = (perf_counter_ns() - began) / 1e6
        return {"initialization_ms": self._initialization_ms, "first_ms": first_ms}, ()

    def infer(self, batch: bytes) -> Answer:
        """Run stored inputs, one after the other; returns the stored outputs, one after the other."""
        size = int(np.prod(self._shape)) * self._dtype.itemsize
        if not batch or len(batch) % size:
            raise ModelError(f"expected a multiple of {size:,} bytes as input, found {len(batch):,}")
        found = []
        for image in np.frombuffer(batch, self._dtype).reshape(-1, *self._shape):
            self._set(image)
            self._invoke()
            found.append(self._scores())
        return {}, (b"".join(found),)

    def time(self, *, runs: int, seconds: float) -> Answer:
        """Invoke on the last input at least `runs` times and `seconds` long; returns float64 milliseconds."""
        invoke, enough, times = self._run, round(seconds * 1e9), []
        gc.disable()
        try:
            with refusal("the model cannot be run"):
                began = perf_counter_ns()
                while True:
                    before = perf_counter_ns()
                    invoke()
                    after = perf_counter_ns()
                    times.append(after - before)
                    if len(times) >= runs and after - began >= enough:
                        break
        finally:
            gc.enable()
        return {}, ((np.array(times, "<f8") / 1e6).tobytes(),)

    def memory(self) -> Answer:
        """Resident bytes before the model was loaded, once it was, and at most while it was loaded and ran."""
        reset_peak()  # batches that came in between are not the model's
        for _ in range(_PEAK_RUNS):
            self._invoke()
        peak = max(self._peak, resident().peak_bytes)
        return {"before": self._before, "loaded": self._loaded, "peak": peak}, ()
