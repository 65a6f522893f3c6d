"""Images that conversion changed: counted for each artifact, and those that changed most decidedly with their pictures.

A flip counts as the more decided the larger the smaller of the two margins: where both models were all but undecided,
another rounding may have turned the image; where both were sure, something was lost.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edgeres.data import Split
from edgeres.report.confusion import aligned, class_name
from edgeres.report.samples import thumbnail
from edgeres.report.story import Comparison
from edgeres.report.wording import NONE, number
from edgeres.results import ArtifactResult, DataRecord, Flip

CAP = 24
"""At most as many images are shown."""


@dataclass(frozen=True)
class Said:
    """What one artifact took an image for, by which margin of probability, and whether that is right."""

    name: str
    label: str
    right: bool
    margin: str


@dataclass(frozen=True)
class Changed:
    """An image, its true class, and what the baseline and those said that disagree; `picture` is a data URI."""

    where: str
    truth: str
    baseline: Said
    others: tuple[Said, ...]
    picture: str | None


@dataclass(frozen=True)
class Count:
    """How many images one artifact takes for another class than the baseline: lost, won, and wrong either way."""

    name: str
    changed: int
    lost: int
    won: int
    wrong: int


@dataclass(frozen=True)
class Flips:
    """The counts of each artifact over `images`, and of the `total` images that any changed, those that are shown."""

    images: int
    total: int
    counts: tuple[Count, ...]
    items: tuple[Changed, ...]


@dataclass(frozen=True)
class _Turned:
    """A flip by one artifact; margins are None where the result keeps none of this image."""

    artifact: ArtifactResult
    before: int
    after: int
    margins: tuple[float, float] | None

    @property
    def decided(self) -> float:
        return min(self.margins) if self.margins else -1.0


def flips(comparison: Comparison, split: Split | None) -> Flips | None:
    """The images whose class another artifact changed; None where the results keep no two predictions to compare.

    `split`: the reopened images; None where they are not at hand: then there are no pictures.
    """
    data, by_image, counts = comparison.data, dict[int, list[_Turned]](), []
    if data is None or not data.truth:
        return None
    for artifact in comparison.others:
        turned = _turned(comparison, artifact, data)
        if turned is None:
            continue
        counts.append(_count(comparison.label(artifact), turned, data.truth))
        for index, each in turned.items():
            by_image.setdefault(index, []).append(each)
    if not counts:
        return None
    decided = sorted(by_image, key=lambda index: (-max(each.decided for each in by_image[index]), index))
    items = _shown(comparison, data, split, [(index, by_image[index]) for index in decided])
    return Flips(data.images, len(by_image), tuple(counts), tuple(items))


def _turned(comparison: Comparison, artifact: ArtifactResult, data: DataRecord) -> dict[int, _Turned] | None:
    """The artifact's flips by the image's place."""
    baseline = comparison.baseline_of(artifact)
    before, after = aligned(baseline, data) if baseline else None, aligned(artifact, data)
    if before is None or after is None:
        return None
    kept = {flip.index: flip for flip in (artifact.accuracy and artifact.accuracy.flips) or ()}
    return {
        index: _Turned(artifact, first, second, _margins(kept.get(index)))
        for index, (first, second) in enumerate(zip(before, after, strict=True))
        if first != second
    }


def _margins(flip: Flip | None) -> tuple[float, float] | None:
    return None if flip is None else (flip.baseline_margin, flip.artifact_margin)


def _count(name: str, turned: dict[int, _Turned], truth: Sequence[int]) -> Count:
    lost = sum(each.before == truth[index] for index, each in turned.items())
    won = sum(each.after == truth[index] for index, each in turned.items())
    return Count(name, len(turned), lost, won, len(turned) - lost - won)


def _shown(
    comparison: Comparison, data: DataRecord, split: Split | None, found: Sequence[tuple[int, list[_Turned]]]
) -> Iterator[Changed]:
    names = {
        flip.index: flip.image
        for artifact in comparison.others
        for flip in (artifact.accuracy and artifact.accuracy.flips) or ()
    }
    for index, turned in found[:CAP]:
        truth = (data.truth or ())[index]
        first = turned[0]
        baseline = comparison.baseline_of(first.artifact)
        where = split.where(index) if split else names.get(index, f"image {index}")
        yield Changed(
            where,
            class_name(data, truth),
            _said(data, comparison.label(baseline) if baseline else NONE, first.before, truth, first.margins, 0),
            tuple(_said(data, comparison.label(each.artifact), each.after, truth, each.margins, 1) for each in turned),
            thumbnail(split, index) if split else None,
        )


def _said(data: DataRecord, name: str, index: int, truth: int, margins: tuple[float, float] | None, side: int) -> Said:
    margin = f"{number(100 * margins[side], 1)} %" if margins else ""
    return Said(name, class_name(data, index), index == truth, margin)
