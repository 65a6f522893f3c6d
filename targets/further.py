"""What `profile` measures beside latency where it is asked for: start-up, throughput, energy, the time of operators."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from edgeres.errors import ConfigError, TargetError
from edgeres.progress import Progress
from edgeres.results import ArtifactResult, Failure, Operators, Rate
from targets import energy, startup, throughput
from targets.artifact import Artifact
from targets.catalogue import about, open_session
from targets.latency import Protocol
from targets.meter import SYSFS, UncountedError, find_counters
from targets.operator_times import by_kind, time_operators
from targets.runtimes.cpu import CPU, CpuTarget
from targets.target import Compiler, Target


@dataclass(frozen=True)
class Further:
    """What is asked for beside latency, memory and coverage.

    `starts`: how often to start each artifact in a process of its own, for its start-up time. `operators`: the time of
    each operator. `throughput`: images a second, by threads, processes and batch. `energy`: of an inference, by the
    counters under `sysfs`. `keep`: a folder for the files that compilers make, `NAME.TARGET.tflite` each.
    """

    starts: int | None = None
    operators: bool = False
    throughput: bool = False
    energy: bool = False
    keep: Path | None = None
    sysfs: Path = SYSFS


def require_targets(places: Sequence[Target], further: Further) -> None:
    """Refuse what none of the targets has to tell.

    Raises:
        ConfigError: says what, and which target has.
    """
    if further.keep is not None and not any(isinstance(place, Compiler) and not place.here for place in places):
        raise ConfigError("no target compiles a file that could be kept", fix="add one: --target ethosu:u55-256")
    if further.operators and not any(isinstance(target, CpuTarget) for target in places):
        problem = "the time of each operator is measured on this machine's kernels alone"
        raise ConfigError(problem, fix="add one: --target cpu, builtin, or reference")
    for what, wanted in {"throughput": further.throughput, "energy": further.energy}.items():
        if wanted and CPU not in places:
            problem = f"{what} is measured on this machine's target 'cpu' alone"
            raise ConfigError(problem, fix="add it: --target cpu")


def with_further(
    rows: list[ArtifactResult],
    artifacts: Sequence[Artifact],
    target: Target,
    *,
    protocol: Protocol,
    further: Further,
    progress: Progress,
) -> list[ArtifactResult]:
    """The rows of a target with what else is asked for of it.

    Raises:
        EdgeresError: an artifact that the target refuses, or dies on.
    """
    if further.starts is not None and target.timed:
        began = startup.measure(
            artifacts, target, threads=protocol.threads, starts=further.starts, seed=protocol.seed, progress=progress
        )
        rows = [replace(row, startup=each) for row, each in zip(rows, began, strict=True)]
    if further.operators and isinstance(target, CpuTarget):
        times = partial(_with_times, target=target, threads=protocol.threads)
        rows = [times(row, artifact) for row, artifact in zip(rows, artifacts, strict=True)]
    if target != CPU:
        return rows
    if further.throughput:
        rates = [_throughput(artifact, protocol.seed, progress) for artifact in artifacts]
        rows = [replace(row, throughput=each) for row, each in zip(rows, rates, strict=True)]
    if further.energy:
        rows = _with_energy(rows, artifacts, protocol, sysfs=further.sysfs, progress=progress)
    return rows


def _throughput(artifact: Artifact, seed: int, progress: Progress) -> tuple[Rate, ...]:
    with about(artifact.path):
        return throughput.measure(artifact.model, seed=seed, progress=progress)


def _with_energy(
    rows: list[ArtifactResult], artifacts: Sequence[Artifact], protocol: Protocol, *, sysfs: Path, progress: Progress
) -> list[ArtifactResult]:
    """The rows with the energy of an inference, or with the reason why the machine does not count it."""
    baseline = next((place for place, row in enumerate(rows) if row.baseline), None)
    try:
        counters = find_counters(sysfs)
        with ExitStack() as stack:
            sessions = [
                stack.enter_context(open_session(artifact, CPU, threads=protocol.threads)) for artifact in artifacts
            ]
            for session in sessions:
                session.time(runs=3, seconds=0.5)
            found = energy.measure(sessions, counters, baseline=baseline, seed=protocol.seed, progress=progress)
    except UncountedError as error:
        return [_without(row, "energy", error) for row in rows]
    return [replace(row, energy=each) for row, each in zip(rows, found, strict=True)]


def _with_times(row: ArtifactResult, artifact: Artifact, *, target: CpuTarget, threads: int) -> ArtifactResult:
    """The row with the time of each operator, or with the reason why the runtime cannot tell."""
    try:
        times = time_operators(artifact.model, target=target, threads=threads)
    except TargetError as error:
        return _without(row, "operators.timed", error)
    return replace(row, operators=replace(row.operators or Operators(0, 0), time_ms=by_kind(times), timed=times))


def _without(row: ArtifactResult, part: str, error: TargetError) -> ArtifactResult:
    missing = {**(row.unmeasured or {}), part: Failure(error.message, error.details, error.fix)}
    return replace(row, unmeasured=missing)
