"""Arm's Ethos-U NPUs (`ethosu:u55-256` and others): compiled with Vela, which estimates what a run would take.

There is no such device here, and none is simulated: cycles and time are the compiler's own performance model. See
`ethosu_engine.py` for the child's side.
"""

from __future__ import annotations

import importlib.util
import math
import re
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import NoReturn

from edgeres.errors import TargetError, suggestion
from edgeres.results import CompilerEstimate, Memory, Operators
from targets.graph import Graph, Operator
from targets.layer_names import layer_names
from targets.runtimes.session import classifier_graph
from targets.sandbox import Limits, Sandbox
from targets.target import Availability, Compilation, parse_options, require_available

CONFIGURATIONS = {
    **dict.fromkeys(("u55-32",), 4),
    **dict.fromkeys(("u55-64", "u55-128", "u55-256", "u65-256", "u65-512"), 8),
    **dict.fromkeys(("u85-128", "u85-256", "u85-512", "u85-1024", "u85-2048"), 16),
}
"""NPU and its multiply-accumulates a cycle -> the channels of its output that it computes at a time."""

_ENGINE = "targets.runtimes.ethosu_engine:Engine"
_LEFT = "Passthrough"
"""What Vela calls an operator that it leaves to the CPU."""

_OPTIONS = ("system-config", "memory-mode", "config")
"""Of Vela's command line: names of sections of a configuration file, and such a file; Vela's own one by default."""

_USAGE = "ethosu:CONFIG?system-config=NAME&memory-mode=NAME&config=FILE"

_REFUSED = re.compile(r"Warning \(supported operators\) operator: \w+, ofm: '(.*)'")
"""Names the tensor that the operator writes; the reason is in the two lines that follow."""


@dataclass(frozen=True)
class EthosUTarget:
    """One configuration: `configuration` is a name of `CONFIGURATIONS`; `options`: of `_OPTIONS`, in their order."""

    configuration: str
    options: tuple[tuple[str, str], ...] = ()
    kind: str = "npu"
    timed: bool = False
    here: bool = False
    tolerance: None = None

    @property
    def name(self) -> str:
        """As it is asked for: `ethosu:u55-256`."""
        options = "&".join(f"{key}={value}" for key, value in self.options)
        return f"ethosu:{self.configuration}?{options}" if options else f"ethosu:{self.configuration}"

    @property
    def multiple(self) -> int:
        """See `targets.target.Target`."""
        return CONFIGURATIONS[self.configuration]

    def check(self) -> Availability:
        """Whether the compiler and the configuration file are there; nothing native is imported."""
        file = dict(self.options).get("config")
        if file is not None and not Path(file).is_file():
            return Availability(available=False, why=f"there is no file {file}", fix="give the path of a vela.ini")
        return ETHOSU.check()

    def open(self, model: bytes, *, threads: int = 1) -> NoReturn:  # noqa: ARG002 - nothing is opened
        """Always an error.

        Raises:
            TargetError: a model is compiled for it, and runs on a device.
        """
        raise TargetError(
            f"'{self.name}' compiles a model and does not run it: it has no accuracy to give",
            fix="profile on it; evaluate with --target reference",
        )

    def compile(self, model: bytes, *, limits: Limits | None = None) -> Compilation:
        """Compile a model from its bytes in a child process.

        Raises:
            ArtifactError: the bytes are not a well-formed flatbuffer.
            ModelError: it does not map one image to one row of scores.
            TargetError: Vela is not installed, dies on the model, or finds nothing in it that the NPU could run.
        """
        graph = classifier_graph(model)
        require_available(self)
        accelerator = f"ethos-{self.configuration}"
        with tempfile.TemporaryDirectory(prefix="edgeres-vela-") as folder, Sandbox(_ENGINE, limits=limits) as sandbox:
            files = {key: str(Path(value).resolve()) for key, value in self.options if key == "config"}
            arguments = {"accelerator": accelerator, "folder": folder, "options": {**dict(self.options), **files}}
            values, (file,) = sandbox.call("compile", model, arguments=arguments)
        operators = _split(graph, values["layers"], f"Ethos-{self.configuration.upper()}")
        if not operators.delegated:
            raise _nothing_delegated(self.configuration, graph, values["lines"])
        compiler = str(self.check().version)
        estimate = _estimate(values["summary"], compiler)
        sram = estimate.sram_bytes
        memory = Memory(sram, sram, graph.arena_bytes)
        return Compilation(
            file, compiler, {"accelerator": accelerator, **dict(self.options)}, operators, memory, estimate
        )


