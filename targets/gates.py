"""Gates: does what was measured keep the limits that a user sets?

A gate is `passed` where the whole interval of a figure is on the good side of its limit, `missed` where it is wholly
on the other, else `inconclusive`, also where the figure was not measured, or measured on a target that failed its
proof. What would decide is said with it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

from edgeres.errors import ConfigError, GateError, suggestion
from edgeres.results import ArtifactResult, Estimate, Result
from targets.paired import Pairs, images_for_verdict

SCHEMA = "edgeres.check/1"

Outcome = Literal["passed", "missed", "inconclusive"]


@dataclass(frozen=True)
class Limits:
    """What is asked for; None asks for nothing. `max_drop` in percentage points, sizes in bytes."""

    max_drop: float | None = None
    min_speedup: float | None = None
    max_latency_ratio: float | None = None
    max_latency_ms: float | None = None
    max_size: int | None = None
    max_memory: int | None = None

    def asked(self) -> dict[str, float]:
        """The limits that are set, by name."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value is not None}


@dataclass(frozen=True)
class Gate:
    """One limit held against one figure: `found` with its interval, a plain number where it has none, or None.

    `result` and `target` say where the figure is from; None where it is in no result. `decide` is what would settle
    an inconclusive gate.
    """

    gate: str
    artifact: str
    limit: float
    unit: str
    outcome: Outcome
    found: Estimate | float | None = None
    target: str | None = None
    result: str | None = None
    decide: str | None = None


@dataclass(frozen=True)
class Checked:
    """Every gate of every artifact."""

    gates: tuple[Gate, ...]
    passed: bool
    schema: str = SCHEMA

    def require(self) -> None:
        """Raise unless every gate is passed.

        Raises:
            GateError: names those that are not, and what would decide.
        """
        failing = [gate for gate in self.gates if gate.outcome != "passed"]
        if failing:
            missed = sum(gate.outcome == "missed" for gate in failing)
            raise GateError(
                f"{len(failing)} of {len(self.gates)} gates not passed: "
                f"{missed} missed, {len(failing) - missed} inconclusive",
                details=[f"{gate.gate} of {gate.artifact}: {gate.decide or gate.outcome}" for gate in failing],
            )


@dataclass(frozen=True)
class _Rule:
    """How a gate reads an artifact: `figure`, on which side of the limit is good, and what would decide."""

    unit: str
    figure: Callable[[ArtifactResult], Estimate | float | None]
    most: bool
    measure: str
    more: Callable[[ArtifactResult, Estimate, float], str] | None = None


@dataclass(frozen=True)
class _Row:
    """One artifact in one result file; `doubt`: why its figures decide nothing, whatever they are."""

    path: Path
    artifact: ArtifactResult
    doubt: str | None


def check(results: Sequence[tuple[Path, Result]], limits: Limits, *, artifact: str | None = None) -> Checked:
    """Hold the limits against every artifact but baselines, or against the one called `artifact`.

    An artifact's figures may come from several results; it is the same one where name and SHA-256 agree.

    Raises:
        ConfigError: no artifact of that name, or none but baselines.
    """
    subjects = _subjects(results, artifact)
    names = [rows[0].artifact.name for rows in subjects]
    gates: list[Gate] = []
    for name, rows in zip(names, subjects, strict=True):
        shown = name if names.count(name) == 1 else f"{name} ({rows[0].artifact.sha256[:8]})"
        for gate, limit in limits.asked().items():
            gates += _gates(gate.replace("_", "-"), RULES[gate], limit, shown, rows)
    return Checked(tuple(gates), passed=all(gate.outcome == "passed" for gate in gates))


def _subjects(results: Sequence[tuple[Path, Result]], wanted: str | None) -> list[list[_Row]]:
    rows = [_Row(path, each, _doubt(each, result)) for path, result in results for each in result.artifacts]
    if wanted is not None:
        chosen = [row for row in rows if row.artifact.name == wanted]
        if not chosen:
            fix = suggestion(wanted, {row.artifact.name for row in rows})
            raise ConfigError(f"no result holds an artifact called '{wanted}'", fix=fix)
    else:
        chosen = [row for row in rows if not row.artifact.baseline]
        if not chosen:
            raise ConfigError("the results hold no artifact but baselines", fix="name one of them: --artifact NAME")
    grouped: dict[tuple[str, str], list[_Row]] = {}
    for row in chosen:
        grouped.setdefault((row.artifact.name, row.artifact.sha256), []).append(row)
    return list(grouped.values())


