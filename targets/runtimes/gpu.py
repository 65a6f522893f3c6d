"""The GPU of this machine (`gpu`): LiteRT's WebGPU accelerator, which finds it through Vulkan on Linux.

A driver that computes on the CPU (SwiftShader, which comes with Chromium) shows what a GPU would compute; its time is
no GPU's, and is not measured. See `gpu_engine.py` for the child's side.
"""

from __future__ import annotations

import importlib.util
import os
import re
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from itertools import takewhile
from pathlib import Path

from edgeres.errors import ConfigError, TargetError
from edgeres.results import Operators
from targets.graph import Graph
from targets.layer_names import layer_names
from targets.lone_operator import difference
from targets.pointwise import strided_1x1
from targets.runtimes.compiled import CompiledSession, scalings
from targets.runtimes.session import classifier_graph
from targets.sandbox import Limits, Sandbox
from targets.target import Availability, Fault, Tolerance, require_available

_ENGINE = "targets.runtimes.gpu_engine:Engine"
_LIBRARY = "libLiteRtWebGpuAccelerator.so"
_DRIVER_FILES = ("VK_DRIVER_FILES", "VK_ICD_FILENAMES")
"""Environment variables with the paths of Vulkan drivers, for the loader to use these alone."""

_ADAPTER = re.compile(r"Selected adapter: (.*?), arch=.*?adapterType=(.*)")
_LACKS = re.compile(r"Warning: Vulkan (.*) required")
_LIST = "Following operations are not supported by GPU delegate:"
_REFUSED = re.compile(r"([A-Z][A-Z0-9_]+):\s?(.*)")
"""Kind and reason; the DEQUANTIZE of float16 weights stand there without a reason, and are none."""

_SOFTWARE = "CPU"
_PROBE = Limits(seconds=60)

_DRIVER = (
    "install the GPU's Vulkan driver; without a GPU, to check function alone: apt-get install chromium libvulkan1, "
    "VK_DRIVER_FILES=/usr/lib/chromium/vk_swiftshader_icd.json"
)

_TOLERANCE = Tolerance(steps=8, share=2e-2)
"""GPUs compute floats in float16 where they can."""

_LONE_STEPS, _LONE_SHARE = 2.0, 2e-2
"""How far a single operator may be from the reference kernels: in quantization steps, or as a share of its output."""

STRIDED_1X1 = "known fault of the WebGPU delegate: strided 1x1 convolution in int8, CONV_2D of"
_FIX = (
    "convert with the recipe float16, which GPUs compute right, or with --set export.shortcuts=3x3, which embeds the "
    "1x1 kernels in 3x3 ones (docs/targets.md#gpu)"
)


@dataclass(frozen=True)
class Adapter:
    """What the runtime found: the GPU as its driver names it; `software` where that is this machine's processor."""

    name: str
    software: bool

    def __str__(self) -> str:
        return f"{self.name}, software: functional only" if self.software else self.name


@dataclass(frozen=True)
class GpuTarget:
    """`multiple`: see `targets.target.Target`; the delegate's kernels hold channels in vectors of 4."""

    name: str = "gpu"
    kind: str = "gpu"
    multiple: int = 4
    tolerance: Tolerance | None = _TOLERANCE

    @property
    def timed(self) -> bool:
        """Whether there is a GPU; a software adapter's time is no GPU's."""
        found = adapter()
        return isinstance(found, Adapter) and not found.software

    def check(self) -> Availability:
        """Whether the runtime finds an adapter, as it says in a child process; asked once."""
        package = importlib.util.find_spec("ai_edge_litert")
        if package is None or not package.submodule_search_locations:
            return Availability(
                available=False, why="ai-edge-litert is not installed", fix="pip install ai-edge-litert"
            )
        version = f"ai-edge-litert {metadata.version('ai-edge-litert')}"
        if not (Path(package.submodule_search_locations[0]) / _LIBRARY).is_file():
            why = f"{version} has no WebGPU accelerator for this system"
            return Availability(available=False, version=version, why=why, fix="pip install -U ai-edge-litert")
        found = adapter()
        if isinstance(found, str):
            return Availability(available=False, version=version, why=found, fix=_fix(found))
        why = "wrong in int8 where a model has strided 1x1 convolutions"
        return Availability(available=True, version=f"{version} on {found}", why=why, fix=_FIX)

    def runs_on(self) -> str:
        """The adapter, as the runtime selected it.

        Raises:
            TargetError: there is none.
        """
        found = adapter()
        if isinstance(found, str):
            raise TargetError(f"the target 'gpu' cannot run here: {found}", fix=_fix(found))
        return str(found)

    def open(self, model: bytes, *, threads: int = 1, limits: Limits | None = None) -> GpuSession:
        """Compile a model from its bytes for the GPU alone, in a child process.

        Raises:
            ArtifactError: the bytes are not a well-formed flatbuffer.
            ModelError: it does not map one image to one row of scores.
            ConfigError: more than one thread.
            TargetError: there is no adapter; an operator that the GPU does not run, which is named with its layer.
        """
        if threads != 1:
            raise ConfigError(f"a GPU has no --threads, found {threads}", fix="leave out --threads")
        graph = classifier_graph(model)
        require_available(self)
        return GpuSession(_ENGINE, model, graph, arguments=scalings(graph), limits=limits)

    def faults(self, model: bytes) -> tuple[Fault, ...]:
        """Strided 1x1 convolutions with integer weights that are found to be computed wrong, each run by itself."""
        graph = classifier_graph(model)
        names, wrong = layer_names(graph.main), []
        for place in suspects(graph):
            apart, integers = difference(model, place, engine=_ENGINE), _writes_integers(graph, place)
            if not apart <= (_LONE_STEPS if integers else _LONE_SHARE):
                by = f"{apart:.0f} steps" if integers else f"{100 * apart:.0f} % of its largest output"
                wrong.append(f"the layer '{names[place]}' (by itself off by {by})")
        return (Fault(f"{STRIDED_1X1} {' and '.join(wrong)}", _FIX),) if wrong else ()


