"""Images a second and energy, as the rows of tables."""

from __future__ import annotations

from collections.abc import Sequence

from edgeres.report.wording import interval
from edgeres.results import ArtifactResult

RATE_HEADS = ("artifact", "processes", "threads each", "batch", "images/s", "scaling")
ENERGY_HEADS = ("artifact", "energy of an inference", "with the idle machine's", "saving", "idle", "counter")


def rate_rows(artifacts: Sequence[ArtifactResult]) -> list[tuple[str, ...]]:
    """A row for each way in which each artifact ran; the first is one image on one thread."""
    return [
        (
            artifact.name,
            str(rate.processes),
            str(rate.threads),
            str(rate.batch),
            interval(rate.images_per_s, ""),
            interval(rate.scaling, "x", decimals=2),
        )
        for artifact in artifacts
        if artifact.throughput
        for rate in artifact.throughput
    ]


def energy_rows(artifacts: Sequence[ArtifactResult]) -> list[tuple[str, ...]]:
    """A row for each artifact whose energy was counted."""
    return [
        (
            artifact.name,
            interval(artifact.energy.inference_mj, " mJ"),
            interval(artifact.energy.gross_mj, " mJ"),
            interval(artifact.energy.saving, "x", decimals=2),
            interval(artifact.energy.idle_w, " W"),
            artifact.energy.source,
        )
        for artifact in artifacts
        if artifact.energy
    ]
