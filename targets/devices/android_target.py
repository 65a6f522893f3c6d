"""A target on an Android device, whose models `benchmark_model` runs; see `tool_runs.py`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from edgeres.errors import ConfigError, EdgeresError
from edgeres.results import Operators
from targets.devices.tool_runs import ToolRuns
from targets.runtimes.cpu import MAX_THREADS
from targets.runtimes.session import EngineSession, classifier_graph
from targets.sandbox import Limits
from targets.target import Availability, Tolerance

if TYPE_CHECKING:
    from targets.devices.android import AndroidDevice

TOLERANCES = {
    "cpu": Tolerance(steps=8, share=1e-3),
    "builtin": Tolerance(steps=8, share=1e-3),
    "gpu": Tolerance(steps=8, share=2e-2),
    "npu": Tolerance(steps=8, share=2e-2),
}
"""Targets on a device -> how far from the reference kernels here; a GPU and an NPU compute floats in float16."""


@dataclass(frozen=True)
class AndroidTarget:
    """See `targets.devices.device.DeviceTarget`; `place`: a key of `TOLERANCES`."""

    name: str
    device: AndroidDevice
    place: str
    kind: str = "device"
    multiple: int = 8
    timed: bool = True

    @property
    def tolerance(self) -> Tolerance:
        """See `targets.target.Target`."""
        return TOLERANCES[self.place]

    def check(self) -> Availability:
        """Connect, and put the tool there."""
        try:
            if self.place == "npu":
                self.device.delegate()
            self.device.workspace()
        except EdgeresError as problem:
            return Availability(False, why="; ".join((problem.message, *problem.details)), fix=problem.fix)
        return Availability(True, version=f"benchmark_model {self.device.tool.sha256[:12]}")

    def open(self, model: bytes, *, threads: int = 1, limits: Limits | None = None) -> AndroidSession:
        """Load a model from its bytes on the device.

        Raises:
            ArtifactError: the bytes are not a well-formed flatbuffer.
            ModelError: it does not map one image to one row of scores.
            ConfigError: a number of threads out of range; no tool, or no delegate.
            TargetError: the device cannot be reached, or the tool refuses the model, or its delegate all of it.
        """
        if not 1 <= threads <= MAX_THREADS:
            raise ConfigError(f"threads must be in 1…{MAX_THREADS}, found {threads}", fix="give another --threads")
        graph = classifier_graph(model)
        launch = partial(ToolRuns, self, graph)
        return AndroidSession(
            "benchmark_model", model, graph, arguments={"threads": threads}, limits=limits, launch=launch
        )


class AndroidSession(EngineSession):
    """A model on an Android device; see `targets.target.Session`."""

    def operators(self) -> Operators:
        """What ran where, by the tool's profile and log."""
        child = self._sandbox
        if not isinstance(child, ToolRuns) or child.operators is None:
            raise RuntimeError("the model was not loaded by the tool")
        return child.operators