class GpuSession(CompiledSession):
    """A model of which the GPU runs every operator; see `targets.target.Session`."""

    def operators(self) -> Operators:
        """All of them are the GPU's: asked for the GPU alone, the runtime refuses a model of which it leaves any."""
        nodes = len(self._graph.main.operators)
        return Operators(nodes, nodes, f"WebGPU on {GPU.runs_on()}", self._graph.kinds, {})

    def explained(self, error: TargetError, lines: tuple[str, ...]) -> TargetError:
        """The first operator that the GPU does not run, by its layer, and the reason that the delegate wrote."""
        start = next((place for place, line in enumerate(lines) if line.endswith(_LIST)), len(lines))
        listed = [found for found in takewhile(bool, map(_REFUSED.fullmatch, lines[start + 1 :])) if found]
        reasons = [found.groups() for found in listed if found[2]]
        blocked = _first_blocked(self._graph, reasons)
        if blocked is None:
            return error
        place, reason = blocked
        kind, layer = self._graph.main.operators[place].kind, layer_names(self._graph.main)[place]
        return TargetError(
            f"the GPU does not run {kind} as the layer '{layer}' has it: {reason}",
            details=[f"{kind}: {reason}" for kind, reason in reasons[:5]],
            fix="convert with the recipe float16, which GPUs run whole, or use --target cpu",
        )


def suspects(graph: Graph) -> list[int]:
    """The places of operators that the delegate was found to compute wrong: strided 1x1 convolutions of integers."""
    return [place for place in strided_1x1(graph.main) if _weights(graph, place).startswith("int")]


def _weights(graph: Graph, place: int) -> str:
    return graph.main.tensors[graph.main.operators[place].inputs[1]].dtype


def _writes_integers(graph: Graph, place: int) -> bool:
    return graph.main.tensors[graph.main.operators[place].outputs[0]].dtype.startswith("int")


def _first_blocked(graph: Graph, reasons: list[tuple[str, ...]]) -> tuple[int, str] | None:
    """The place of the first operator that the delegate's lines are about, and its reason.

    A line begins with the operator's kind, and ends with the name of a tensor of it where that is the reason.
    """
    tensors = graph.main.tensors
    exact = about = None
    for place, operator in enumerate(graph.main.operators):
        for kind, reason in reasons:
            if kind != operator.kind:
                continue
            names = [tensors[index].name for index in (*operator.inputs, *operator.outputs) if index >= 0]
            named = next((name for name in names if name and reason.endswith(f" {name}")), None)
            if named and exact is None:
                exact = place, reason.removesuffix(f" {named}")
            about = about or (place, reason)
    return exact or about


@lru_cache(maxsize=8)
def _adapter(drivers: tuple[str | None, ...]) -> Adapter | str:
    """`drivers`: the environment that the answer depends on. The adapter, or why there is none."""
    for path in filter(None, os.pathsep.join(filter(None, drivers)).split(os.pathsep)):
        if not Path(path).exists():
            return f"there is no Vulkan driver file {path}, as VK_DRIVER_FILES says"
    with Sandbox(_ENGINE, limits=_PROBE) as sandbox:
        try:
            sandbox.call("probe")
        except TargetError as error:
            return _why(sandbox.lines(), error)
        for line in sandbox.lines():
            if found := _ADAPTER.search(line):
                return Adapter(found[1], found[2].strip().startswith(_SOFTWARE))
    return "the runtime does not say which adapter it selected"


def adapter() -> Adapter | str:
    """The adapter that the runtime selects, asked in a child process once, or why there is none."""
    return _adapter(tuple(os.environ.get(name) for name in _DRIVER_FILES))


def _why(lines: tuple[str, ...], error: TargetError) -> str:
    text = "\n".join(lines)
    if "libvulkan.so" in text:
        return "there is no Vulkan loader (libvulkan.so.1)"
    if found := _LACKS.search(text):
        return f"no Vulkan adapter: the driver that is there lacks {found[1]}"
    if "No adapters found" in text:
        return "no Vulkan adapter: no driver for a GPU is there"
    return error.message


def _fix(why: str) -> str:
    if "loader" in why:
        return "apt-get install libvulkan1 (Debian, Ubuntu), and the GPU's Vulkan driver"
    return _DRIVER


GPU = GpuTarget()
