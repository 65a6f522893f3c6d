"""Records of what ran where, in how much memory, and whether it computed what it should."""

from __future__ import annotations

from dataclasses import dataclass

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
    """

    index: int
    kind: str
    layer: str
    delegated: bool
    time_ms: Estimate
    activation_bytes: int
    weight_bytes: int


@dataclass(frozen=True)
class OperatorTimes:
    """The time of every operator over so many `runs` with profiling on, in the order of the file.

    `total_ms` is that of the whole inference meanwhile, `sum_ms` that of all operators.
    """

    runs: int
    total_ms: Estimate
    sum_ms: Estimate
    each: tuple[OperatorTime, ...]


@dataclass(frozen=True)
class Operators:
    """What ran where: `nodes` of the plan before delegation, how many of them a `delegate` took.

    `kinds` counts the operators of the file; `left` counts those that no delegate took; `time_ms` is per operator,
    `timed` per operator with intervals and bytes.
    """

    nodes: int
    delegated: int
    delegate: str | None = None
    kinds: dict[str, int] | None = None
    left: dict[str, int] | None = None
    time_ms: dict[str, float] | None = None
    timed: OperatorTimes | None = None


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
