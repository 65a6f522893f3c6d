"""A model on an Android device, which `benchmark_model` runs anew for each question."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from edgeres.errors import ConfigError, TargetError
from edgeres.records import encode
from edgeres.results import Operators
from edgeres.storage import sha256_bytes
from targets.devices import benchmark_tool
from targets.devices.adb import TimedOut
from targets.devices.benchmark_tool import RUNS, Call, Report
from targets.devices.deadline import Deadline
from targets.devices.device import ConnectionLost
from targets.devices.inventory import shown
from targets.devices.link import Answered
from targets.graph import Graph, Tensor
from targets.sandbox import Limits
from targets.target import Signature

if TYPE_CHECKING:
    from targets.devices.android_target import AndroidTarget

_WARM_UP = (1, 0.1)
_MOST_SECONDS = 60.0

_ENDINGS = {
    124: "it did not end in time",
    126: "it cannot be executed",
    127: "it is not there",
    134: "it aborted",
    137: "it was killed; where memory is short, by the system",
    139: "it crashed (segmentation fault)",
}

_STARTED = 'echo $$ >"$0"; export LD_LIBRARY_PATH="${0%/*}" ADSP_LIBRARY_PATH="${0%/*}"; exec "$@"'
"""Leaves its number for the folder's guard, and becomes the tool."""

_LIBRARY = re.compile(r"[A-Za-z0-9_.-]+\.so")


