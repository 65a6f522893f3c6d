"""LiteRT's compiler for NPUs, run on a model: the vendor's file, and errors that name the layer they are about."""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from edgeres.errors import ArtifactError, TargetError
from edgeres.results import Operators
from targets.flatbuffer import walk
from targets.graph import Graph
from targets.layer_names import layer_names
from targets.runtimes.npu_vendors import Vendor
from targets.sandbox import Limits, Sandbox
from targets.schema import OPERATORS

_COMPILER = "targets.runtimes.npu_engine:Compiler"
_DISPATCH = "DISPATCH_OP"
_UNSUPPORTED = re.compile(r"op type (\d+) is not supported")


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
        told = explained(error, error.details, graph)
        if told is error:
            raise
        raise told from error


def explained(error: TargetError, lines: tuple[str, ...], graph: Graph) -> TargetError:
    """The error by the layer that a plugin's `lines` are about, or with their words; itself where they say nothing."""
    kinds = [OPERATORS[int(found[1])] for line in lines if (found := _UNSUPPORTED.search(line))]
    for operator, layer in zip(graph.main.operators, layer_names(graph.main), strict=True):
        if operator.kind in kinds:
            problem = f"the plugin does not take {operator.kind} as the layer '{layer}' has it"
            return TargetError(problem, details=error.details, fix="convert with the recipe int8 or float16")
    words = [line for line in lines if "Exception" in line or "ERROR" in line or "is supported only" in line]
    return TargetError(error.message, details=error.details or words[:6], fix=error.fix) if words else error
