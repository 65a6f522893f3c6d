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
from targets.runtimes.profiler_engine import Event
from targets.sandbox import Limits, Sandbox
from targets.stats import quantile

ENGINE = "targets.runtimes.profiler_engine:Engine"
MIN_RUNS, SECONDS = 30, 0.5
_CUT_MS = 0.0005


def time_operators(model: bytes, *, threads: int = 1, limits: Limits | None = None) -> OperatorTimes:
    """Run a model in a process of its own with LiteRT's profiler on, on the processor through XNNPACK.

    Raises:
        ArtifactError: the bytes are not a well-formed flatbuffer.
        TargetError: the runtime has no such profiler, refuses the model, or dies on it.
    """
    graph = walk(model).main
    if calling := next((operator.kind for operator in graph.operators if operator.calls), None):
        raise TargetError(f"operators cannot be timed where one of them, {calling}, runs others")
    with Sandbox(ENGINE, limits=limits) as sandbox, machine_lock():
        sandbox.call("load", model, arguments={"threads": threads})
        values, blobs = sandbox.call("measure", arguments={"runs": MIN_RUNS, "seconds": SECONDS})
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
    each = tuple(
        OperatorTime(
            index=place,
            kind=operator.kind,
            layer=layer,
            delegated=place not in undelegated,
            time_ms=_median(per_operator[:, place], events=owners.count(place)),
            activation_bytes=sum(graph.tensors[index].size_bytes for index in operator.outputs),
            weight_bytes=_weight_bytes(graph, operator),
        )
        for place, (operator, layer) in enumerate(zip(graph.operators, layer_names(graph), strict=True))
    )
    return OperatorTimes(
        runs=len(times),
        total_ms=quantile(times[:, 0].tolist(), 0.5),
        sum_ms=quantile(times[:, 1:].sum(axis=1).tolist(), 0.5),
        each=each,
    )


def _median(times: NDArray[np.float64], *, events: int) -> Estimate:
    """The median over runs; its interval is no narrower than what the clock cuts off of so many events."""
    found, cut = quantile(times.tolist(), 0.5), events * _CUT_MS
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
