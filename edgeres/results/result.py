"""Everything that one command measured, and its versioned JSON (`edgeres.result/1`)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from edgeres.records import read_versioned, write_json
from edgeres.results.accuracy import Accuracy, DataRecord, Parity
from edgeres.results.execution import CompilerEstimate, DeviceRecord, Download, Failure, Memory, Operators, Proof
from edgeres.results.latency import Energy, Latency, Rate, Startup

SCHEMA = "edgeres.result/1"

MACHINE = ("cpu", "machine", "cores", "instructions", "governor", "memory_bytes")
"""What of the environment makes it another machine for a time. Versions are not: they may be what is compared."""


@dataclass(frozen=True)
class ArtifactResult:
    """One artifact on one target. `path` is as the user gave it, `sha256` that of the flatbuffer that ran.

    `unmeasured`: why a part that was asked for is not there, by the name of its field, e.g. `operators.timed`.
    """

    name: str
    path: str
    sha256: str
    size_bytes: int
    target: str
    baseline: bool
    accuracy: Accuracy | None = None
    latency: Latency | None = None
    memory: Memory | None = None
    operators: Operators | None = None
    download_bytes: Download | None = None
    startup: Startup | None = None
    estimate: CompilerEstimate | None = None
    proof: Proof | None = None
    parity: Parity | None = None
    throughput: tuple[Rate, ...] | None = None
    energy: Energy | None = None
    device: DeviceRecord | None = None
    failure: Failure | None = None
    unmeasured: dict[str, Failure] | None = None

    @property
    def unproved(self) -> bool:
        """Whether it failed its proof; a target that owes none has not."""
        return self.proof is not None and not self.proof.passed


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


@dataclass(frozen=True)
class Result:
    """Everything that one command measured, with the machine it was measured on."""

    environment: dict[str, Any]
    artifacts: tuple[ArtifactResult, ...]
    data: DataRecord | None = None
    schema: str = SCHEMA
    created: str = field(default_factory=_now)

    def environment_of(self, artifact: ArtifactResult) -> dict[str, Any]:
        """The machine that one of its artifacts was measured on."""
        return artifact.device.environment if artifact.device else self.environment

    def write(self, path: Path) -> None:
        """Write as JSON, atomically."""
        write_json(path, self)


def read_result(path: Path) -> Result:
    """Read a result.

    Raises:
        ArtifactError: absent, not JSON, another schema version, or a field that does not fit.
    """
    return read_versioned(Result, path, schema=SCHEMA, noun="result", fix="measure again with this version of edgeres")


def merged(one: Result, two: Result) -> Result:
    """What two results hold of the same artifacts in one, e.g. accuracy and latency; `one` goes first.

    Raises:
        ValueError: they disagree on the baseline or the data, or both hold the same part of an artifact.
    """
    if one.data and two.data and one.data != two.data:
        raise ValueError("the results were measured on different images")
    rows = {_key(artifact): artifact for artifact in one.artifacts}
    for artifact in two.artifacts:
        known = rows.get(_key(artifact))
        rows[_key(artifact)] = artifact if known is None else _joined(known, artifact)
    return replace(one, artifacts=tuple(rows.values()), data=one.data or two.data)


def _key(artifact: ArtifactResult) -> tuple[str, str, str]:
    return artifact.name, artifact.sha256, artifact.target


_PARTS = ("accuracy", "latency", "memory", "startup", "estimate", "throughput", "energy", "failure")
_SHARED = ("download_bytes", "parity", "device")


def _joined(one: ArtifactResult, two: ArtifactResult) -> ArtifactResult:
    if one.baseline != two.baseline:
        raise ValueError(f"{one.name} is the baseline of only one of the results")
    parts = {}
    for name in _PARTS:
        first, second = getattr(one, name), getattr(two, name)
        if first is not None and second is not None:
            raise ValueError(f"both results hold the {name} of {one.name}")
        parts[name] = second if first is None else first
    shared = {name: getattr(one, name) or getattr(two, name) for name in _SHARED}
    evidence = joined_evidence(one, two)
    if evidence is None:
        raise ValueError(f"the operators of {one.name} ran elsewhere in one of the results than in the other")
    return without_what_is_there(replace(one, **shared, **parts, **evidence), two)


def joined_evidence(one: ArtifactResult, two: ArtifactResult) -> dict[str, Any] | None:
    """What ran where, and its proof, of two measurements of one artifact: every measurement has both.

    Of the operators those with times stay, of the proofs one that failed. None where other operators ran, or the times
    of both were measured.
    """
    given = [each.operators for each in (one, two) if each.operators]
    plain = [replace(each, timed=None, time_ms=None) for each in given]
    timed = [each for each in given if each.timed]
    if plain[1:] not in ([], plain[:1]) or timed[1:] not in ([], timed[:1]):
        return None
    proofs = sorted((each.proof for each in (one, two) if each.proof), key=lambda proof: proof.passed)
    return {"operators": next(iter(timed or given), None), "proof": next(iter(proofs), None)}


def without_what_is_there(joined: ArtifactResult, other: ArtifactResult) -> ArtifactResult:
    """What neither of two results has measured: `joined` has the parts of both, and its own `unmeasured` alone."""
    missing = {**(other.unmeasured or {}), **(joined.unmeasured or {})}
    left = {name: why for name, why in missing.items() if part_of(joined, name) is None}
    return replace(joined, unmeasured=left or None)


def part_of(artifact: ArtifactResult, name: str) -> Any:
    """What an artifact holds under the name of a field, e.g. `operators.timed`; None where it was not measured."""
    found: Any = artifact
    for field_name in name.split("."):
        found = getattr(found, field_name, None)
    return found
