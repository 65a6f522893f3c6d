"""`profile` without the command line: latency, memory, operators and size of artifacts, as a result."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from edgeres.errors import ConfigError, EdgeresError, TargetError
from edgeres.progress import Progress, silent
from edgeres.results import ArtifactResult, Operators, Rate, Result
from edgeres.storage import write_bytes
from targets import energy, latency, startup, throughput
from targets.artifact import Artifact
from targets.catalogue import about, available_target, find_target, open_session
from targets.compression import compressed
from targets.devices import fleet
from targets.environment import describe
from targets.latency import MAX_ROUNDS, Protocol
from targets.machine import machine_of
from targets.operator_times import by_kind, time_operators
from targets.proof import prove, without_unproved_verdicts
from targets.runtimes.cpu import CPU
from targets.target import Compiler, Target

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Further:
    """What is asked for beside latency, memory and coverage.

    `starts`: how often to start each artifact in a process of its own, for its start-up time. `operators`: the time of
    each operator. `throughput`: images a second, by threads, processes and batch. `energy`: of an inference. `keep`: a
    folder for the files that compilers make, `NAME.TARGET.tflite` each.
    """

    starts: int | None = None
    operators: bool = False
    throughput: bool = False
    energy: bool = False
    keep: Path | None = None


def profile(
    artifacts: Sequence[Artifact],
    *,
    baseline: int | None = None,
    targets: Sequence[str] = ("cpu",),
    protocol: Protocol | None = None,
    further: Further | None = None,
    progress: Progress = silent,
) -> Result:
    """Measure every artifact on every target; `baseline` is the place of the one that the others are compared with.

    One target after the other, devices side by side: comparisons are within a target only. Of several targets, one on a
    device that fails has a row that says why.

    Raises:
        ConfigError: something further is asked for, and no target has it.
        TargetError: a target that is unknown or unavailable, refuses a model, or dies on it.
        ArtifactError: a model that is no well-formed flatbuffer.
    """
    protocol, further = protocol or Protocol(max_rounds=MAX_ROUNDS), further or Further()
    environment = describe()  # before the measurement: afterwards the load is the measurement's own
    names = tuple(dict.fromkeys(targets))
    fleet.require_targets(names)
    _require_targets([find_target(name) for name in names], further)

    def measure(name: str) -> list[ArtifactResult]:
        target, told = available_target(name), fleet.stage(progress, name)
        if isinstance(target, Compiler):
            return [
                _compiled(target, artifact, baseline=place == baseline, keep=further.keep)
                for place, artifact in enumerate(artifacts)
            ]

        def run() -> list[ArtifactResult]:
            rows = _profile_on(target, artifacts, baseline=baseline, protocol=protocol, progress=told)
            return _further(rows, artifacts, target, protocol, further, told)

        return fleet.on_device(target, run)

    def failed(name: str, error: EdgeresError) -> list[ArtifactResult]:
        rows = [_row(name, artifact, baseline=place == baseline) for place, artifact in enumerate(artifacts)]
        return fleet.failed_rows(rows, error)

    found = fleet.spread(names, measure, failed)
    return Result(environment=environment, artifacts=tuple(row for rows in found for row in rows))


def _profile_on(
    target: Target, artifacts: Sequence[Artifact], *, baseline: int | None, protocol: Protocol, progress: Progress
) -> list[ArtifactResult]:
    with ExitStack() as stack:
        sessions = [
            stack.enter_context(open_session(artifact, target, threads=protocol.threads)) for artifact in artifacts
        ]
        measured = (
            latency.measure(sessions, protocol, baseline=baseline, machine=machine_of(target), progress=progress)
            if target.timed
            else [None] * len(sessions)
        )
        rows = [
            replace(
                _row(target.name, artifact, baseline=place == baseline),
                latency=timing,
                memory=session.memory(),
                operators=session.operators(),
                proof=prove(artifact, session, target),
            )
            for place, (artifact, session, timing) in enumerate(zip(artifacts, sessions, measured, strict=True))
        ]
    return without_unproved_verdicts(rows, baseline=baseline)


def _require_targets(places: Sequence[Target], further: Further) -> None:
    if further.keep is not None and not any(isinstance(target, Compiler) for target in places):
        raise ConfigError("no target compiles a file that could be kept", fix="add one: --target ethosu:u55-256")
    asked = {"the time of each operator": further.operators, "throughput": further.throughput, "energy": further.energy}
    for what, wanted in asked.items():
        if wanted and CPU not in places:
            raise ConfigError(f"{what} is measured on the target 'cpu' alone", fix="add it: --target cpu")


def _further(
    rows: list[ArtifactResult],
    artifacts: Sequence[Artifact],
    target: Target,
    protocol: Protocol,
    further: Further,
    progress: Progress,
) -> list[ArtifactResult]:
    """The rows of a target with what else is asked for of it."""
    if further.starts is not None and target.timed:
        began = startup.measure(
            artifacts, target, threads=protocol.threads, starts=further.starts, seed=protocol.seed, progress=progress
        )
        rows = [replace(row, startup=each) for row, each in zip(rows, began, strict=True)]
    if target != CPU:
        return rows
    if further.throughput:
        rates = [_throughput(artifact, protocol.seed, progress) for artifact in artifacts]
        rows = [replace(row, throughput=each) for row, each in zip(rows, rates, strict=True)]
    if further.energy:
        rows = _with_energy(rows, artifacts, protocol.threads, progress)
    if further.operators:
        rows = [_with_times(row, artifact, protocol.threads) for row, artifact in zip(rows, artifacts, strict=True)]
    return rows


def _throughput(artifact: Artifact, seed: int, progress: Progress) -> tuple[Rate, ...]:
    with about(artifact.path):
        return throughput.measure(artifact.model, seed=seed, progress=progress)


def _with_energy(
    rows: list[ArtifactResult], artifacts: Sequence[Artifact], threads: int, progress: Progress
) -> list[ArtifactResult]:
    """The rows with the energy of an inference; without, and a warning, where the machine does not count it."""
    try:
        counters = energy.find_counters()
    except TargetError as error:
        _log.warning("energy is left out: %s; %s", error.message, error.fix)
        return rows
    with ExitStack() as stack:
        sessions = [stack.enter_context(open_session(artifact, CPU, threads=threads)) for artifact in artifacts]
        for session in sessions:
            session.time(runs=3, seconds=0.5)
        found = energy.measure(sessions, counters, progress=progress)
    return [replace(row, energy=each) for row, each in zip(rows, found, strict=True)]


def _with_times(row: ArtifactResult, artifact: Artifact, threads: int) -> ArtifactResult:
    """The row with the time of each operator; without, and a warning, where the runtime cannot tell."""
    try:
        times = time_operators(artifact.model, threads=threads)
    except TargetError as error:
        _log.warning("%s: the times of operators are left out: %s", artifact.path, error.message)
        return row
    return replace(row, operators=replace(row.operators or Operators(0, 0), time_ms=by_kind(times), timed=times))


def _compiled(target: Compiler, artifact: Artifact, *, baseline: bool, keep: Path | None) -> ArtifactResult:
    with about(artifact.path):
        made = target.compile(artifact.model)
    if keep is not None:
        name = f"{artifact.name}.{target.name}".replace("/", "-").replace(":", "-")
        write_bytes(keep / f"{name}.tflite", made.file)
    row = _row(target.name, artifact, baseline=baseline)
    return replace(row, memory=made.memory, operators=made.operators, estimate=made.estimate)


def _row(target: str, artifact: Artifact, *, baseline: bool) -> ArtifactResult:
    return ArtifactResult(
        name=artifact.name,
        path=artifact.path,
        sha256=artifact.sha256,
        size_bytes=len(artifact.model),
        download_bytes=compressed(artifact.model),
        target=target,
        baseline=baseline,
    )
