"""Frozen records of everything that is measured, and their versioned JSON (`edgeres.result/1`).

Units are in the names: `_ms` milliseconds, `_bytes` bytes, `_points` percentage points; accuracies are fractions
of 1. Raw samples (rounds, predictions) are kept beside every figure that was computed from them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal

from edgeres.records import read_versioned, write_json

SCHEMA = "edgeres.result/1"


@dataclass(frozen=True)
class Estimate:
    """A number with its interval. `method` names how the interval was made, `n` is the number of samples."""

    value: float
    low: float
    high: float
    level: float
    method: str
    n: int


@dataclass(frozen=True)
class DataRecord:
    """The images a result was measured on: the first `images` of a split, dealt by `seed`, that can be decoded.

    `left_out` names those that cannot and were met on the way. `sha256` is over their contents and classes in order;
    `truth` holds the class index of each, `labels` the names.
    """

    source: str
    split: str
    images: int
    sha256: str
    seed: int = 0
    labels: tuple[str, ...] | None = None
    truth: tuple[int, ...] | None = None
    left_out: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Accuracy:
    """Classification accuracy; the comparisons are against the result's baseline, on the same images.

    `predictions` holds the top-1 class index for each image, in the order of the data record's `truth`.
    """

    images: int
    top1: Estimate
    top5: Estimate | None = None
    top1_drop_points: Estimate | None = None
    agreement: Estimate | None = None
    margin_points: float | None = None
    verdict: Literal["pass", "fail", "insufficient"] | None = None
    predictions: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Latency:
    """Time of one inference of one image; `rounds` are the raw times in ms, one list for each interleaved round.

    `speedup` is baseline time ÷ this time, paired round by round.
    """

    threads: int
    p50_ms: Estimate
    p90_ms: Estimate
    rounds: tuple[tuple[float, ...], ...]
    speedup: Estimate | None = None
    verdict: Literal["faster", "slower", "equivalent", "inconclusive"] | None = None


@dataclass(frozen=True)
class Memory:
    """Resident memory of the process that ran the model, less that of the same process before it was loaded.

    `arena_bytes` is the peak of live activation tensors by the execution order: what any planner needs at least.
    """

    load_bytes: int
    peak_bytes: int
    arena_bytes: int


@dataclass(frozen=True)
class Operators:
    """What ran where: `nodes` of the plan before delegation, how many of them a `delegate` took.

    `kinds` counts the operators of the file; `left` counts those that no delegate took; `time_ms` is per operator.
    """

    nodes: int
    delegated: int
    delegate: str | None = None
    kinds: dict[str, int] | None = None
    left: dict[str, int] | None = None
    time_ms: dict[str, float] | None = None


@dataclass(frozen=True)
class Proof:
    """Whether a target computed what the reference kernels compute, on `images` random images of the model's input.

    `largest`: the largest difference of a score, in quantization steps of an integer output, else in the scores' own
    unit; `accepted`: the most that the target is allowed. `flips`: images whose top-1 class differs.
    """

    passed: bool
    images: int
    largest: float
    accepted: float
    flips: int


@dataclass(frozen=True)
class CompilerEstimate:
    """What a compiler computes that a run would take on an accelerator that is not here: nothing ran.

    `system`: the clocks and memories that the compiler assumes, by its names. `cycles`: of the whole run, `npu_cycles`
    of the accelerator alone; operators that it leaves to the CPU cost nothing in either. `sram_bytes`, `dram_bytes`,
    `flash_bytes`: the most that is used of each memory. `macs`: multiply-accumulates on the accelerator.
    """

    compiler: str
    system: str
    clock_hz: float
    cycles: int
    npu_cycles: int
    inference_ms: float
    sram_bytes: int
    dram_bytes: int
    flash_bytes: int
    macs: int


@dataclass(frozen=True)
class Download:
    """Bytes of the flatbuffer as a server sends it or an app's package holds it: compressed, where zeros cost little.

    `zstd` is None where the package `zstandard` is not installed.
    """

    gzip: int
    zstd: int | None = None


@dataclass(frozen=True)
class ArtifactResult:
    """One artifact on one target. `path` is as the user gave it, `sha256` that of the flatbuffer that ran."""

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
    estimate: CompilerEstimate | None = None
    proof: Proof | None = None


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


def _joined(one: ArtifactResult, two: ArtifactResult) -> ArtifactResult:
    if one.baseline != two.baseline:
        raise ValueError(f"{one.name} is the baseline of only one of the results")
    parts = {}
    for name in ("accuracy", "latency", "memory", "operators", "estimate"):
        first, second = getattr(one, name), getattr(two, name)
        if first is not None and second is not None:
            raise ValueError(f"both results hold the {name} of {one.name}")
        parts[name] = second if first is None else first
    shared = {name: getattr(one, name) or getattr(two, name) for name in ("download_bytes", "proof")}
    return replace(one, **shared, **parts)