def _doubt(artifact: ArtifactResult, result: Result) -> str | None:
    """A target that does not compute what the reference kernels compute has no figure of the model."""
    compared = [each for each in result.artifacts if each.baseline and each.target == artifact.target]
    wrong = next((each for each in (artifact, *compared) if each.unproved), None)
    return None if wrong is None else f"not proved: '{wrong.name}' is computed wrong on {wrong.target}"


def _gates(name: str, rule: _Rule, limit: float, artifact: str, rows: list[_Row]) -> Iterator[Gate]:
    """A gate for each result and target that holds the figure; one, inconclusive, where none does."""
    known = [(row, found) for row in rows if (found := rule.figure(row.artifact)) is not None]
    measured = {row.artifact.target for row, _ in known}
    failed = {row.artifact.target: row for row in rows if row.artifact.failure and row.artifact.target not in measured}
    for target, row in failed.items():
        why = f"not measured: {row.artifact.failure.message}" if row.artifact.failure else None
        yield Gate(name, artifact, limit, rule.unit, "inconclusive", None, target, str(row.path), why)
    if not known and not failed:
        yield Gate(name, artifact, limit, rule.unit, "inconclusive", decide=f"not measured: {rule.measure}")
    if name == "max-size":  # of the same bytes, whoever measured them
        known = known[:1]
    for row, found in known:
        doubt = None if name == "max-size" else row.doubt
        outcome = "inconclusive" if doubt else _outcome(found, limit, most=rule.most)
        decide = doubt
        if outcome == "inconclusive" and not doubt and rule.more and isinstance(found, Estimate):
            decide = rule.more(row.artifact, found, limit)
        yield Gate(name, artifact, limit, rule.unit, outcome, found, row.artifact.target, str(row.path), decide)


def _outcome(found: Estimate | float, limit: float, *, most: bool) -> Outcome:
    low, high = (found.low, found.high) if isinstance(found, Estimate) else (found, found)
    if high <= limit if most else low >= limit:
        return "passed"
    return "missed" if (low > limit if most else high < limit) else "inconclusive"


def _more_images(artifact: ArtifactResult, found: Estimate, limit: float) -> str:
    accuracy = artifact.accuracy
    if accuracy is None or accuracy.lost is None or accuracy.won is None:
        return "more images"
    needed = images_for_verdict(Pairs(found.n, accuracy.lost, accuracy.won), margin_points=limit)
    if needed is None:
        return f"no number of images: the drop cannot be told from {limit:g} points"
    return f"about {needed:,} images instead of {found.n:,}"


def _more_rounds(_: ArtifactResult, found: Estimate, limit: float) -> str:
    """The interval shrinks with the square root of the rounds, on the side where the limit is."""
    towards = found.high if limit > found.value else found.low
    width, distance = abs(math.log(towards / found.value)), abs(math.log(limit / found.value))
    if distance == 0:
        return "no number of rounds: the figure is the limit"
    needed = math.ceil(found.n * (width / distance) ** 2 + 1)
    return f"about {needed:,} rounds instead of {found.n:,}, or a quieter machine"


def _drop(artifact: ArtifactResult) -> Estimate | None:
    return artifact.accuracy.top1_drop_bounds_points if artifact.accuracy else None


def _speedup(artifact: ArtifactResult) -> Estimate | None:
    return artifact.latency.speedup if artifact.latency else None


def _ratio(artifact: ArtifactResult) -> Estimate | None:
    """The time as a multiple of the baseline's."""
    found = _speedup(artifact)
    if found is None:
        return None
    return Estimate(1 / found.value, 1 / found.high, 1 / found.low, found.level, f"1 / ({found.method})", found.n)


def _milliseconds(artifact: ArtifactResult) -> Estimate | None:
    return artifact.latency.p50_ms if artifact.latency else None


def _size(artifact: ArtifactResult) -> float:
    return artifact.size_bytes


def _memory(artifact: ArtifactResult) -> float | None:
    return artifact.memory.peak_bytes if artifact.memory else None


_EVALUATE = "edgeres evaluate BASELINE ARTIFACT… --data SOURCE --json F"
_PROFILE = "edgeres profile BASELINE ARTIFACT… --json F"

RULES = {
    "max_drop": _Rule("points", _drop, most=True, measure=_EVALUATE, more=_more_images),
    "min_speedup": _Rule("x", _speedup, most=False, measure=_PROFILE, more=_more_rounds),
    "max_latency_ratio": _Rule("x", _ratio, most=True, measure=_PROFILE, more=_more_rounds),
    "max_latency_ms": _Rule("ms", _milliseconds, most=True, measure=_PROFILE, more=_more_rounds),
    "max_size": _Rule("bytes", _size, most=True, measure=_PROFILE),
    "max_memory": _Rule("bytes", _memory, most=True, measure=_PROFILE),
}
"""How each limit of `Limits` is held against an artifact."""
