"""What changed between two results: of two commits, two devices, or two days.

Accuracy is compared image by image where both saw the same images. Times of two results never ran in the same rounds:
of one machine they are set side by side, of two machines they are not comparable, and no ratio is given.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from edgeres.records import encode
from edgeres.results import MACHINE, ArtifactResult, DataRecord, Estimate, Result
from targets.paired import accuracy_drop, mcnemar, pairs

SCHEMA = "edgeres.comparison/1"

PASSING = ("load",)
"""What differs from minute to minute."""

Basis = Literal["exact", "paired", "side by side", "not comparable"]


@dataclass(frozen=True)
class Change:
    """Something of the machine, the software or the data that differs; None where one result does not have it."""

    what: str
    before: Any
    after: Any


@dataclass(frozen=True)
class Row:
    """One figure of an artifact in both results, and what may be concluded.

    `basis`: "exact" figures differ or not; "paired" ones have a `change` with its interval; those "side by side" were
    not measured together, and the rest is "not comparable", `why` says for what reason.
    """

    artifact: str
    target: str
    figure: str
    before: Estimate | float
    after: Estimate | float
    basis: Basis
    change: Estimate | None = None
    p: float | None = None
    why: str | None = None


@dataclass(frozen=True)
class Comparison:
    """Everything that differs between two results. `only_before`, `only_after`: artifacts of one of them."""

    environment: tuple[Change, ...]
    data: tuple[Change, ...]
    models: tuple[Change, ...]
    rows: tuple[Row, ...]
    only_before: tuple[str, ...]
    only_after: tuple[str, ...]
    schema: str = SCHEMA


def compare(before: Result, after: Result) -> Comparison:
    """Set two results side by side, artifact by artifact of the same name and target."""
    first, second = _by_place(before), _by_place(after)
    shared = [place for place in first if place in second]
    rows: list[Row] = []
    for place in shared:
        machines = before.environment_of(first[place]), after.environment_of(second[place])
        elsewhere = [name for name in MACHINE if machines[0].get(name) != machines[1].get(name)]
        rows += _rows(first[place], second[place], before.data, after.data, elsewhere)
    models = tuple(
        Change(_label(place), first[place].sha256, second[place].sha256)
        for place in shared
        if first[place].sha256 != second[place].sha256
    )
    return Comparison(
        tuple(_machine_changes(before, after)),
        _data_changes(before.data, after.data),
        models,
        tuple(rows),
        only_before=tuple(_label(place) for place in first if place not in second),
        only_after=tuple(_label(place) for place in second if place not in first),
    )


def _machine_changes(before: Result, after: Result) -> Iterator[Change]:
    """What differs of the machine that edgeres ran on, and of devices of the same name."""
    yield from _differences(_flat(before.environment), _flat(after.environment))
    first, second = (
        {row.device.name: row.device.environment for row in result.artifacts if row.device}
        for result in (before, after)
    )
    for name in [name for name in first if name in second]:
        for change in _differences(_flat(first[name]), _flat(second[name])):
            yield replace(change, what=f"{name}: {change.what}")


def _by_place(result: Result) -> dict[tuple[str, str], ArtifactResult]:
    return {(artifact.name, artifact.target): artifact for artifact in result.artifacts}


def _label(place: tuple[str, str]) -> str:
    return f"{place[0]} on {place[1]}"


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested values by dotted names."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flat


def _differences(before: dict[str, Any], after: dict[str, Any]) -> Iterator[Change]:
    for name in dict.fromkeys([*before, *after]):
        if before.get(name) != after.get(name) and name not in PASSING:
            yield Change(name, before.get(name), after.get(name))


def _data_changes(before: DataRecord | None, after: DataRecord | None) -> tuple[Change, ...]:
    if before is None or after is None:
        return ()
    shown = ("source", "split", "images", "sha256", "seed", "labels", "left_out")
    first, second = encode(before), encode(after)
    return tuple(_differences({name: first.get(name) for name in shown}, {name: second.get(name) for name in shown}))


def _rows(
    before: ArtifactResult,
    after: ArtifactResult,
    images_before: DataRecord | None,
    images_after: DataRecord | None,
    elsewhere: list[str],
) -> Iterator[Row]:
    place = before.name, before.target
    yield Row(*place, "size", before.size_bytes, after.size_bytes, "exact")
    if before.accuracy and after.accuracy:
        yield _top1(before, after, images_before, images_after)
    if before.latency and after.latency:
        threads = before.latency.threads, after.latency.threads
        why = f"other machine ({', '.join(elsewhere)})" if elsewhere else None
        if threads[0] != threads[1]:
            why = f"{threads[0]} and {threads[1]} threads"
        basis: Basis = "not comparable" if why else "side by side"
        yield Row(*place, "p50", before.latency.p50_ms, after.latency.p50_ms, basis, why=why)
        if before.latency.speedup and after.latency.speedup:
            yield Row(*place, "speed-up", before.latency.speedup, after.latency.speedup, basis, why=why)
    if before.memory and after.memory:
        why = f"other machine ({', '.join(elsewhere)})" if elsewhere else None
        basis = "not comparable" if why else "side by side"
        yield Row(*place, "peak memory", before.memory.peak_bytes, after.memory.peak_bytes, basis, why=why)
        yield Row(*place, "arena", before.memory.arena_bytes, after.memory.arena_bytes, "exact")


def _top1(before: ArtifactResult, after: ArtifactResult, first: DataRecord | None, second: DataRecord | None) -> Row:
    one, two = before.accuracy, after.accuracy
    if one is None or two is None:
        raise ValueError("expected two accuracies")
    place, values = (before.name, before.target, "top-1"), (one.top1, two.top1)
    if first is None or second is None or first.sha256 != second.sha256:
        return Row(*place, *values, "not comparable", why="other images")
    truth, answers = np.asarray(first.truth or ()), [np.asarray(each.predictions or ()) for each in (one, two)]
    if not len(truth) or any(len(each) != len(truth) for each in answers):
        return Row(*place, *values, "not comparable", why="no answers to each image are kept")
    counted = pairs(answers[0] == truth, answers[1] == truth)
    return Row(*place, *values, "paired", change=accuracy_drop(counted), p=mcnemar(counted))
