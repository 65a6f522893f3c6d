"""What the scores say beyond the best class, as the texts of a table: calibration, divergence, flips, worst class."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edgeres.report.confusion import class_name
from edgeres.report.wording import NONE, interval
from edgeres.results import Accuracy, ArtifactResult, DataRecord

HEADS = ("artifact", "scores", "ECE", "KL", "SQNR", "McNemar p", "flipped", "largest drop of a class")


@dataclass(frozen=True)
class ScoreTable:
    """The heads of the columns that hold anything, and a row of as many texts for each artifact."""

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def score_table(
    artifacts: Sequence[ArtifactResult], data: DataRecord | None, *, label: Callable[[ArtifactResult], str]
) -> ScoreTable | None:
    """Calibration error, divergence from the baseline, and where it shows; None where no artifact has scores.

    `label` names an artifact.
    """
    rows = [
        (label(artifact), *_cells(artifact.accuracy, data))
        for artifact in artifacts
        if artifact.accuracy and artifact.accuracy.calibration
    ]
    if not rows:
        return None
    kept = [place for place in range(len(HEADS)) if any(row[place] != NONE for row in rows)]
    return ScoreTable(tuple(HEADS[place] for place in kept), tuple(tuple(row[place] for place in kept) for row in rows))


def _cells(accuracy: Accuracy, data: DataRecord | None) -> tuple[str, ...]:
    calibration, divergence = accuracy.calibration, accuracy.divergence
    flipped = None if accuracy.agreement is None else round(accuracy.images * (1 - accuracy.agreement.value))
    return (
        calibration.scores if calibration else NONE,
        interval(calibration.ece if calibration else None, " points", factor=100, decimals=2),
        interval(divergence.kl_nats if divergence else None, " nats"),
        interval(divergence.sqnr_db if divergence else None, " dB", decimals=1),
        NONE if accuracy.mcnemar_p is None else f"{accuracy.mcnemar_p:.2g}",
        NONE if flipped is None else f"{flipped:,} of {accuracy.images:,}",
        _worst(accuracy, data),
    )


def _worst(accuracy: Accuracy, data: DataRecord | None) -> str:
    drops = [(drop.value, index, drop) for index, drop in enumerate(accuracy.class_drops_points or ()) if drop]
    if not drops or data is None:
        return NONE
    _, index, drop = max(drops, key=lambda each: (each[0], -each[1]))
    return f"{class_name(data, index)}: {interval(drop, ' points', decimals=2)}"
