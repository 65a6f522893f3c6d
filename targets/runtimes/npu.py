"""NPUs (`npu:VENDOR:CHIP`) through LiteRT's plugins of their vendors, and OpenVINO on its CPU backend (`npu:openvino`).

No NPU is here. `npu:openvino` runs a model the way an Intel NPU would be given it (partition, compile, dispatch), on
OpenVINO's CPU backend: it shows what such a graph computes, and no NPU's time. For the chips of a vendor a model is
compiled, not run. See `npu_engine.py` for the child's side.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, replace
from importlib import metadata
from typing import NoReturn

from edgeres.errors import ConfigError, TargetError, suggestion
from edgeres.results import Operators
from targets.graph import Graph
from targets.runtimes.compiled import CompiledSession, scalings
from targets.runtimes.npu_compiler import compiled, explained, explaining
from targets.runtimes.npu_engine import partitioned
from targets.runtimes.npu_vendors import VENDORS, Vendor, installed, lacking, required
from targets.runtimes.session import classifier_graph
from targets.sandbox import Limits
from targets.target import Availability, Compilation, Tolerance, require_available

_ENGINE = "targets.runtimes.npu_engine:Engine"
_AHEAD = "aot"
_CHIP = "PTL"
"""The chip that is named to the plugin where its CPU backend is asked for."""
_ON_CPU = {"intel_openvino_graph_backends": "cpu"}
"""What asks for it."""

_DEVICE = "OpenVINO's CPU backend: functional only, no NPU"
_INSTALL = "pip install 'edgeres[npu]' (Linux, x86-64)"
_DISPATCHED = "InvocationContext Initialize SUCCESS"

_TOLERANCE = Tolerance(steps=10, share=2e-2)
"""Float models are far closer, for bfloat16 is switched off (`npu_engine.py`); dynamic-int8 is computed in float."""


@dataclass(frozen=True)
class OpenVinoTarget:
    """OpenVINO's CPU backend, for which a model is compiled while it is loaded (JIT)."""

    kind: str = "npu"
    multiple: int = 8
    timed: bool = False
    tolerance: Tolerance | None = _TOLERANCE

    @property
    def name(self) -> str:
        """As it is asked for."""
        return "npu:openvino"

    def check(self) -> Availability:
        """Whether the runtime and OpenVINO are there, in versions made for one another; nothing native is imported."""
        if (missing := _runtime()) is not None:
            return missing
        plugin = VENDORS["openvino"].distribution
        runtime, sdk, own = metadata.version("ai-edge-litert"), installed(plugin), installed("openvino")
        version = f"ai-edge-litert {runtime}, openvino {own}"
        if sdk is None or importlib.util.find_spec("openvino") is None:
            return Availability(available=False, why=f"OpenVINO is not installed ({plugin})", fix=_INSTALL)
        if sdk != runtime:
            why = f"ai-edge-litert is {runtime}, {plugin} {sdk}: they must be the same version"
            return Availability(available=False, version=version, why=why, fix=_INSTALL)
        if (wanted := required(plugin, "openvino")) not in (None, own):
            why = f"openvino is {own}, {plugin} {sdk} was made for {wanted}"
            return Availability(available=False, version=version, why=why, fix=f"pip install openvino=={wanted}")
        return Availability(available=True, version=version)

    def runs_on(self) -> str:
        """What it really runs on."""
        return _DEVICE

    def open(self, model: bytes, *, threads: int = 1, limits: Limits | None = None) -> CompiledSession:
        """Compile a model from its bytes and load it, in child processes.

        Raises:
            ArtifactError: the bytes are not a well-formed flatbuffer.
            ModelError: it does not map one image to one row of scores.
            ConfigError: more than one thread.
            TargetError: it is not installed; the plugin leaves an operator, or dies on the model.
        """
        _require_one_thread(threads)
        graph = classifier_graph(model)
        require_available(self)
        return JitSession(_ENGINE, model, graph, arguments=scalings(graph), limits=limits)


@dataclass(frozen=True)
class AheadTarget(OpenVinoTarget):
    """The same, for which a model is compiled to a file first (AOT)."""

    here: bool = True

    @property
    def name(self) -> str:
        """As it is asked for."""
        return f"npu:openvino:{_AHEAD}"

    def compile(self, model: bytes, *, limits: Limits | None = None) -> Compilation:
        """Compile a model from its bytes in a child process; see `NpuTarget.compile`."""
        graph, vendor = classifier_graph(model), VENDORS["openvino"]
        require_available(self)
        with explaining(graph):
            file, operators = compiled(model, graph, vendor, _CHIP, _ON_CPU, limits)
        options = {"vendor": vendor.package, "soc": _CHIP, **_ON_CPU}
        return Compilation(file, str(self.check().version), options, replace(operators, delegate=_DEVICE))

    def open(self, model: bytes, *, threads: int = 1, limits: Limits | None = None) -> CompiledSession:
        """Compile a model, and load the file; see `OpenVinoTarget.open`."""
        _require_one_thread(threads)
        made = self.compile(model, limits=limits)
        return AheadSession(made.file, classifier_graph(model), made.operators, limits)


def _require_one_thread(threads: int) -> None:
    if threads != 1:
        raise ConfigError(f"an NPU has no --threads, found {threads}", fix="leave out --threads")


