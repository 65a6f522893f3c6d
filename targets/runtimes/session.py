"""A model in a child process, whichever runtime the child holds: batches, times, coverage, memory."""

from __future__ import annotations

import time
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgeres.errors import ConfigError, DataError, ModelError, TargetError
from edgeres.records import decode, shown
from edgeres.results import Memory, Operators, Start
from targets.classifier import check_classifier
from targets.flatbuffer import walk
from targets.graph import Graph
from targets.memory import Growth
from targets.operators import Plan, coverage
from targets.runtimes.invoked import FirstRun
from targets.sandbox import Limits, Sandbox
from targets.scaling import dequantize, quantize
from targets.target import Signature

MAX_RUNS, MAX_SECONDS = 1_000_000, 86_400

_MEND = "give another"
_ANSWER = "the answer of the runtime's process"
_CALL_SECONDS = 0.25
_CALL_IMAGES = 256
_CALL_BYTES = 8 << 20
_SLOWER = 10


def classifier_graph(model: bytes) -> Graph:
    """The structure of a model, which maps one image to one row of scores.

    Raises:
        ArtifactError: the bytes are not a well-formed flatbuffer.
        ModelError: it is no classifier.
    """
    graph = walk(model)
    check_classifier(graph)
    return graph


class Child(Protocol):
    """A process that runs one engine, here or on a device; see `targets.sandbox.Sandbox`."""

    @property
    def process_id(self) -> int:
        """Its id on the machine where it runs."""

    def call(
        self,
        method: str,
        *blobs: bytes | memoryview,
        arguments: dict[str, Any] | None = None,
        seconds: float | None = None,
    ) -> tuple[dict[str, Any], tuple[bytes, ...]]:
        """Run a method of the engine; returns its JSON values and its binary parts."""

    def lines(self) -> tuple[str, ...]:
        """What it has printed up to now."""

    def close(self) -> None:
        """End it."""


class Launch(Protocol):
    """What starts a process for an engine of this name."""

    def __call__(self, engine: str, /, *, limits: Limits | None) -> Child:
        """Start it; its engine is built by the first call."""


class EngineSession:
    """A model on an engine in a process of its own; see `targets.target.Session`.

    `engine`: "module:Class" of the child's side, whose `load` takes the model's bytes and `arguments`, and returns the
    signature. `graph`: what the walk of these bytes found. `launch` starts the process, a sandbox here unless given.
    """

    delegate = "XNNPACK"
    """What the nodes of the plan that are not the file's are called."""

    def __init__(
        self,
        engine: str,
        model: bytes,
        graph: Graph,
        *,
        arguments: dict[str, Any],
        limits: Limits | None = None,
        launch: Launch | None = None,
    ) -> None:
        self._graph, self._limits = graph, limits or Limits()
        self._run_seconds: float | None = None
        self._sandbox: Child = (launch or Sandbox)(engine, limits=limits)
        try:
            values, _ = self._sandbox.call("load", model, arguments=arguments)
            self.signature = _signature(values, graph)
        except TargetError as error:
            explained = self.explained(error, self.lines())
            self._sandbox.close()
            if explained is error:
                raise
            raise explained from error
        except BaseException:
            self._sandbox.close()
            raise

    def lines(self) -> tuple[str, ...]:
        """What the child has printed up to now; nothing is known of one on a device."""
        return self._sandbox.lines() if isinstance(self._sandbox, Sandbox) else ()

    def explained(self, error: TargetError, lines: tuple[str, ...]) -> TargetError:  # noqa: ARG002 - for subclasses
        """The error of a model that was not loaded, in the words of a runtime that a subclass knows.

        `lines`: what the child printed.
        """
        return error

    def infer(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run a batch, one image at a time: float32 (n, height, width, channels) to float32 (n, classes).

        Raises:
            ModelError: the inputs do not have the model's size, or an output is not finite.
            DataError: the inputs are no array of real numbers, or one is not finite as float32.
            TargetError: the process died, or did not answer in time.
        """
        own = self.signature
        inputs = _as_float32(inputs)
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
            ConfigError: `runs` or `seconds` out of range.
            TargetError: the process died, or did not answer in time.
        """
        if type(runs) is not int or not 1 <= runs <= MAX_RUNS:
            raise ConfigError(f"runs must be a whole number in 1…{MAX_RUNS:,}, found {shown(runs)}", fix=_MEND)
        if not isinstance(seconds, (int, float)) or not 0 <= seconds <= MAX_SECONDS:  # not where it is NaN, either
            raise ConfigError(f"seconds must be in 0…{MAX_SECONDS:,}, found {shown(seconds)}", fix=_MEND)
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
            TargetError: the model has run before; the process died, or did not answer in time.
        """
        if self._run_seconds is not None:
            raise TargetError("a first run can be timed only before any other", fix="open the model again")
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
        return coverage(plan, count=count, delegate=self.delegate, kinds=self._graph.kinds)

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

    def __enter__(self) -> EngineSession:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _as_float32(inputs: Any) -> NDArray[np.float32]:
    """Real numbers of any width as float32; a cast to it is what every preprocessing ends in.

    Raises:
        DataError: anything else.
    """
    if not isinstance(inputs, np.ndarray) or inputs.dtype.kind not in "fiu":
        found = f"one of {inputs.dtype}" if isinstance(inputs, np.ndarray) else type(inputs).__name__
        raise DataError(
            f"expected an array of float32 (n, height, width, channels), found {found}",
            fix="give what the preprocessing contract makes of images",
        )
    with np.errstate(over="ignore"):  # what becomes infinite is refused
        return inputs.astype(np.float32, copy=False)


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
