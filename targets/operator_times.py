"""How long each operator takes, by the runtime's own profiler; apart from the rounds of latency, which it slows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from edgeres.errors import TargetError
from edgeres.records import decode
from edgeres.results import Estimate, OperatorTime, OperatorTimes
from targets.alignment import align
from targets.flatbuffer import walk
from targets.graph import Operator, Subgraph
from targets.layer_names import layer_names
from targets.lock import machine_lock
from targets.runtimes.cpu import CPU, CpuTarget
from targets.runtimes.profiler_engine import Event
from targets.sandbox import Limits, Sandbox
from targets.stats import quantile

ENGINE = "targets.runtimes.profiler_engine:Engine"
MIN_RUNS, MAX_RUNS, SECONDS = 30, 300, 0.5
_CUT_MS, _DECIMALS = 0.0005, 4
"""What the clock cuts off on average; times are kept to a tenth of a microsecond."""


def time_operators(
    model: bytes, *, target: CpuTarget = CPU, threads: int = 1, limits: Limits | None = None
) -> OperatorTimes:
    """Run a model in a process of its own with LiteRT's profiler on, on the kernels of a target of the processor's.

    Raises:
        ArtifactError: the bytes are not a well-formed flatbuffer.
        TargetError: the runtime has no such profiler, refuses the model, or dies on it.
    """
    graph = walk(model).main
    if calling := next((operator.kind for operator in graph.operators if operator.calls), None):
        raise TargetError(f"operators cannot be timed where one of them, {calling}, runs others")
    with Sandbox(ENGINE, limits=limits) as sandbox, machine_lock():
        sandbox.call("load", model, arguments={"resolver": target.resolver, "threads": threads})
        values, blobs = sandbox.call("measure", arguments={"runs": MIN_RUNS, "most": MAX_RUNS, "seconds": SECONDS})
    events = [
        decode(Event, event, where="the runtime's answer", error=TargetError) for event in values.get("events", ())
    ]
    times = np.frombuffer(blobs[0], "<f8").reshape(-1, 1 + len(events))
    return summarize(graph, events, times)


def summarize(graph: Subgraph, events: Sequence[Event], times: NDArray[np.float64]) -> OperatorTimes:
    """The times of the file's operators, of those of the events of each run; float64 (runs, 1 + events) milliseconds.

    The first column is a whole run without the profiler. An operator that the delegate has joined with another has no
    time of its own.
    """
    owners = _owners(graph, events)
    undelegated = {event.node for event in events}
    per_operator = np.zeros((len(times), len(graph.operators)))
    for column, owner in enumerate(owners, start=1):
        per_operator[:, owner] += times[:, column]
    runs = [tuple(round(value, _DECIMALS) for value in column) for column in per_operator.T.tolist()]
    each = tuple(
        OperatorTime(
            index=place,
            kind=operator.kind,
            layer=layer,
            delegated=place not in undelegated,
            time_ms=_median(runs[place], events=owners.count(place)),
            activation_bytes=sum(graph.tensors[index].size_bytes for index in operator.outputs),
            weight_bytes=_weight_bytes(graph, operator),
            events=owners.count(place),
            runs_ms=runs[place],
        )
        for place, (operator, layer) in enumerate(zip(graph.operators, layer_names(graph), strict=True))
    )
    return _together(each, tuple(round(value, _DECIMALS) for value in times[:, 0].tolist()))


def again(timed: OperatorTimes) -> OperatorTimes:
    """The same, computed anew from the runs that it keeps."""
    each = tuple(replace(one, time_ms=_median(one.runs_ms, events=one.events)) for one in timed.each)
    return _together(each, timed.totals_ms)


def _together(each: tuple[OperatorTime, ...], totals_ms: tuple[float, ...]) -> OperatorTimes:
    sums = [sum(run) for run in zip(*(one.runs_ms for one in each), strict=True)]
    return OperatorTimes(
        runs=len(totals_ms),
        total_ms=quantile(totals_ms, 0.5),
        sum_ms=quantile(sums, 0.5),
        each=each,
        totals_ms=totals_ms,
    )


def _median(times: Sequence[float], *, events: int) -> Estimate:
    """The median over runs; its interval is no narrower than what the clock cuts off of so many events."""
    found, cut = quantile(times, 0.5), events * _CUT_MS
    method = f"{found.method}; widened by the half microsecond that the clock cuts off"
    return replace(found, low=max(0.0, found.low - cut), high=found.high + cut, method=method)


def by_kind(times: OperatorTimes) -> dict[str, float]:
    """Milliseconds of all operators of a kind together, the most first."""
    found: dict[str, float] = {}
    for operator in times.each:
        found[operator.kind] = found.get(operator.kind, 0.0) + operator.time_ms.value
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def _owners(graph: Subgraph, events: Sequence[Event]) -> list[int]:
    """For each event the operator that its time belongs to."""
    ran = {event.node for event in events}
    if any(node >= len(graph.operators) for node in ran):
        raise TargetError("the runtime's profiler names operators that the file does not have")
    taken = [place for place in range(len(graph.operators)) if place not in ran]
    inner = [event.name for event in events if event.node < 0]
    places = iter(align(inner, [graph.operators[place].kind for place in taken]))
    if inner and not taken:
        raise TargetError("the runtime's profiler names operators of a delegate that took none")
    return [taken[next(places)] if event.node < 0 else event.node for event in events]


def _weight_bytes(graph: Subgraph, operator: Operator) -> int:
    """Of its constants, as the file stores them."""
    return sum(graph.tensors[index].constant_bytes for index in operator.inputs if index >= 0)