class JitSession(CompiledSession):
    """A model that OpenVINO compiled while it was loaded; see `targets.target.Session`."""

    def operators(self) -> Operators:
        """What the plugin took, as the runtime wrote when it partitioned the model and dispatched the parts.

        Raises:
            TargetError: it did not write so, or dispatched less: then something else may have run the model.
        """
        lines = self.lines()
        found, dispatched = partitioned(lines), sum(_DISPATCHED in line for line in lines)
        nodes = len(self._graph.main.operators)
        if found is None or found[0] != nodes or dispatched < found[2]:
            raise TargetError(
                f"there is no evidence that OpenVINO runs the model: it took {found[0] if found else 0} of {nodes} "
                f"operators, {dispatched} parts were dispatched",
                fix="use --target cpu, or another version of ai-edge-litert-sdk-intel",
            )
        return Operators(nodes, nodes, _DEVICE, self._graph.kinds, {}, partitions=found[2])

    def explained(self, error: TargetError, lines: tuple[str, ...]) -> TargetError:
        """The first operator that the plugin does not take, by its layer."""
        return explained(error, lines, self._graph)


class AheadSession(CompiledSession):
    """A model that was compiled before; the graph that runs is the compiled file's, and holds dispatch operators."""

    def __init__(self, file: bytes, graph: Graph, operators: Operators, limits: Limits | None) -> None:
        self._operators = operators
        super().__init__(_ENGINE, file, graph, arguments=scalings(graph), limits=limits)

    def operators(self) -> Operators:
        """What the compiled file holds: each of its dispatch operators is a part that the plugin took."""
        return self._operators


@dataclass(frozen=True)
class NpuTarget:
    """A chip that a model is compiled for: nothing runs here."""

    vendor: Vendor
    chip: str
    kind: str = "npu"
    multiple: int = 8
    timed: bool = False
    here: bool = False
    tolerance: None = None

    @property
    def name(self) -> str:
        """As it is asked for: `npu:qualcomm:SM8750`."""
        return f"npu:{self.vendor.name}:{self.chip}"

    def check(self) -> Availability:
        """Whether the runtime and the vendor's libraries are there; nothing native is imported."""
        if (absent := _runtime()) is not None:
            return absent
        version = f"ai-edge-litert {metadata.version('ai-edge-litert')}"
        if (missing := self.vendor.missing()) is not None:
            return Availability(available=False, version=version, why=missing[0], fix=missing[1])
        sdk = f"{self.vendor.distribution} {installed(self.vendor.distribution) or ''}".rstrip()
        return Availability(available=True, version=f"{version}, {sdk}")

    def open(self, model: bytes, *, threads: int = 1) -> NoReturn:  # noqa: ARG002 - nothing is opened
        """Always an error.

        Raises:
            TargetError: a model is compiled for it, and runs on a device.
        """
        raise TargetError(
            f"'{self.name}' compiles a model and does not run it: it has no accuracy to give",
            fix="convert with --compile, or profile on it; evaluate with --target reference",
        )

    def compile(self, model: bytes, *, limits: Limits | None = None) -> Compilation:
        """Compile a model from its bytes in a child process.

        Raises:
            ArtifactError: the bytes are not a well-formed flatbuffer.
            ModelError: it does not map one image to one row of scores.
            TargetError: the vendor's libraries are missing, its compiler fails, or it leaves all to the CPU.
        """
        graph = classifier_graph(model)
        require_available(self)
        with explaining(graph):
            file, operators = compiled(model, graph, self.vendor, self.chip, {}, limits)
        options = {"vendor": self.vendor.package, "soc": self.chip}
        return Compilation(file, str(self.check().version), options, operators)


def _runtime() -> Availability | None:
    """Why the runtime cannot compile for NPUs; None where it can."""
    if importlib.util.find_spec("ai_edge_litert") is None:
        return Availability(available=False, why="ai-edge-litert is not installed", fix="pip install ai-edge-litert")
    return None


@dataclass(frozen=True)
class NpuFamily:
    """All of them."""

    usage: str = "npu:VENDOR[:CHIP]"
    kind: str = "npu"

    def check(self) -> Availability:
        """Whether any can be used; which vendors' libraries are there is told beside the version."""
        own = OPENVINO.check()
        others = [vendor for vendor in VENDORS.values() if vendor.name != "openvino"]
        names = ["openvino"] if own.available else []
        if _runtime() is None:
            names += [vendor.name for vendor in others if vendor.state == "there"]
        without = lacking(others) or (None, None)
        why, fix = ("; ".join(filter(None, each)) or None for each in zip((own.why, own.fix), without, strict=True))
        if not names:
            return Availability(False, own.version, why, fix)
        return Availability(True, "; ".join(filter(None, (own.version, ", ".join(names)))), why, fix)

    def member(self, argument: str) -> OpenVinoTarget | NpuTarget:
        """The target of a vendor, and of a chip where one follows.

        Raises:
            TargetError: there is none of that name, with the nearest match.
        """
        name, _, chip = argument.partition(":")
        if name not in VENDORS:
            known = [f"npu:{each}" for each in VENDORS]
            raise TargetError(f"there is no NPU vendor '{name}'", fix=suggestion(f"npu:{name}", known))
        vendor = VENDORS[name]
        if name == "openvino" and chip in ("", _AHEAD):
            return AHEAD if chip else OPENVINO
        if chip not in vendor.chips:
            known = [f"npu:{name}:{each}" for each in vendor.chips]
            if not chip:
                raise TargetError(f"'npu:{name}' is no target without a chip", fix=f"choose from: {', '.join(known)}")
            raise TargetError(f"there is no chip '{chip}' of {name}", fix=suggestion(f"npu:{name}:{chip}", known))
        return NpuTarget(vendor, chip)


OPENVINO = OpenVinoTarget()
AHEAD = AheadTarget()
NPU = NpuFamily()
