"""Records of what ran where, in how much memory, and whether it computed what it should."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edgeres.results.estimate import Estimate


@dataclass(frozen=True)
class Memory:
    """Resident memory of the process that ran the model, less that of the same process before it was loaded.

    `arena_bytes` is the peak of live activation tensors by the execution order: what any planner needs at least.
    """

    load_bytes: int
    peak_bytes: int
    arena_bytes: int


@dataclass(frozen=True)
class OperatorTime:
    """One operator of the file, by its `index` there: its `kind`, the `layer` it computes, whether a delegate ran it.

    `time_ms`: of one inference. `activation_bytes`: of the tensors it writes; `weight_bytes`: of its constants.
    `runs_ms`: of each run; `events`: of how many readings of the clock each is the sum.
    """

    index: int
    kind: str
    layer: str
    delegated: bool
    time_ms: Estimate
    activation_bytes: int
    weight_bytes: int
    events: int = 1
    runs_ms: tuple[float, ...] = ()


@dataclass(frozen=True)
class OperatorTimes:
    """The time of every operator over so many `runs` with profiling on, in the order of the file.

    `sum_ms` is that of all operators of a run together, `total_ms` that of a whole inference without the profiler, in
    turn with those, `totals_ms` each of them. An operator that a delegate has joined with another has no time of its
    own.
    """

    runs: int
    total_ms: Estimate
    sum_ms: Estimate
    each: tuple[OperatorTime, ...]
    totals_ms: tuple[float, ...] = ()


@dataclass(frozen=True)
class Operators:
    """What ran where: `nodes` of the plan before delegation, how many of them a `delegate` took.

    `kinds` counts the operators of the file; `left` counts those that no delegate took; `time_ms` is per operator,
    `timed` per operator with intervals and bytes. `precision` counts the operators of the runtime's own graph by the
    type that they compute in, where it tells. `partitions`: the parts that a compiler for NPUs made of them.
    """

    nodes: int
    delegated: int
    delegate: str | None = None
    kinds: dict[str, int] | None = None
    left: dict[str, int] | None = None
    time_ms: dict[str, float] | None = None
    timed: OperatorTimes | None = None
    precision: dict[str, int] | None = None
    partitions: int | None = None


@dataclass(frozen=True)
class Proof:
    """Whether a target computed what the reference kernels compute, on `images` images of the model's input.

    They are random, or the first of the bundle's golden inputs (`golden`).

    `largest`: the largest difference of a score, in quantization steps of integer outputs and of float ones that are
    made of integers at the very end, else in the scores' own unit; `accepted`: the most that the target is allowed.
    `rounding`: where the target's tolerance was not enough, how far other kernels of this machine are from the
    reference kernels, in the same unit. `flips`: images whose top-1 class differs. `device`: what really ran it, as the
    runtime names it, where that is not the target's name. `faults`: known faults of the target's that the model meets,
    which fail the proof, and the `fix` for them.
    """

    passed: bool
    images: int
    largest: float
    accepted: float
    flips: int
    device: str | None = None
    faults: tuple[str, ...] | None = None
    fix: str | None = None
    golden: bool = False
    rounding: float | None = None


@dataclass(frozen=True)
class DeviceRecord:
    """The device that an artifact ran on, where that is not the machine on which edgeres did.

    `environment`: its hardware and software, in the words of the result's. `reconnects`: how often the connection was
    lost meanwhile, and made again. `witnessed`: what was noted on it during the measurement, where that is more than
    the other records hold.
    """

    name: str
    environment: dict[str, Any]
    reconnects: int = 0
    witnessed: dict[str, Any] | None = None


@dataclass(frozen=True)
class Failure:
    """Why an artifact has no figures on a device, or lacks one that was asked for: the error, and what to do."""

    message: str
    details: tuple[str, ...] = ()
    fix: str | None = None


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