class ToolRuns:
    """What answers for a model on the device, as a child process would; see `targets.runtimes.session.Child`."""

    def __init__(self, target: AndroidTarget, graph: Graph, engine: str, *, limits: Limits | None = None) -> None:
        del engine
        self._target, self._device, self._graph = target, target.device, graph
        self._limits = limits
        self._workspace = self._device.workspace()
        self._count, self._closed = 0, False
        self.operators: Operators | None = None
        self.model_sha256 = ""
        self._last: Report | None = None
        self._number = self._device.machine.register(self)

    @property
    def process_id(self) -> int:
        """A number of its own on the device."""
        return self._number

    def _path(self, name: str) -> str:
        return f"{self._workspace.folder}/{self._number}-{name}"

    def call(
        self,
        method: str,
        *blobs: bytes | memoryview,
        arguments: dict[str, Any] | None = None,
        seconds: float | None = None,
    ) -> Answered:
        """Answer as `targets.runtimes.interpreter.Engine` does.

        Raises:
            ConnectionLost: the measurement has to begin anew.
            TargetError: the tool refuses the model or dies on it, or the device does not answer in time.
        """
        if self._closed:
            raise TargetError(f"the model is closed, it cannot '{method}'", fix="open the model again")
        del seconds
        answers: dict[str, Callable[..., Answered]] = {
            "load": self._load,
            "infer": self._infer,
            "time": self._time,
            "first": self._first,
            "memory": self._memory,
        }
        with self._device.guard:
            try:
                return answers[method](*(bytes(blob) for blob in blobs), **(arguments or {}))
            except (ConnectionLost, TimedOut):
                self._device.lost()
                raise

    def _load(self, model: bytes, *, threads: int) -> Answered:
        self.model_sha256 = sha256_bytes(model)
        self._device.adb.push(model, self._path("model.tflite"))
        self._invocation = Call(
            program=f"{self._workspace.folder}/benchmark_model",
            graph=self._path("model.tflite"),
            threads=threads,
            flags=self._flags(),
        )
        report = self._run(1, extra=("--enable_op_profiling=true",))
        self.operators = benchmark_tool.coverage(report, self._target.place, kinds=self._graph.kinds)
        return encode(_signature(self._graph.inputs[0], self._graph.outputs[0])), ()

    def _flags(self) -> tuple[str, ...]:
        if self._target.place != "npu":
            return benchmark_tool.target_flags(self._target.place)
        delegate, libraries, options = self._device.delegate()
        path = f"{self._workspace.folder}/delegate.so"
        self._device.adb.push(delegate, path)
        for name, content in libraries:
            if not _LIBRARY.fullmatch(name):
                raise ConfigError(
                    f"expected a library with a name like libQnnHtp.so, found {shown(name)!r}", fix="rename it"
                )
            self._device.adb.push(content, f"{self._workspace.folder}/{name}")
        return benchmark_tool.target_flags("npu", delegate=path, options=options)

    def _run(self, runs: int, *, warm_up: tuple[int, float] = (1, 0), extra: tuple[str, ...] = ()) -> Report:
        """One invocation, which has to end well, and to print all that it should."""
        adb, mark = self._device.adb, f"{self._workspace.folder}/tool.pid"
        words = self._invocation.words(runs=runs, warm_up=warm_up, seconds=_MOST_SECONDS, extra=extra)
        deadline = Deadline(self._limits.seconds if self._limits is not None else adb.patience.run)
        done = adb.shell("sh", "-c", _STARTED, mark, *words, deadline=deadline)
        if done.code:
            how = _ENDINGS.get(done.code, f"it ended with exit code {done.code}")
            details = benchmark_tool.last_lines(done.text)
            problem = f"{self._device.name}: benchmark_model does not run the model: {how}"
            if any("No space left" in line for line in details):
                raise TargetError(problem, details=details, fix="free some storage there (/data/local/tmp)")
            raise TargetError(problem, details=details, fix="see what it printed; try /builtin, or another tool")
        report = benchmark_tool.parse_report(done.text, runs=runs)
        if "--enable_op_profiling=true" not in extra:
            self._last = report
        return report

    def block(self, runs: int) -> tuple[Report, dict[str, Any]]:
        """A block of runs in a process of its own, and what the tool printed of it.

        Raises:
            ConnectionLost, TargetError: see `call`.
        """
        with self._device.guard:
            try:
                report = self._run(runs, warm_up=_WARM_UP)
            except (ConnectionLost, TimedOut):
                self._device.lost()
                raise
        return report, benchmark_tool.block_record(report)

    def _time(self, *, runs: int, seconds: float) -> Answered:
        del seconds  # it is the tool that warms up
        times: list[float] = []
        while len(times) < max(1, runs):
            times.append(self._run(RUNS, warm_up=_WARM_UP).last_ms)
        return {}, (np.asarray(times, "<f8").tobytes(),)

    def _first(self) -> Answered:
        report = self._run(1)
        return {"initialization_ms": report.initialization_us / 1000, "first_ms": report.first_us / 1000}, ()

    def _memory(self) -> Answered:
        report = self._last or self._run(1)
        return {"before": 0, "loaded": report.load_bytes, "peak": report.peak_bytes}, ()

    def _infer(self, images: bytes) -> Answered:
        """One image at a time through the tool's files for inputs and outputs."""
        entry, result = self._graph.inputs[0], self._graph.outputs[0]
        size = entry.size_bytes
        outputs: list[str] = []
        for begin in range(0, len(images), size):
            given, found = self._path("input"), self._path(f"output{len(outputs)}")
            self._device.adb.push(images[begin : begin + size], given)
            shape = ",".join(map(str, entry.shape))
            self._run(
                1,
                warm_up=(0, 0),
                extra=(
                    "--input_layer=input",
                    f"--input_layer_shape={shape}",
                    f"--input_layer_value_files=input:{given}",
                    f"--output_filepath={found}",
                ),
            )
            outputs.append(found)
        contents = self._device.adb.pull(outputs)
        if any(len(content) != result.size_bytes for content in contents):
            found_sizes = sorted({len(content) for content in contents})
            problem = f"{self._device.name}: expected outputs of {result.size_bytes} bytes, found {found_sizes}"
            raise TargetError(problem, fix="free some storage there, and try again")
        self._device.adb.shell("rm", "-f", *outputs)
        return {}, (b"".join(contents),)

    def lines(self) -> tuple[str, ...]:
        """None: what the tool prints is read by its calls."""
        return ()

    def close(self) -> None:
        """Remove the model's files, where the device can be reached."""
        if self._closed:
            return
        self._closed = True
        self._device.machine.running.pop(self._number, None)
        self._workspace.tidy(f"rm -f {self._path('')}*")


def _signature(entry: Tensor, result: Tensor) -> Signature:
    """What an interpreter would report of the model's input and output."""
    return Signature(
        input_shape=entry.shape,
        input_dtype=entry.dtype,
        input_scale=entry.scales[0] if entry.scales else 0.0,
        input_zero_point=entry.zero_points[0] if entry.zero_points else 0,
        output_shape=result.shape,
        output_dtype=result.dtype,
        output_scale=result.scales[0] if result.scales else 0.0,
        output_zero_point=result.zero_points[0] if result.zero_points else 0,
    )
