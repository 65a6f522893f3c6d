"""The engine in the child: a TFLite interpreter of ai-edge-litert, or of tflite-runtime where that is installed.

Tensors come and go as they are stored; quantization is the parent's business. Every call returns JSON values and
binary parts, see `targets.worker`.
"""

from __future__ import annotations

import gc
import importlib
import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from time import perf_counter_ns
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeres.errors import ModelError, TargetError
from targets.memory import reset_peak, resident
from targets.target import Availability
from targets.worker import Answer

PACKAGES = ("ai_edge_litert", "tflite_runtime")
"""Where an interpreter can come from, the preferred one first."""

_PEAK_RUNS = 3


def installed_package() -> str | None:
    """The package that is used here, without importing it."""
    return next((name for name in PACKAGES if importlib.util.find_spec(name) is not None), None)


def available() -> Availability:
    """Which runtime would run here, by its metadata; nothing native is imported."""
    package = installed_package()
    if package is None:
        why = "neither ai-edge-litert nor tflite-runtime is installed"
        return Availability(available=False, why=why, fix="pip install ai-edge-litert")
    name = package.replace("_", "-")
    version, numpy = f"{name} {_version(name)}", _version("numpy")
    if package == "tflite_runtime" and not numpy.startswith("1."):
        why = f"{version} needs numpy 1, {numpy} is installed"
        return Availability(available=False, version=version, why=why, fix="pip install 'numpy<2'")
    return Availability(available=True, version=version)


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "of unknown version"


@dataclass(frozen=True)
class FirstRun:
    """Milliseconds from a model's bytes to an interpreter with its tensors, and of its first invocation."""

    initialization_ms: float
    first_ms: float


class Engine:
    """One model on one interpreter."""

    def __init__(self) -> None:
        package = installed_package()
        if package is None:
            raise TargetError("no TFLite runtime is installed", fix="pip install ai-edge-litert")
        with _refusal(f"{package} cannot be loaded"):
            self._runtime = importlib.import_module(f"{package}.interpreter")
        self._before = resident().now_bytes
        self._interpreter: Any = None

    def load(
        self,
        model: bytes,
        *,
        resolver: str,
        threads: int,
        delegate: str = "",
        options: dict[str, str] | None = None,
        batch: int = 1,
    ) -> Answer:
        """Load a model and allocate its tensors for a batch; returns its signature.

        `delegate`: the path of a shared object with a delegate, which takes `options`; none where empty. `batch`: other
        than 1 only for a model whose batch is open.
        """
        reset_peak()
        delegates = []
        if delegate:
            with _refusal(f"the delegate {delegate} cannot be loaded"):
                delegates = [self._runtime.load_delegate(delegate, options)]
        began = perf_counter_ns()
        with _refusal("the runtime refuses the model"):
            self._interpreter = self._runtime.Interpreter(
                model_content=model,
                num_threads=threads,
                experimental_delegates=delegates or None,
                experimental_op_resolver_type=self._runtime.OpResolverType[resolver],
            )
            if batch != 1:
                details = self._interpreter.get_input_details()[0]
                self._interpreter.resize_tensor_input(details["index"], [batch, *details["shape"][1:]])
            self._interpreter.allocate_tensors()
        self._initialization_ms = (perf_counter_ns() - began) / 1e6
        found = resident()
        self._loaded, self._peak = found.now_bytes, found.peak_bytes
        self._input, self._output = (
            details[0] for details in (self._interpreter.get_input_details(), self._interpreter.get_output_details())
        )
        self._set(np.random.default_rng(0).integers(0, 127, self._input["shape"]).astype(self._input["dtype"]))
        return {**_port("input", self._input), **_port("output", self._output)}, ()

    def first(self) -> Answer:
        """Invoke for the first time; returns a `FirstRun`."""
        began = perf_counter_ns()
        self._invoke()
        first_ms = (perf_counter_ns() - began) / 1e6
        return {"initialization_ms": self._initialization_ms, "first_ms": first_ms}, ()

    def infer(self, batch: bytes) -> Answer:
        """Run stored inputs, one after the other; returns the stored outputs, one after the other."""
        shape, dtype = self._input["shape"], np.dtype(self._input["dtype"])
        size = int(np.prod(shape)) * dtype.itemsize
        if not batch or len(batch) % size:
            raise ModelError(f"expected a multiple of {size:,} bytes as input, found {len(batch):,}")
        found = []
        for image in np.frombuffer(batch, dtype).reshape(-1, *shape):
            self._set(image)
            self._invoke()
            found.append(self._interpreter.get_tensor(self._output["index"]).tobytes())
        return {}, (b"".join(found),)

    def time(self, *, runs: int, seconds: float) -> Answer:
        """Invoke on the last input at least `runs` times and `seconds` long; returns float64 milliseconds."""
        invoke, enough, times = self._interpreter.invoke, round(seconds * 1e9), []
        gc.disable()
        try:
            with _refusal("the model cannot be run"):
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

    def plan(self) -> Answer:
        """The nodes as the interpreter lists them after delegation, and the output tensors."""
        nodes = [
            {
                "kind": node["op_name"],
                "inputs": list(map(int, node["inputs"])),
                "outputs": list(map(int, node["outputs"])),
            }
            for node in self._interpreter._get_ops_details()  # not public, but there is no other way to see the plan
        ]
        return {"nodes": nodes, "outputs": [int(self._output["index"])]}, ()

    def memory(self) -> Answer:
        """Resident bytes before the model was loaded, once it was, and at most while it was loaded and ran."""
        reset_peak()  # batches that came in between are not the model's
        for _ in range(_PEAK_RUNS):
            self._invoke()
        peak = max(self._peak, resident().peak_bytes)
        return {"before": self._before, "loaded": self._loaded, "peak": peak}, ()

    def _set(self, image: NDArray[Any]) -> None:
        self._interpreter.set_tensor(self._input["index"], image)

    def _invoke(self) -> None:
        with _refusal("the model cannot be run"):
            self._interpreter.invoke()


def _port(noun: str, details: dict[str, Any]) -> dict[str, Any]:
    scale, zero_point = details["quantization"]
    return {
        f"{noun}_shape": [int(size) for size in details["shape"]],
        f"{noun}_dtype": np.dtype(details["dtype"]).name,
        f"{noun}_scale": float(scale),
        f"{noun}_zero_point": int(zero_point),
    }


@contextmanager
def _refusal(problem: str) -> Iterator[None]:
    """Turn what the runtime's bindings raise into a TargetError that says what was attempted."""
    try:
        yield
    except (ValueError, RuntimeError, SystemError, ImportError, OSError, AttributeError) as error:
        reason = " ".join(str(error).split())[:500] or type(error).__name__
        raise TargetError(f"{problem}: {reason}", fix="choose another target, or update the runtime") from error
