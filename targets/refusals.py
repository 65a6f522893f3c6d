"""Artifacts that a target refuses while it runs others: they have rows that say why, and nothing else is lost."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from edgeres.errors import EdgeresError, ModelError, TargetError
from edgeres.results import ArtifactResult
from targets.artifact import Artifact
from targets.catalogue import about, open_session
from targets.devices.device import DeviceTarget
from targets.devices.fleet import failed_rows
from targets.row import row
from targets.runtimes.session import classifier_graph
from targets.target import Compiler, Target

Places = tuple[int, ...]
"""Which of the artifacts."""


def unless_refused(
    target: Target,
    artifacts: Sequence[Artifact],
    measure: Callable[[Places, int | None], list[ArtifactResult]],
    *,
    baseline: int | None,
    only: bool,
) -> list[ArtifactResult]:
    """A row for each artifact: what `measure` gives, or the reason why the target refuses that artifact.

    `measure`: of the artifacts at some places, and the place among them of their baseline. `only`: no other target is
    measured; what it refuses altogether is an error then.

    Raises:
        EdgeresError: what `measure` raises, unless the target refuses some artifacts and not others.
    """
    try:
        return measure(tuple(range(len(artifacts))), baseline)
    except (ModelError, TargetError):
        if isinstance(target, DeviceTarget) or (only and len(artifacts) == 1):
            raise
        refused = {place: error for place, each in enumerate(artifacts) if (error := _refusal(each, target))}
        if not refused or (only and len(refused) == len(artifacts)):
            raise
    rest = tuple(place for place in range(len(artifacts)) if place not in refused)
    rows = measure(rest, rest.index(baseline) if baseline in rest else None) if rest else []
    found = dict(zip(rest, rows, strict=True))
    for place, error in refused.items():
        empty = row(target.name, artifacts[place], baseline=place == baseline)
        (found[place],) = failed_rows([empty], error)
    return [found[place] for place in range(len(artifacts))]


def _refusal(artifact: Artifact, target: Target) -> EdgeresError | None:
    """What a target has against an artifact.

    Raises:
        ModelError: the artifact is no classifier, on whatever target.
    """
    with about(artifact.path):
        classifier_graph(artifact.model)
    try:
        if isinstance(target, Compiler) and not target.here:
            with about(artifact.path):
                target.compile(artifact.model)
        else:
            open_session(artifact, target).close()
    except (ModelError, TargetError) as error:
        return error
    return None
