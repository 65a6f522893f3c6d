"""The processor of this machine: XNNPACK (`cpu`), and the plain kernels that everything is compared with (`reference`).

Runs ai-edge-litert, or tflite-runtime where that is what is installed; see `interpreter.py` for the child's side.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from importlib import metadata
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeres.errors import ConfigError, DataError, ModelError, TargetError
from edgeres.records import decode
from edgeres.results import Memory, Operators, Start
from targets.classifier import check_classifier
from targets.flatbuffer import walk
from targets.graph import Graph
from targets.memory import Growth
from targets.operators import Plan, coverage
from targets.runtimes.interpreter import FirstRun, installed_package
from targets.sandbox import Limits, Sandbox
from targets.scaling import dequantize, quantize
from targets.target import Availability, Signature

MAX_THREADS = 256

_ENGINE = "targets.runtimes.interpreter:Engine"
_ANSWER = "the answer of the runtime's process"
_CALL_SECONDS = 0.25
_CALL_IMAGES = 256
_CALL_BYTES = 8 << 20
_SLOWER = 10


@dataclass(frozen=True)
class CpuTarget:
    """A set of kernels of the interpreter: `resolver` is its name in the runtime's `OpResolverType`.

    `multiple`: see `targets.target.Target`; XNNPACK's kernels for AVX2, the 8-bit dot product and Neon write 8 channels
    at a time, or 16.
    """

    name: str
    resolver: str
    kind: str = "cpu"
    multiple: int = 8

    def check(self) -> Availability:
        """Which runtime would run, by its metadata; nothing native is imported."""
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

    def open(self, model: bytes, *, threads: int = 1, limits: Limits | None = None) -> CpuSession:
        """Load a model from its bytes in a child process.

        Raises:
            ArtifactError: the bytes are not a well-formed flatbuffer.
            ModelError: it does not map one image to one row of scores.
            ConfigError: a number of threads out of range.
            TargetError: no runtime is installed; it refuses the model, or dies on it.
        """
        if not 1 <= threads <= MAX_THREADS:
            raise ConfigError(f"threads must be in 1…{MAX_THREADS}, found {threads}", fix="give another --threads")
        graph = walk(model)
        check_classifier(graph)
        found = self.check()
        if not found.available:
            raise TargetError(f"the target '{self.name}' cannot run here: {found.why}", fix=found.fix)
        sandbox = Sandbox(_ENGINE, limits=limits)
        try:
            arguments = {"resolver": self.resolver, "threads": threads}
            values, _ = sandbox.call("load", model, arguments=arguments)
            return CpuSession(sandbox, _signature(values, graph), graph, limits or Limits())
        except BaseException:
            sandbox.close()
            raise


class CpuSession:
    """A model in its process; see `targets.target.Session`."""

    def __init__(self, sandbox: Sandbox, signature: Signature, graph: Graph, limits: Limits) -> None:
        self.signature = signature
        self._sandbox, self._graph, self._limits = sandbox, graph, limits
        self._run_seconds: float | None = None

    def infer(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run a batch, one image at a time: float32 (n, height, width, channels) to float32 (n, classes).

        Raises:
            ModelError: the inputs do not have the model's size, or an output is not finite.
            DataError: an input is not finite.
            TargetError: the process died, or did not answer in time.
        """
        own = self.signature
        if inputs.ndim != 4 or inputs.shape[1:] != own.input_shape[1:]:
            raise ModelError(
                f"the model takes images of {_size(own.input_shape[1:])}, found an array of {_size(inputs.shape)}",
                fix="use the preprocessing that the model was trained with",
            )
        if not np.isfinite(inputs).all():
            raise DataError("the model's inputs hold values that are not finite")
        found = np.empty((len(inputs), own.output_shape[1]), np.float32)
        done = 0
        while done < len(inputs):
            count = self._images_per_call(inputs[0].nbytes)
            piece = inputs[done : done + count]
            found[done : done + count] = self._run(piece)
            done += len(piece)
        if not np.isfinite(found).all():
            raise ModelError("the model's outputs are not finite", fix="check the trained weights for NaN")
        return found

    def _images_per_call(self, image_bytes: int) -> int:
        """As many as take a quarter of a second, so that a call's time limit means the same for every model."""
        if self._run_seconds is None:
            return 1
        return max(1, min(_CALL_IMAGES, _CALL_BYTES // image_bytes, int(_CALL_SECONDS / self._run_seconds)))

    def _run(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        own = self.signature
        stored = quantize(images, own.input_dtype, scale=own.input_scale, zero_point=own.input_zero_point)
        began = time.perf_counter()
        _, blobs = self._sandbox.call("infer", stored.data.cast("B"))
        self._run_seconds = max((time.perf_counter() - began) / len(images), 1e-6)
        rows = _array(blobs, own.output_dtype, (len(images), own.output_shape[1]))
        return dequantize(rows, scale=own.output_scale, zero_point=own.output_zero_point)

    def time(self, *, runs: int, seconds: float) -> list[float]:
        """Invoke at least `runs` times and for at least `seconds`, on the input that came last (or a fixed one).

        Returns the milliseconds of each invocation, as clocked in the child around the invocation alone.

        Raises:
            TargetError: the process died, or did not answer in time.
        """
        if self._run_seconds is None:
            self._run_seconds = self._time(1, 0, self._limits.seconds)[0] / 1000
        limit = self._limits.seconds + _SLOWER * (seconds + runs * self._run_seconds)
        return self._time(runs, seconds, limit)

    def _time(self, runs: int, seconds: float, limit: float) -> list[float]:
        _, blobs = self._sandbox.call("time", arguments={"runs": runs, "seconds": seconds}, seconds=limit)
        times = _array(blobs, "<f8", (-1,))
        if len(times) < max(1, runs) or not (times > 0).all():
            raise TargetError("the runtime's process answered with times that make no sense")
        return [float(value) for value in times]

    def start(self) -> Start:
        """What it took to load the model, and its first run, which this is; then its memory.

        Raises:
            RuntimeError: the model has run before.
            TargetError: the process died, or did not answer in time.
        """
        if self._run_seconds is not None:
            raise RuntimeError("a first run can be timed only before any other")
        values, _ = self._sandbox.call("first")
        first = decode(FirstRun, values, where=_ANSWER, error=TargetError)
        self._run_seconds = first.first_ms / 1000
        memory = self.memory()
        return Start(first.initialization_ms, first.first_ms, memory.load_bytes, memory.peak_bytes)

    def operators(self) -> Operators:
        """What ran where, read from the plan that ran."""
        values, _ = self._sandbox.call("plan")
        plan = decode(Plan, values, where=_ANSWER, error=TargetError)
        count = len(self._graph.main.operators)
        return coverage(plan, count=count, delegate="XNNPACK", kinds=self._graph.kinds)

    def memory(self) -> Memory:
        """Resident memory since before the model was loaded, after a few runs."""
        values, _ = self._sandbox.call("memory")
        growth = decode(Growth, values, where=_ANSWER, error=TargetError)
        return growth.record(arena_bytes=self._graph.arena_bytes)

    @property
    def process_id(self) -> int:
        """The child's process id."""
        return self._sandbox.process_id

    def close(self) -> None:
        """End the process."""
        self._sandbox.close()

    def __enter__(self) -> CpuSession:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _signature(values: dict[str, Any], graph: Graph) -> Signature:
    """What the runtime reports, which must be what the walk found.

    Raises:
        TargetError: it is not.
    """
    found = decode(Signature, values, where=_ANSWER, error=TargetError)
    expected = [(tensor.shape, tensor.dtype) for tensor in (graph.inputs[0], graph.outputs[0])]
    if [(found.input_shape, found.input_dtype), (found.output_shape, found.output_dtype)] != expected:
        raise TargetError(f"the runtime's input and output differ from the file's: {found}, expected {expected}")
    return found


def _array(blobs: tuple[bytes, ...], dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
    """The only binary part of an answer, as an array.

    Raises:
        TargetError: another number of parts or of bytes.
    """
    expected = abs(int(np.prod(shape))) * np.dtype(dtype).itemsize
    if len(blobs) != 1 or len(blobs[0]) % expected or (-1 not in shape and len(blobs[0]) != expected):
        found = [len(blob) for blob in blobs]
        raise TargetError(f"the runtime's process answered {found} bytes, expected {expected} for {shape} {dtype}")
    return np.frombuffer(blobs[0], dtype).reshape(shape)


def _size(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "of unknown version"


CPU = CpuTarget(name="cpu", resolver="AUTO")
REFERENCE = CpuTarget(name="reference", resolver="BUILTIN_REF")
