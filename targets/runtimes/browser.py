"""A browser (`browser`, `browser:webgpu`): LiteRT.js in headless Chromium, by WebAssembly or by WebGPU.

`browser:webgpu` runs on SwiftShader, a GPU in software: it says what a GPU in a browser computes, and nothing of time.
See `browser_engine.py` for the child's side, `page/measure.js` for the page's.
"""

from __future__ import annotations

import json
import os
import resource
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgeres.errors import ConfigError, ModelError, TargetError, suggestion
from edgeres.results import Operators
from targets.flatbuffer import walk
from targets.forecast.browser import KINDS, refused_ports
from targets.forecast.gpu import shortcuts
from targets.forecast.outlook import Model
from targets.forecast.view import nodes
from targets.graph import Graph
from targets.runtimes import devtools
from targets.runtimes.cpu import check_threads
from targets.runtimes.peer import ports
from targets.runtimes.session import EngineSession, classifier_graph
from targets.sandbox import Limits
from targets.target import Availability, Fault, Tolerance, require_available

MODULES = "EDGERES_LITERTJS"
"""The environment variable with the folder node_modules that LiteRT.js was installed into."""

_ENGINE = "targets.runtimes.browser_engine:Engine"
_PACKAGES = ("core", "wasm-utils")
_INSTALL = f"npm install @litertjs/core, here or in a folder whose node_modules {MODULES} names"
_SOFTWARE_GPU = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--enable-features=Vulkan"]
_WITHOUT_GPU = ["--disable-gpu"]

_TOLERANCES = {"wasm": Tolerance(steps=8, share=1e-3), "webgpu": Tolerance(steps=8, share=2e-2)}
"""XNNPACK's kernels are not the reference's; GPUs compute floats in float16."""


@dataclass(frozen=True)
class BrowserTarget:
    """`accelerator`: of LiteRT.js, `wasm` or `webgpu`."""

    name: str
    accelerator: str
    timed: bool
    kind: str = "browser"
    multiple: int = 8

    @property
    def tolerance(self) -> Tolerance | None:
        """Of its accelerator."""
        return _TOLERANCES[self.accelerator]

    def check(self) -> Availability:
        """Whether a browser and LiteRT.js are there; nothing is started."""
        return BROWSER.check()

    def open(self, model: bytes, *, threads: int = 1, limits: Limits | None = None) -> BrowserSession:
        """Load a model in a page.

        Raises:
            ArtifactError: the bytes are not a well-formed flatbuffer.
            ModelError: it does not map one image to one row of scores, or its ends are none that LiteRT.js takes.
            ConfigError: a number of threads out of range, or several on WebGPU.
            TargetError: no browser or LiteRT.js; the page fails on the model.
        """
        check_threads(threads)
        if threads > 1 and self.accelerator != "wasm":
            raise ConfigError(f"'{self.name}' has no threads to choose, found {threads}", fix="leave out --threads")
        graph = classifier_graph(model)
        require_available(self)
        _require_ports(graph)
        return BrowserSession(model, graph, self.accelerator, threads=threads, limits=limits)

    def faults(self, model: bytes) -> tuple[Fault, ...]:
        """On WebGPU strided 1x1 convolutions with integer weights: no integers go into a page, to run one by itself."""
        if self.accelerator != "webgpu":
            return ()
        graph = walk(model)
        found = shortcuts(Model(graph, nodes(graph)))
        return tuple(Fault(f"known fault in the layer '{each.layer}': {each.reason}", each.fix) for each in found)


