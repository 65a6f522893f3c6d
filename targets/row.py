"""A row of a result: one artifact on one target."""

from __future__ import annotations

from edgeres.results import ArtifactResult
from targets.artifact import Artifact


def row(target: str, artifact: Artifact, *, baseline: bool) -> ArtifactResult:
    """What is known of an artifact before anything of it is measured on a target."""
    return ArtifactResult(
        name=artifact.name,
        path=artifact.path,
        sha256=artifact.sha256,
        size_bytes=len(artifact.model),
        target=target,
        baseline=baseline,
    )
