"""TFLite Micro (`micro`): the interpreter of microcontrollers, compiled for this machine.

Says whether it runs a model, in how small an arena, and what it computes. Says nothing of time: its portable kernels
are not those that a device has. See `micro_engine.py` for the child's side.
"""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass
from importlib import metadata

from edgeres.errors import ConfigError, ModelError, TargetError
from edgeres.results import Memory, Operators
from targets.forecast.micro import weights_behind
from targets.forecast.outlook import Model
from targets.graph import Graph
from targets.layer_names import layer_names
from targets.runtimes.session import EngineSession, classifier_graph
from targets.sandbox import Limits
from targets.target import Availability, Tolerance, require_available

_ENGINE = "targets.runtimes.micro_engine:Engine"
_NODE = re.compile(r"Node (\w+) \(number (\d+)\) failed to (?:prepare|invoke)")
_UNKNOWN = re.compile(r"Didn't find op for builtin opcode '(\w+)'|Failed to get registration from op code (\w+)")

_TOLERANCE = Tolerance(steps=1, share=1e-3)


@dataclass(frozen=True)
class MicroTarget:
    """`multiple`: see `targets.target.Target`; the 8-bit kernels of Arm's CMSIS-NN take 4 channels at a time."""

    name: str = "micro"
    kind: str = "microcontroller"
    multiple: int = 4
    timed: bool = False
    tolerance: Tolerance | None = _TOLERANCE

    def check(self) -> Availability:
        """Whether the package is there; nothing native is imported."""
        if importlib.util.find_spec("tflite_micro") is None:
            why = "the package tflite-micro is not installed"
            return Availability(available=False, why=why, fix="pip install 'edgeres[micro]' (Linux, x86-64)")
        return Availability(available=True, version=f"tflite-micro {metadata.version('tflite-micro')}")

    def open(self, model: bytes, *, threads: int = 1, limits: Limits | None = None) -> MicroSession:
        """Load a model from its bytes in a child process.

        Raises:
            ArtifactError: the bytes are not a well-formed flatbuffer.
            ModelError: it does not map one image to one row of scores, or has weights where this does not look.
            ConfigError: more than one thread.
            TargetError: not installed; it does not run an operator, which is named with its layer.
        """
        if threads != 1:
            raise ConfigError(f"TFLite Micro runs on one thread, found {threads}", fix="leave out --threads")
        graph = classifier_graph(model)
        for blocked in weights_behind(Model(graph, ())):
            raise ModelError(blocked.reason, fix=blocked.fix)
        require_available(self)
        try:
            return MicroSession(_ENGINE, model, graph, arguments={"arena_bytes": graph.arena_bytes}, limits=limits)
        except TargetError as error:
            raise _explained(error, graph) from error


class MicroSession(EngineSession):
    """A model on TFLite Micro; see `targets.target.Session`."""

    def time(self, *, runs: int, seconds: float) -> list[float]:  # noqa: ARG002 - there is nothing to run
        """Always an error.

        Raises:
            TargetError: a time of this machine would be none of a microcontroller's.
        """
        raise TargetError(
            "TFLite Micro has no latency here: its portable kernels on this machine say nothing of a microcontroller",
            fix="time it on the device, or have a compiler estimate an NPU: --target ethosu:u55-256",
        )

    def operators(self) -> Operators:
        """All operators run in the one interpreter; there is no delegate."""
        kinds = self._graph.kinds
        return Operators(nodes=len(self._graph.main.operators), delegated=0, kinds=kinds, left=kinds)

    def memory(self) -> Memory:
        """The smallest arena in which it runs, found by bisection to 16 bytes, as `load_bytes` and `peak_bytes`.

        An arena is taken whole when the model is loaded; weights stay in flash and are not in it. Measured with this
        machine's 64-bit pointers: a 32-bit controller needs somewhat less.
        """
        values, _ = self._sandbox.call("arena")
        found = int(values["arena_bytes"])
        return Memory(load_bytes=found, peak_bytes=found, arena_bytes=self._graph.arena_bytes)


def _explained(error: TargetError, graph: Graph) -> TargetError:
    """The error with the operator that the runtime wrote about, and its layer; as it is, where it names none."""
    for line in error.details:
        if (place := _blamed(line, graph)) is not None:
            kind, layer = graph.main.operators[place].kind, layer_names(graph.main)[place]
            problem = f"TFLite Micro does not run {kind} as the layer '{layer}' has it"
            fix = "convert with the recipe int8, or replace the layer"
            return TargetError(problem, details=error.details, fix=fix)
    return error


def _blamed(line: str, graph: Graph) -> int | None:
    operators = graph.main.operators
    if found := _NODE.search(line):
        place = int(found[2])
        return place if place < len(operators) and operators[place].kind == found[1] else None
    if found := _UNKNOWN.search(line):
        kind = found[1] or found[2]
        return next((place for place, operator in enumerate(operators) if operator.kind == kind), None)
    return None


MICRO = MicroTarget()