class BrowserSession(EngineSession):
    """A model in a page; see `targets.target.Session`."""

    def __init__(self, model: bytes, graph: Graph, accelerator: str, *, threads: int, limits: Limits | None) -> None:
        self._profile = tempfile.TemporaryDirectory(prefix="edgeres-browser-", ignore_cleanup_errors=True)
        self._accelerator = accelerator
        arguments = {
            "executable": devtools.executable(),
            "profile": self._profile.name,
            "modules": str(modules()),
            "switches": _SOFTWARE_GPU if accelerator == "webgpu" else _WITHOUT_GPU,
            "accelerator": accelerator,
            "threads": threads,
            "ports": ports(graph),
        }
        # A browser reserves far more address space than it uses, and limits its pages itself.
        boundless = replace(limits or Limits(), memory_bytes=resource.RLIM_INFINITY)
        try:
            super().__init__(_ENGINE, model, graph, arguments=arguments, limits=boundless)
        except BaseException:
            self._profile.cleanup()
            raise
        try:
            self._about, _ = self._sandbox.call("about")
            if accelerator == "webgpu" and not self._about["accelerated"]:
                problem = "the browser's GPU runs this model in part only: what is measured would be the processor, too"
                raise TargetError(problem, fix="use --target browser")
        except BaseException:
            self.close()
            raise

    @property
    def process_id(self) -> int:
        """Of the page's process."""
        return int(self._about["process"])

    @property
    def clock_ms(self) -> float:
        """The smallest step of the clock that runs are timed with."""
        return float(self._about["clock_ms"])

    def time(self, *, runs: int, seconds: float) -> list[float]:
        """Run at least `runs` times and for at least `seconds`; milliseconds, from the input in the page to the scores.

        Raises:
            TargetError: on WebGPU, whose GPU is software here; the process died, or did not answer in time.
        """
        if self._accelerator == "webgpu":
            raise TargetError(
                "'browser:webgpu' has no latency here: its GPU is software", fix="time it with --target browser"
            )
        return super().time(runs=runs, seconds=seconds)

    def operators(self) -> Operators:
        """LiteRT.js does not tell what XNNPACK takes; a model that WebGPU does not take whole is refused."""
        kinds = self._graph.kinds
        count = len(self._graph.main.operators)
        if self._accelerator == "webgpu":
            return Operators(count, count, delegate=f"WebGPU on {self._about['adapter']}", kinds=kinds, left={})
        return Operators(count, 0, kinds=kinds)

    def close(self) -> None:
        """End the browser."""
        super().close()
        self._profile.cleanup()


@dataclass(frozen=True)
class BrowserFamily:
    """Both ways."""

    usage: str = "browser[:webgpu]"
    kind: str = "browser"

    def check(self) -> Availability:
        """Whether a browser and LiteRT.js are there; nothing is started."""
        if devtools.executable() is None:
            fix = f"install it (apt install chromium), or name one: {devtools.NAMED}=PATH"
            return Availability(available=False, why="Chromium is not installed", fix=fix)
        if (found := modules()) is None:
            return Availability(available=False, why="LiteRT.js is not installed", fix=_INSTALL)
        return Availability(available=True, version=f"LiteRT.js {_version(found)}")

    def member(self, argument: str) -> BrowserTarget:
        """WebAssembly, or what is named.

        Raises:
            TargetError: neither.
        """
        name = f"browser:{argument}" if argument else "browser"
        if name not in KINDS:
            raise TargetError(f"there is no target '{name}'", fix=suggestion(name, KINDS))
        if argument:
            return BrowserTarget(name, "webgpu", timed=False)
        return BrowserTarget(name, "wasm", timed=True)


def modules() -> Path | None:
    """The folder @litertjs with the package core: where `MODULES` says, else of this folder or those above it."""
    named = os.environ.get(MODULES)
    here = Path.cwd()
    places = [Path(named)] if named else [folder / "node_modules" for folder in (here, *here.parents)]
    found = (place / "@litertjs" for place in places)
    return next((one for one in found if all((one / name / "package.json").is_file() for name in _PACKAGES)), None)


def _version(found: Path) -> str:
    try:
        read: Any = json.loads((found / "core" / "package.json").read_text(encoding="utf-8"))
        return str(read["version"])
    except (OSError, ValueError, KeyError, TypeError):
        return "of unknown version"


def _require_ports(graph: Graph) -> None:
    refused = refused_ports(Model(graph, ()))
    if refused:
        raise ModelError(refused[0].reason, details=[each.reason for each in refused[1:]], fix=refused[0].fix)


BROWSER = BrowserFamily()
