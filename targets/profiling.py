"""`profile` without the command line: latency, memory, operators and size of artifacts, as a result."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

from edgeres.compiled_file import plain_name
from edgeres.errors import EdgeresError
from edgeres.progress import Progress, silent
from edgeres.results import ArtifactResult, Result
from edgeres.storage import write_bytes
from targets import latency
from targets.artifact import Artifact
from targets.catalogue import about, available_target
from targets.compression import compressed
from targets.crew import open_in_turns
from targets.devices import fleet
from targets.environment import describe
from targets.further import Further, require_targets, with_further
from targets.latency import MAX_ROUNDS, Protocol
from targets.machine import machine_of
from targets.proof import prove, without_unproved_verdicts
from targets.refusals import Places, unless_refused
from targets.row import row
from targets.target import Compiler, Target


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
    device that fails has a row that says why; so has an artifact that a target refuses, of several.

    Raises:
        ConfigError: something further is asked for, and no target has it.
        TargetError: a target that is unknown or unavailable, refuses a model, or dies on it.
        ArtifactError: a model that is no well-formed flatbuffer.
    """
    protocol, further = protocol or Protocol(max_rounds=MAX_ROUNDS), further or Further()
    environment = describe()  # before the measurement: afterwards the load is the measurement's own
    names = tuple(dict.fromkeys(targets))
    require_targets(fleet.require_targets(names), further)

    def measure(name: str) -> list[ArtifactResult]:
        target, told = available_target(name), fleet.stage(progress, name)

        def some(places: Places, base: int | None) -> list[ArtifactResult]:
            chosen = [artifacts[place] for place in places]
            if isinstance(target, Compiler) and not target.here:
                return [
                    _compiled(target, artifact, baseline=place == base, keep=further.keep)
                    for place, artifact in enumerate(chosen)
                ]
            return _profile_on(target, chosen, baseline=base, protocol=protocol, further=further, progress=told)

        run = partial(unless_refused, target, artifacts, some, baseline=baseline, only=len(names) == 1)
        return fleet.on_device(target, run)

    def failed(name: str, error: EdgeresError) -> list[ArtifactResult]:
        rows = [row(name, artifact, baseline=place == baseline) for place, artifact in enumerate(artifacts)]
        return fleet.failed_rows(rows, error)

    found = fleet.spread(names, measure, failed)
    downloads = [compressed(artifact.model) for artifact in artifacts]
    rows = (replace(row, download_bytes=size) for rows in found for row, size in zip(rows, downloads, strict=True))
    return Result(environment=environment, artifacts=tuple(rows))


def _profile_on(
    target: Target,
    artifacts: Sequence[Artifact],
    *,
    baseline: int | None,
    protocol: Protocol,
    further: Further,
    progress: Progress,
) -> list[ArtifactResult]:
    measured = _sessions_on(target, artifacts, baseline=baseline, protocol=protocol, progress=progress)
    return with_further(measured, artifacts, target, protocol=protocol, further=further, progress=progress)


def _sessions_on(
    target: Target, artifacts: Sequence[Artifact], *, baseline: int | None, protocol: Protocol, progress: Progress
) -> list[ArtifactResult]:
    with ExitStack() as stack:
        sessions, *others = open_in_turns(artifacts, target, stack, threads=protocol.threads)
        run = partial(latency.measure, sessions, protocol, others=others, machine=machine_of(target))
        measured = run(baseline=baseline, progress=progress) if target.timed else [None] * len(sessions)
        rows = [
            replace(
                row(target.name, artifact, baseline=place == baseline),
                latency=timing,
                memory=session.memory(),
                operators=session.operators(),
                proof=prove(artifact, session, target),
            )
            for place, (artifact, session, timing) in enumerate(zip(artifacts, sessions, measured, strict=True))
        ]
    return without_unproved_verdicts(rows, baseline=baseline)


def _compiled(target: Compiler, artifact: Artifact, *, baseline: bool, keep: Path | None) -> ArtifactResult:
    with about(artifact.path):
        made = target.compile(artifact.model)
    if keep is not None:
        write_bytes(keep / f"{plain_name(f'{artifact.name}.{target.name}')}.tflite", made.file)
    made_row = row(target.name, artifact, baseline=baseline)
    return replace(made_row, memory=made.memory, operators=made.operators, estimate=made.estimate)
