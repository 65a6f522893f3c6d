"""The engine in the child that times operators: LiteRT's own profiler, through the C interface of `libLiteRt.so`.

The interpreter's Python interface has no profiler; LiteRT's C interface does, and it sees into XNNPACK. It is bound
here with ctypes, as far as it is needed. Reference: `litert/c/*.h` of google-ai-edge/LiteRT. A profiled run takes some
microseconds more; what the whole takes is clocked on an interpreter without a profiler, in turn with it.
"""

from __future__ import annotations

import ctypes
import importlib.util
from collections.abc import Callable
from ctypes import Structure, byref, c_char_p, c_int, c_int32, c_size_t, c_uint32, c_uint64, c_void_p
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from edgeres.errors import TargetError
from targets.runtimes.interpreter import Engine as Interpreter
from targets.worker import Answer

_LIBRARY = "libLiteRt.so"
_CPU = 1
_WARM_UP_RUNS = 10
_MAX_RANK = 8

_KERNELS = {"AUTO": 0, "BUILTIN_REF": 1, "BUILTIN_WITHOUT_DEFAULT_DELEGATES": 2}
"""The interpreter's names of kernels, and LiteRtCpuKernelMode."""

_NODE, _INNER = 2, 8
"""Kinds of events: a node of the plan, an operator within a delegate."""


class _Event(Structure):
    """ProfiledEventData; times in microseconds."""

    _fields_ = (
        ("tag", c_char_p),
        ("kind", c_int),
        ("start", c_uint64),
        ("elapsed", c_uint64),
        ("memory", c_uint64 * 6),
        ("place", c_uint64),
        ("further", c_uint64),
        ("source", c_int),
    )


class _TensorType(Structure):
    """LiteRtRankedTensorType; of `rank` the low seven bits are the rank."""

    _fields_ = (
        ("element", c_int),
        ("rank", c_uint32),
        ("sizes", c_int32 * _MAX_RANK),
        ("strides", c_uint32 * _MAX_RANK),
    )

    def close(self) -> bool:
        """Make what is open 1; whether anything was."""
        places = [place for place in range(self.rank & 0x7F) if self.sizes[place] < 0]
        for place in places:
            self.sizes[place] = 1
        return bool(places)


@dataclass(frozen=True)
class Event:
    """An operator that ran: its name, and the index of the file's operator that it is, -1 within a delegate."""

    name: str
    node: int