@dataclass(frozen=True)
class EthosUFamily:
    """All configurations."""

    usage: str = "ethosu:CONFIG"
    kind: str = "npu"

    def check(self) -> Availability:
        """Whether the compiler is there; nothing native is imported."""
        if importlib.util.find_spec("ethosu") is None:
            why = "the package ethos-u-vela is not installed"
            return Availability(available=False, why=why, fix="pip install 'edgeres[ethosu]'")
        return Availability(available=True, version=f"ethos-u-vela {metadata.version('ethos-u-vela')}")

    def member(self, argument: str) -> EthosUTarget:
        """The NPU of that configuration, in the system that options behind `?` name.

        Raises:
            TargetError: there is none, with the nearest match; an option that Vela does not take so.
        """
        argument, _, text = argument.partition("?")
        if argument not in CONFIGURATIONS:
            known = [f"ethosu:{name}" for name in CONFIGURATIONS]
            if not argument:
                raise TargetError(
                    "'ethosu' is no target without a configuration", fix=f"choose from: {', '.join(known)}"
                )
            raise TargetError(
                f"there is no Ethos-U configuration '{argument}'", fix=suggestion(f"ethosu:{argument}", known)
            )
        return EthosUTarget(argument, _options(text))


ETHOSU = EthosUFamily()


def _options(text: str) -> tuple[tuple[str, str], ...]:
    options = parse_options(text, usage=_USAGE)
    names = [name for name, _ in options]
    for name in names:
        if name not in _OPTIONS:
            raise TargetError(f"ethosu has no option '{name}'", fix=suggestion(name, _OPTIONS))
    if len({*names}) < len(names):
        raise TargetError(f"an option is given twice: {text}", fix=f"--target {_USAGE}")
    if "config" in names and len(names) < len(_OPTIONS):
        raise TargetError("Vela takes a 'config' only with a system-config and a memory-mode of it", fix=_USAGE)
    return options


def _split(graph: Graph, layers: Sequence[dict[str, str]], delegate: str) -> Operators:
    """Which of the file's operators Vela leaves to the CPU: it names them by the tensor that they write."""
    left = {row["Name"] for row in layers if row["NNG Operator"] == _LEFT}
    operators = graph.main.operators
    kinds = Counter(each.kind for each in operators if left.intersection(_written(graph, each)))
    delegated = len(operators) - kinds.total()
    return Operators(len(operators), delegated, delegate if delegated else None, graph.kinds, dict(kinds.most_common()))


def _written(graph: Graph, operator: Operator) -> set[str]:
    return {graph.main.tensors[index].name for index in operator.outputs}


def _estimate(summary: dict[str, str], compiler: str) -> CompilerEstimate:
    def figure(name: str) -> float:
        value = float(summary[name])
        if not math.isfinite(value) or value < 0:
            raise TargetError(f"Vela reports {name} as {summary[name]}", fix="update ethos-u-vela")
        return value

    def kibibytes(*names: str) -> int:
        return round(1024 * sum(map(figure, names)))

    return CompilerEstimate(
        compiler=compiler,
        system=f"{summary['system_config']}, {summary['memory_mode']}",
        clock_hz=figure("core_clock"),
        cycles=round(figure("cycles_total")),
        npu_cycles=round(figure("cycles_npu")),
        inference_ms=1000 * figure("inference_time"),
        sram_bytes=kibibytes("sram_memory_used"),
        dram_bytes=kibibytes("dram_memory_used"),
        flash_bytes=kibibytes("on_chip_flash_memory_used", "off_chip_flash_memory_used"),
        macs=round(figure("nn_macs")),
    )


def _nothing_delegated(configuration: str, graph: Graph, lines: Sequence[str]) -> TargetError:
    """The error for a model of which the NPU runs nothing: the first operator that Vela refuses, and its reason."""
    reasons = {
        found[1]: " ".join(lines[place + 1 : place + 3]).removeprefix("Reason: ").strip()
        for place, line in enumerate(lines)
        if (found := _REFUSED.match(line))
    }
    details = [
        f"layer '{layer}' ({operator.kind}): {reasons[name]}"
        for layer, operator in zip(layer_names(graph.main), graph.main.operators, strict=True)
        for name in _written(graph, operator) & reasons.keys()
    ]
    return TargetError(
        f"the Ethos-{configuration.upper()} runs no operator of this model",
        details=details[:1],
        fix="convert with the recipe int8: it computes with integers alone",
    )
