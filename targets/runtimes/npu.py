"""NPUs (`npu:VENDOR:CHIP`) through LiteRT's plugins of their vendors, and OpenVINO on its CPU backend (`npu:openvino`).

No NPU is here. `npu:openvino` runs a model the way an Intel NPU would be given it (partition, compile, dispatch), on
OpenVINO's CPU backend: it shows what such a graph computes, and no NPU's time. For the chips of a vendor a model is
compiled, not run. See `npu_engine.py` for the child's side.
"""

from __future__ import annotations

import importlib.util
import re
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import metadata
from typing import NoReturn

from edgeres.errors import ArtifactError, ConfigError, TargetError, suggestion
from edgeres.results import Operators
from targets.flatbuffer import walk
from targets.graph import Graph
from targets.layer_names import layer_names
from targets.runtimes.compiled import CompiledSession, scalings
from targets.runtimes.npu_engine import partitioned
from targets.runtimes.npu_vendors import VENDORS, Vendor, installed, lacking, required
from targets.runtimes.session import classifier_graph
from targets.sandbox import Limits, Sandbox
from targets.schema import OPERATORS
from targets.target import Availability, Compilation, Fault, Tolerance, require_available

_ENGINE = "targets.runtimes.npu_engine:Engine"
_COMPILER = "targets.runtimes.npu_engine:Compiler"
_DISPATCH = "DISPATCH_OP"
_AHEAD = "aot"
_CHIP = "PTL"
"""The chip that is named to the plugin where its CPU backend is asked for."""

_DEVICE = "OpenVINO's CPU backend: functional only, no NPU"
_INSTALL = "pip install 'edgeres[npu]' (Linux, x86-64)"
_DISPATCHED = "InvocationContext Initialize SUCCESS"
_UNSUPPORTED = re.compile(r"op type (\d+) is not supported")

_TOLERANCE = Tolerance(steps=10, share=2e-2)
"""Float models are far closer, for bfloat16 is switched off (`npu_engine.py`); dynamic-int8 is computed in float."""


@dataclass(frozen=True)
class OpenVinoTarget:
    """OpenVINO's CPU backend. `ahead`: the model is compiled to a file first (AOT), else while it is loaded (JIT)."""

    ahead: bool = False
    kind: str = "npu"
    multiple: int = 8
    timed: bool = False
    tolerance: Tolerance | None = _TOLERANCE

    @property
    def name(self) -> str:
        """As it is asked for: `npu:openvino`, `npu:openvino:aot`."""
        return f"npu:openvino:{_AHEAD}" if self.ahead else "npu:openvino"

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

    def faults(self, model: bytes) -> tuple[Fault, ...]:  # noqa: ARG002 - none is known
        """None is known."""
        return ()

    def open(self, model: bytes, *, threads: int = 1, limits: Limits | None = None) -> CompiledSession:
        """Compile a model from its bytes and load it, in child processes.

        Raises:
            ArtifactError: the bytes are not a well-formed flatbuffer.
            ModelError: it does not map one image to one row of scores.
            ConfigError: more than one thread.
            TargetError: it is not installed; the plugin leaves an operator, or dies on the model.
        """
        if threads != 1:
            raise ConfigError(f"an NPU has no --threads, found {threads}", fix="leave out --threads")
        graph = classifier_graph(model)
        require_available(self)
        if not self.ahead:
            return JitSession(_ENGINE, model, graph, arguments=scalings(graph), limits=limits)
        settings = {"intel_openvino_graph_backends": "cpu"}
        with explaining(graph):
            file, operators = compiled(model, graph, VENDORS["openvino"], _CHIP, settings, limits)
        return AheadSession(file, graph, replace(operators, delegate=_DEVICE), limits)


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
        return _explained(error, lines, self._graph)


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
        return Availability(available=True, version=f"{version}, {self.vendor.distribution}")

    def open(self, model: bytes, *, threads: int = 1) -> NoReturn:  # noqa: ARG002 - nothing is opened
        """Always an error.

        Raises:
            TargetError: a model is compiled for it, and runs on a device.
        """
        raise TargetError(
            f"'{self.name}' compiles a model and does not run it: it has no accuracy to give",
            fix="profile on it, with --keep; evaluate with --target reference",
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
        return Compilation(file, None, None, operators)


def compiled(
    model: bytes, graph: Graph, vendor: Vendor, chip: str, settings: dict[str, str], limits: Limits | None
) -> tuple[bytes, Operators]:
    """A vendor's file for a chip, checked, and what in it the NPU runs.

    Raises:
        TargetError: the compiler fails, or makes no file that holds a part for the NPU: LiteRT's leaves an empty one.
    """
    with tempfile.TemporaryDirectory(prefix="edgeres-npu-") as folder, Sandbox(_COMPILER, limits=limits) as sandbox:
        arguments = {"vendor": vendor.package, "soc": chip, "settings": settings, "folder": folder}
        _, (file,) = sandbox.call("compile", model, arguments=arguments)
    try:
        made = walk(file)
    except ArtifactError as error:
        raise TargetError(
            f"the compiler for {chip} made a file of {len(file):,} bytes that is no model", details=(error.message,)
        ) from error
    left = Counter(each.kind for each in made.main.operators if each.kind != _DISPATCH)
    parts, nodes = len(made.main.operators) - left.total(), len(graph.main.operators)
    if not parts:
        raise TargetError(f"the compiler for {chip} leaves the whole model to the CPU", fix="use --target cpu")
    return file, Operators(nodes, nodes - left.total(), vendor.name, graph.kinds, dict(left), partitions=parts)


@contextmanager
def explaining(graph: Graph) -> Iterator[None]:
    """Name the operator that a plugin's words are about, where there is one.

    Raises:
        TargetError: that of the block.
    """
    try:
        yield
    except TargetError as error:
        explained = _explained(error, error.details, graph)
        if explained is error:
            raise
        raise explained from error


def _explained(error: TargetError, lines: tuple[str, ...], graph: Graph) -> TargetError:
    kinds = [OPERATORS[int(found[1])] for line in lines if (found := _UNSUPPORTED.search(line))]
    for operator, layer in zip(graph.main.operators, layer_names(graph.main), strict=True):
        if operator.kind in kinds:
            problem = f"the plugin does not take {operator.kind} as the layer '{layer}' has it"
            return TargetError(problem, details=error.details, fix="convert with the recipe int8 or float16")
    words = [line for line in lines if "Exception" in line or "ERROR" in line or "is supported only" in line]
    return TargetError(error.message, details=error.details or words[:6], fix=error.fix) if words else error


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
            return OpenVinoTarget(ahead=bool(chip))
        if chip not in vendor.chips:
            known = [f"npu:{name}:{each}" for each in vendor.chips]
            if not chip:
                raise TargetError(f"'npu:{name}' is no target without a chip", fix=f"choose from: {', '.join(known)}")
            raise TargetError(f"there is no chip '{chip}' of {name}", fix=suggestion(f"npu:{name}:{chip}", known))
        return NpuTarget(vendor, chip)


OPENVINO = OpenVinoTarget()
NPU = NpuFamily()