class Engine:
    """One model, compiled for the CPU with profiling on, and on a plain interpreter beside it."""

    def __init__(self) -> None:
        self._kept: list[Any] = []  # what the library holds pointers to

    def load(self, model: bytes, *, resolver: str, threads: int) -> Answer:
        """Compile a model from its bytes, and run it until it is warm; `resolver` as the interpreter names kernels."""
        self._plain = Interpreter()
        self._plain.load(model, resolver=resolver, threads=threads)
        library = _Library()
        content = ctypes.create_string_buffer(model, len(model))
        environment, self._model, options = c_void_p(), c_void_p(), c_void_p()
        library.call("LiteRtCreateEnvironment", c_int(0), None, byref(environment))
        size = c_size_t(len(model))
        library.call("LiteRtCreateModelFromBuffer", environment, content, size, byref(self._model))
        library.call("LiteRtCreateOptions", byref(options))
        library.call("LiteRtSetOptionsHardwareAccelerators", options, c_int(_CPU))
        self._add(library, options, b"runtime_options_string", b"enable_profiling = true\n")
        kernels = f"num_threads = {threads}\nkernel_mode = {_KERNELS[resolver]}\n"
        self._add(library, options, b"xnnpack", kernels.encode())
        self._compiled, self._profiler, self._library = c_void_p(), c_void_p(), library
        library.call("LiteRtCreateCompiledModel", environment, self._model, options, byref(self._compiled))
        self._inputs = self._buffers(environment, "Input")
        self._outputs = self._buffers(environment, "Output")
        library.call("LiteRtCompiledModelGetProfiler", self._compiled, byref(self._profiler))
        self._kept += [content, environment, options]
        for _ in range(_WARM_UP_RUNS):
            self._run()
            self._plain.first()
        return {}, ()

    def measure(self, *, runs: int, most: int, seconds: float) -> Answer:
        """Run at least `runs` times and `seconds` long with the profiler on, and as often without it, in turn.

        After `most` runs it ends in any case.

        Returns the events of a run, and float64 (runs, 1 + events) milliseconds: of the whole without the profiler,
        then of each event.
        """
        library, began = self._library, perf_counter()
        events: list[Event] | None = None
        rows: list[list[float]] = []
        while len(rows) < runs or (len(rows) < most and perf_counter() - began < seconds):
            library.call("LiteRtStartProfiler", self._profiler)
            self._run()
            library.call("LiteRtStopProfiler", self._profiler)
            found, times = _read(self._recorded())
            library.call("LiteRtResetProfiler", self._profiler)
            events = events or found
            if found != events:
                raise TargetError("the runtime ran other operators in one run than in another")
            whole, _ = self._plain.first()
            rows.append([whole["first_ms"], *times])
        described = [{"name": event.name, "node": event.node} for event in events or ()]
        return {"events": described}, (np.asarray(rows, "<f8").tobytes(),)

    def _add(self, library: _Library, options: c_void_p, name: bytes, text: bytes) -> None:
        """Give the options a part in the form that the library's own builders write: TOML."""
        payload, part = ctypes.create_string_buffer(text), c_void_p()
        destroy = ctypes.CFUNCTYPE(None, c_void_p)(lambda _: None)  # the payload is ours
        library.call("LiteRtCreateOpaqueOptions", c_char_p(name), payload, destroy, byref(part))
        library.call("LiteRtAddOpaqueOptions", options, part)
        self._kept += [payload, destroy]

    def _buffers(self, environment: c_void_p, way: str) -> Any:
        """A buffer for each input or output of the first signature, as the compiled model wants it."""
        library, signature, count = self._library, c_void_p(), c_size_t()
        library.call("LiteRtGetModelSignature", self._model, c_size_t(0), byref(signature))
        library.call(f"LiteRtGetNumSignature{way}s", signature, byref(count))
        buffers = (c_void_p * count.value)()
        for place in range(count.value):
            tensor, requirements, buffer = c_void_p(), c_void_p(), c_void_p()
            kind, at = _TensorType(), c_size_t(place)
            library.call(f"LiteRtGetSignature{way}TensorByIndex", signature, at, byref(tensor))
            library.call("LiteRtGetRankedTensorType", tensor, byref(kind))
            if kind.close() and way == "Input":
                rank = c_size_t(kind.rank & 0x7F)
                library.call("LiteRtCompiledModelResizeInputTensor", self._compiled, c_size_t(0), at, kind.sizes, rank)
            wanted = f"LiteRtGetCompiledModel{way}BufferRequirements"
            library.call(wanted, self._compiled, c_size_t(0), at, byref(requirements))
            made = "LiteRtCreateManagedTensorBufferFromRequirements"
            library.call(made, environment, byref(kind), requirements, byref(buffer))
            library.call("LiteRtClearTensorBuffer", buffer)
            buffers[place] = buffer
        return buffers

    def _run(self) -> None:
        inputs, outputs = self._inputs, self._outputs
        sizes = [c_size_t(len(buffers)) for buffers in (inputs, outputs)]
        self._library.call("LiteRtRunCompiledModel", self._compiled, c_size_t(0), sizes[0], inputs, sizes[1], outputs)

    def _recorded(self) -> Any:
        count = c_int()
        self._library.call("LiteRtGetNumProfilerEvents", self._profiler, byref(count))
        events = (_Event * count.value)()
        self._library.call("LiteRtGetProfilerEvents", self._profiler, count, events)
        return events


class _Library:
    """The functions of the shared object, each of which returns a status."""

    def __init__(self) -> None:
        package = importlib.util.find_spec("ai_edge_litert")
        place = Path(package.origin).parent / _LIBRARY if package and package.origin else None
        if place is None or not place.is_file():
            raise TargetError("the times of operators need ai-edge-litert", fix="pip install ai-edge-litert")
        self._functions = ctypes.CDLL(str(place))

    def call(self, name: str, *arguments: Any) -> None:
        function: Callable[..., int] | None = getattr(self._functions, name, None)
        if function is None:
            raise TargetError(f"this version of ai-edge-litert has no {name}", fix="install ai-edge-litert 2.3")
        if status := function(*arguments):
            raise TargetError(f"{name} of ai-edge-litert answers {status}")


def _read(recorded: Any) -> tuple[list[Event], list[float]]:
    """The operators of one run, and the milliseconds of each.

    A delegate counts whole microseconds and cuts off the rest: half of one is added, which is what is lost on average.
    """
    events, times = [], []
    for event in recorded:
        if event.kind in (_NODE, _INNER):
            inner = event.kind == _INNER
            events.append(Event(event.tag.decode(errors="replace"), -1 if inner else int(event.place)))
            times.append((event.elapsed + 0.5 * inner) / 1000)
    if not events:
        raise TargetError("the runtime's profiler recorded nothing", fix="install ai-edge-litert 2.3")
    return events, times
