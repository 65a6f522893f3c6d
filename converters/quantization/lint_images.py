"""The linter's rules on calibration images: what cannot be calibrated with, and what says little."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from converters.quantization.fitting_preset import Fit
from converters.quantization.statistics import Statistics
from converters.quantization.thumbnails import copies, flat
from edgeres.data import Split
from edgeres.errors import DataError
from edgeres.findings import Finding
from edgeres.preprocess import Preprocess
from edgeres.results import Estimate
from targets.stats import proportion

FEW = 100
"""Fewer images are told of."""

_FEW_COPIES = 0.01
"""Of the images; more copies than that are a warning."""

_PLACE = "images"


def require_usable(found: Statistics, contract: Preprocess) -> None:
    """Refuse inputs that no image gives, and images that show a network nothing.

    Raises:
        DataError: values beyond what the contract makes of 0…255, images of a single colour, or all the same.
    """
    ends = contract.normalize(np.repeat(np.array([[0], [255]], np.uint8), contract.depth, axis=1))
    low, high = float(ends.min()), float(ends.max())
    seen = float(found.lows[:, 0].min()), float(found.highs[:, 0].max())
    if seen[0] < low or seen[1] > high:
        raise DataError(
            f"calibration inputs reach from {seen[0]:.4g} to {seen[1]:.4g}",
            details=(f"the preprocessing makes {low:.4g} to {high:.4g} of pixels",),
            fix="calibrate with inputs that this preprocessing made",
        )
    fix = "look at them: `edgeres data SOURCE --out page.html` shows samples of each class"
    if flat(found.thumbnails).all():
        raise DataError(f"each of the {found.images} calibration images is of a single colour", fix=fix)
    if found.images > 1 and not np.ptp(found.thumbnails, axis=0).any() and not np.ptp(found.scores, axis=0).any():
        raise DataError(f"the {found.images} calibration images are all the same", fix=fix)


def image_findings(found: Statistics, split: Split, labels: tuple[str, ...], available: int) -> Iterator[Finding]:
    """What is to be said of the images; `available`: how many the calibration split has."""
    yield from _few(len(split), available)
    yield from _missing(split, labels)
    same, turned = copies(found.thumbnails)
    if same:
        yield _copied(split, same, "repeated images", "are copies of others among them, and add nothing")
    if turned:
        what = "are mirrored or turned copies of others among them: augmented images, which the model will not meet"
        yield _copied(split, turned, "augmented images", what)


def _few(images: int, available: int) -> Iterator[Finding]:
    if images < FEW:
        more = f"--set quantize.images={min(available, 256)}" if available > images else ""
        fix = more or "add images to the data set; a tenth of its training images is for calibration"
        consequence = f"ranges follow from {images} images: what others show beyond them is clipped"
        yield Finding("few images", _PLACE, consequence, fix, "warning")


def _missing(split: Split, labels: tuple[str, ...]) -> Iterator[Finding]:
    counts = np.bincount(split.classes, minlength=len(labels))
    absent = [label for label, count in zip(labels, counts, strict=True) if not count]
    if absent:
        named = ", ".join(absent[:5]) + (f" and {len(absent) - 5:,} more" if len(absent) > 5 else "")
        consequence = f"no image of {len(absent):,} of {len(labels):,} classes ({named}): activations that they alone "
        consequence += "cause are clipped"
        can = len(split) >= len(labels)
        fix = "add images of these classes" if can else f"--set quantize.images={len(labels)}, if there are so many"
        yield Finding("missing classes", _PLACE, consequence, fix, "warning" if can else "note")


def _copied(split: Split, pairs: list[tuple[int, int]], rule: str, what: str) -> Finding:
    first, later = pairs[0]
    consequence = f"{len(pairs)} of {len(split)} {what} (first: {split.where(later)}, of {split.where(first)})"
    severity = "warning" if len(pairs) > _FEW_COPIES * len(split) else "note"
    return Finding(rule, _PLACE, consequence, "remove them from the data set, or keep each image once", severity)


def require_fitting_preset(fit: Fit | None, *, source: str, carries: bool) -> None:
    """Refuse a preprocessing that is not what the model was trained with; `carries`: the model's file says that it is.

    Raises:
        DataError: names the preset that fits.
    """
    if fit is not None and fit.certain and not carries:
        raise DataError(
            f"{source} was trained with another preprocessing than the one given: '{fit.preset}' fits",
            details=(_compared(fit),),
            fix=f"--preprocess {fit.preset}",
        )


def accuracy_findings(found: Statistics, split: Split, fit: Fit | None) -> Iterator[Finding]:
    """What the float model's answers say of its preprocessing, where they do not refuse it."""
    if fit is not None:
        fix = f"try --preprocess {fit.preset}, or train the model with the preprocessing that it carries"
        yield Finding(
            "other preprocessing", _PLACE, f"the preset '{fit.preset}' fits better: {_compared(fit)}", fix, "warning"
        )
        return
    top1, guess = calibration_top1(found, split), float(np.bincount(split.classes).max() / len(split))
    if top1.low <= guess:
        consequence = f"float32 is right on {_share(top1)} of the images, no more than by always giving one class: "
        consequence += "ranges of a network that does not work say nothing"
        yield Finding(
            "no accuracy", _PLACE, consequence, "check preprocessing, order of the classes, and training", "warning"
        )


def calibration_top1(found: Statistics, split: Split) -> Estimate:
    """How often the float model is right on the calibration images."""
    return proportion(int((found.scores.argmax(axis=1) == split.classes).sum()), len(split))


def _compared(fit: Fit) -> str:
    low, high = fit.gain_points.low, fit.gain_points.high
    return (
        f"float32 is right on {_share(fit.given)} of {fit.given.n} images as given, on {_share(fit.fitting)} with "
        f"'{fit.preset}': {fit.gain_points.value:+.1f} points [{low:+.1f}, {high:+.1f}]"
    )


def _share(estimate: Estimate) -> str:
    return f"{estimate.value:.1%}"
