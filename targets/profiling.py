"""`profile` without the command line: latency, memory, operators and size of artifacts, as a result."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

from edgeres.progress import Progress, silent
from edgeres.results import ArtifactResult, Result
from targets import latency
from targets.artifact import Artifact
from targets.catalogue import available_target, open_session
from targets.compression import compressed
from targets.environment import describe
from targets.latency import Protocol
from targets.target import Target


def profile(
    artifacts: Sequence[Artifact],
    *,
    baseline: int | None = None,
    targets: Sequence[str] = ("cpu",),
    protocol: Protocol | None = None,
    progress: Progress = silent,
) -> Result:
    """Measure every artifact on every target; `baseline` is the place of the one that the others are compared with.

    One target after the other: comparisons are within a target only.

    Raises:
        TargetError: a target that is unknown or unavailable, refuses a model, or dies on it.
        ArtifactError: a model that is no well-formed flatbuffer.
    """
    protocol = protocol or Protocol()
    environment = describe()  # before the measurement: afterwards the load is the measurement's own
    places = [available_target(name) for name in dict.fromkeys(targets)]
    rows: list[ArtifactResult] = []
    for target in places:
        rows += _profile_on(target, artifacts, baseline=baseline, protocol=protocol, progress=progress)
    return Result(environment=environment, artifacts=tuple(rows))


def _profile_on(
    target: Target, artifacts: Sequence[Artifact], *, baseline: int | None, protocol: Protocol, progress: Progress
) -> list[ArtifactResult]:
    with ExitStack() as stack:
        sessions = [
            stack.enter_context(open_session(artifact, target, threads=protocol.threads)) for artifact in artifacts
        ]
        measured = (
            latency.measure(sessions, protocol, baseline=baseline, progress=progress)
            if target.timed
            else [None] * len(sessions)
        )
        return [
            ArtifactResult(
                name=artifact.name,
                path=artifact.path,
                sha256=artifact.sha256,
                size_bytes=len(artifact.model),
                download_bytes=compressed(artifact.model),
                target=target.name,
                baseline=place == baseline,
                latency=timing,
                memory=session.memory(),
                operators=session.operators(),
            )
            for place, (artifact, session, timing) in enumerate(zip(artifacts, sessions, measured, strict=True))
        ]
