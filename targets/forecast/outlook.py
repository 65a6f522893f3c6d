"""Forecasts for several targets: asked for by name, made from a file's bytes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from edgeres.errors import TargetError
from edgeres.registry import lookup
from targets.flatbuffer import walk
from targets.forecast import ALL, FORECASTS
from targets.forecast.rules import Blocked
from targets.forecast.view import Node, nodes
from targets.graph import Graph

Verdict = Literal["runs", "in part", "refused", "wrong"]


@dataclass(frozen=True)
class Forecast:
    """What a target would do with a model.

    `verdict`: `runs`; `in part`, where an accelerator leaves operators to the processor; `refused`; `wrong`, where it
    runs and is known to compute something else. `taken` of `operators` that the target's fast part takes. `blocked`:
    what it does not take, in the order in which it runs; the first is what stops it. `note`: what to know besides.
    """

    target: str
    verdict: Verdict
    operators: int
    taken: int
    blocked: tuple[Blocked, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Model:
    """A file as forecasters look at it."""

    graph: Graph
    nodes: tuple[Node, ...]


Forecaster = Callable[[Model, str], Forecast]
"""Of a model and the target's whole name."""


def forecast(model: bytes, names: Sequence[str] = ("all",)) -> tuple[Forecast, ...]:
    """A forecast for each of the named targets; `all` stands for every one that there are rules for.

    Raises:
        ArtifactError: the bytes are not a well-formed flatbuffer.
        TargetError: a name without rules, with the nearest match.
    """
    wanted = [one for name in names for one in (ALL if name == "all" else (name,))]
    makers = {name: _forecaster(name) for name in dict.fromkeys(wanted)}
    graph = walk(model)
    seen = Model(graph, nodes(graph))
    return tuple(make(seen, name) for name, make in makers.items())


def _forecaster(name: str) -> Forecaster:
    found: Forecaster = lookup(FORECASTS, name.partition(":")[0], noun="target to forecast", error=TargetError)
    return found


def judged(model: Model, name: str, blocked: tuple[Blocked, ...], *, stops: bool, note: str = "") -> Forecast:
    """A forecast by what is blocked: refused where any `stops` the model, or all are; else in part, or runs."""
    count = len(model.nodes)
    verdict: Verdict = "runs"
    if blocked:
        verdict = "refused" if stops or len(blocked) == count else "in part"
    return Forecast(name, verdict, count, 0 if verdict == "refused" else count - len(blocked), blocked, note)
