"""What `openvino` and `onnxruntime` have in common: runtimes that make a graph of their own of the whole model."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from importlib import metadata
from typing import Any

from edgeres.errors import TargetError
from edgeres.results import Operators
from targets.graph import Graph, Tensor
from targets.runtimes.session import EngineSession
from targets.sandbox import Limits
from targets.target import Availability


class PeerSession(EngineSession):
    """A model of which one runtime runs every operator, after it has made its own graph of it."""

    def __init__(
        self,
        engine: str,
        runtime: str,
        model: bytes,
        graph: Graph,
        *,
        threads: int,
        content: bytes | None = None,
        limits: Limits | None = None,
    ) -> None:
        """`runtime`: its name; `content`: what it loads, where that is not the model's bytes themselves."""
        arguments = {"threads": threads, "ports": ports(graph)}
        super().__init__(engine, model if content is None else content, graph, arguments=arguments, limits=limits)
        self._runtime = runtime

    def operators(self) -> Operators:
        """All run in the one runtime; `precision` counts those of its own graph by what they compute in."""
        values = self._precision()
        if not values or not all(type(count) is int for count in values.values()):
            raise TargetError(f"{self._runtime} reports no operators that it ran: {values}")
        count = len(self._graph.main.operators)
        return Operators(count, count, delegate=self._runtime, kinds=self._graph.kinds, left={}, precision=dict(values))

    def _precision(self) -> dict[str, int]:
        values, _ = self._sandbox.call("precision")
        return values


def ports(graph: Graph) -> dict[str, Any]:
    """A model's input and output as `targets.target.Signature` names them, read from its file."""
    return {**_port("input", graph.inputs[0]), **_port("output", graph.outputs[0])}


def _port(noun: str, tensor: Tensor) -> dict[str, Any]:
    return {
        f"{noun}_shape": list(tensor.shape),
        f"{noun}_dtype": tensor.dtype,
        f"{noun}_scale": tensor.scales[0] if tensor.scales else 0.0,
        f"{noun}_zero_point": tensor.zero_points[0] if tensor.zero_points else 0,
    }


def packages_available(packages: Sequence[str], *, extra: str) -> Availability:
    """Whether packages are installed, the first of which gives the version; nothing is imported."""
    for package in packages:
        if importlib.util.find_spec(package) is None:
            why = f"the package {package} is not installed"
            return Availability(available=False, why=why, fix=f"pip install 'edgeres[{extra}]'")
    return Availability(available=True, version=f"{packages[0]} {metadata.version(packages[0])}")
