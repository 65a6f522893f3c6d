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

MACHINE = ("cpu", "machine", "cores", "instructions", "governor", "memory_bytes")
"""What of the environment makes it another machine for a time. Versions are not: they may be what is compared."""


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
class Calibration:
    """Whether the probability that an artifact gives to its answer is how often it is right.

    `scores` says what its outputs are; of logits the softmax is taken. `ece`: the expected calibration error as a
    fraction of 1. `confidences`: the probability of the predicted class for each image.
    """

    scores: Literal["probabilities", "logits"]
    confidences: tuple[float, ...]
    ece: Estimate | None = None


@dataclass(frozen=True)
class Divergence:
    """How far the scores of an artifact are from the baseline's.

    `kl_nats`: the mean over images of the Kullback-Leibler divergence of its probabilities from the baseline's.
    `sqnr_db`: the median over images of signal to noise, the baseline's scores being the signal; None where only one of
    the two gives logits. The plurals hold the value of each image.
    """

    kls_nats: tuple[float, ...]
    sqnrs_db: tuple[float, ...] | None = None
    kl_nats: Estimate | None = None
    sqnr_db: Estimate | None = None


@dataclass(frozen=True)
class Flip:
    """An image that an artifact takes for another class than the baseline does.

    `index` is its place in the data record, `image` its name in the source; classes are indices. The margins say by
    how much probability the best class leads the second.
    """

    index: int
    image: str
    truth: int
    baseline: int
    artifact: int
    baseline_margin: float
    artifact_margin: float


@dataclass(frozen=True)
class Accuracy:
    """Classification accuracy; the comparisons are against the result's baseline, on the same images.

    `predictions` holds the top-1 class index for each image, in the order of the data record's `truth`. Of the images,
    `lost` were right by the baseline alone, `won` by this artifact alone. The ends of `top1_drop_bounds_points` are
    one-sided bounds, each at the estimate's level; the verdict is theirs. `images_needed` for a verdict, where these
    images are insufficient, had the rest differed as often. `mcnemar_p`: that both are right equally often.
    `class_drops_points` holds the drop for each class, None where it has no image; `missed_top5` the indices of the
    images whose truth is not among the five best; `flips` the first of the images that changed class.
    """

    images: int
    top1: Estimate
    top5: Estimate | None = None
    top1_drop_points: Estimate | None = None
    top1_drop_bounds_points: Estimate | None = None
    lost: int | None = None
    won: int | None = None
    mcnemar_p: float | None = None
    agreement: Estimate | None = None
    margin_points: float | None = None
    verdict: Literal["pass", "fail", "insufficient"] | None = None
    images_needed: int | None = None
    class_drops_points: tuple[Estimate | None, ...] | None = None
    calibration: Calibration | None = None
    divergence: Divergence | None = None
    flips: tuple[Flip, ...] | None = None
    predictions: tuple[int, ...] | None = None
    missed_top5: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Trend:
    """How one value for each round changed while they were measured, as fractions of 1.

    `slope`: of the median, each round (Theil-Sen). `change`: the last quarter's median ÷ the first's, less 1.
    `p`: how often a series without a trend would seem to have as clear a one (Mann-Kendall, two-sided).
    """

    slope: float
    change: float
    p: float


Condition = Literal["drift", "contention", "throttling"]


@dataclass(frozen=True)
class Conditions:
    """What the machine did while latency was measured; `flags` are what a reader should know, in words.

    `trend` is that of the artifact's rounds, `reference` that of a fixed kernel timed once a round (`reference_ms`).
    `pressure`: share of the time in which some task waited for a CPU. `steal`: share of CPU time the hypervisor took.
    `switches_per_s`: involuntary context switches of the artifact's process in a second of running. `throttled`: how
    often a CPU or the container was. None: the system does not count it.
    """

    flags: tuple[Condition, ...]
    trend: Trend
    reference: Trend
    reference_ms: tuple[float, ...]
    pressure: float | None = None
    steal: float | None = None
    switches_per_s: float | None = None
    throttled: int | None = None


@dataclass(frozen=True)
class Latency:
    """Time of one inference of one image; `rounds` are the raw times in ms, one list for each interleaved round.

    `p99_ms` is None where too few runs, or too few rounds that differ, would make it a guess.
    `speedup` is baseline time ÷ this time, paired round by round; `looks` is at how many numbers of rounds the
    measurement could have ended, for which its interval is widened; `speedup_bca` has a bootstrap interval, beside the
    one that the verdict is of. `cores` are those it was pinned to, None where the system chose; `conditions` are those
    it was measured under.
    """

    threads: int
    p50_ms: Estimate
    p90_ms: Estimate
    rounds: tuple[tuple[float, ...], ...]
    speedup: Estimate | None = None
    verdict: Literal["faster", "slower", "equivalent", "inconclusive"] | None = None
    p99_ms: Estimate | None = None
    speedup_bca: Estimate | None = None
    looks: int | None = None
    cores: tuple[int, ...] | None = None
    conditions: Conditions | None = None


@dataclass(frozen=True)
class Memory:
    """Resident memory of the process that ran the model, less that of the same process before it was loaded.

    `arena_bytes` is the peak of live activation tensors by the execution order: what any planner needs at least.
    """

    load_bytes: int
    peak_bytes: int
    arena_bytes: int


@dataclass(frozen=True)
class Start:
    """One start of a model in a process of its own: until it is ready, its first run, its memory (see `Memory`)."""

    initialization_ms: float
    first_ms: float
    load_bytes: int
    peak_bytes: int


@dataclass(frozen=True)
class Startup:
    """Medians over all `starts`, which are kept."""

    initialization_ms: Estimate
    first_ms: Estimate
    load_bytes: Estimate
    peak_bytes: Estimate
    starts: tuple[Start, ...]


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
    startup: Startup | None = None
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
    for name in ("accuracy", "latency", "memory", "operators", "startup", "estimate"):
        first, second = getattr(one, name), getattr(two, name)
        if first is not None and second is not None:
            raise ValueError(f"both results hold the {name} of {one.name}")
        parts[name] = second if first is None else first
    shared = {name: getattr(one, name) or getattr(two, name) for name in ("download_bytes", "proof")}
    return replace(one, **shared, **parts)
