"""Which classes are taken for which: counted from the truth and the predictions that a result keeps."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from edgeres.report.story import Comparison
from edgeres.results import ArtifactResult, DataRecord

HEATMAP_CLASSES = 50
"""A matrix of more classes than this cannot be read; the most confused pairs can."""


@dataclass(frozen=True)
class Confusion:
    """One artifact's counts: `pairs[true, predicted]`, classes by index."""

    name: str
    pairs: Counter[tuple[int, int]]


@dataclass(frozen=True)
class Confusions:
    """The confusions of one comparison's artifacts, over `classes` (indices), which `labels` names in that order."""

    classes: tuple[int, ...]
    labels: tuple[str, ...]
    artifacts: tuple[Confusion, ...]

    @property
    def fits_heatmap(self) -> bool:
        """Whether the classes are few enough for a matrix."""
        return len(self.labels) <= HEATMAP_CLASSES

    def matrix(self, artifact: Confusion) -> list[list[int]]:
        """Counts as rows of true classes and columns of predicted ones: (classes, classes)."""
        return [[artifact.pairs[true, predicted] for predicted in self.classes] for true in self.classes]

    def worst(self, count: int) -> tuple[tuple[str, str, tuple[int, ...]], ...]:
        """The most confused pairs: (true, predicted, number of images for each artifact), most first."""
        total: Counter[tuple[int, int]] = Counter()
        for artifact in self.artifacts:
            total.update({pair: n for pair, n in artifact.pairs.items() if pair[0] != pair[1]})
        names = dict(zip(self.classes, self.labels, strict=True))
        return tuple(
            (names[pair[0]], names[pair[1]], tuple(each.pairs[pair] for each in self.artifacts))
            for pair, _ in sorted(total.items(), key=lambda item: (-item[1], item[0]))[:count]
        )


def confusions(comparison: Comparison) -> Confusions | None:
    """Count every artifact's predictions against the truth, or None where a result keeps neither."""
    data = comparison.data
    if data is None or not data.truth:
        return None
    counted = tuple(
        Confusion(comparison.label(artifact), Counter(zip(data.truth, predictions, strict=True)))
        for artifact in comparison.artifacts
        if (predictions := aligned(artifact, data)) is not None
    )
    if not counted:
        return None
    # Only the classes that are named or occur: an index far beyond the labels adds one class, not a million.
    occurring = {index for artifact in counted for pair in artifact.pairs for index in pair}
    classes = tuple(sorted(occurring | set(range(len(data.labels or ())))))
    return Confusions(classes, tuple(class_name(data, index) for index in classes), counted)


def aligned(artifact: ArtifactResult, data: DataRecord) -> tuple[int, ...] | None:
    """The artifact's predictions, where it keeps one for each image of the data."""
    predictions = artifact.accuracy.predictions if artifact.accuracy else None
    return predictions if predictions and data.truth and len(predictions) == len(data.truth) else None


def class_name(data: DataRecord, index: int) -> str:
    """The name of a class, or `class 12` where the data has none for it."""
    labels = data.labels or ()
    return labels[index] if 0 <= index < len(labels) else f"class {index}"
