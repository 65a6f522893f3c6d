"""From what artifacts said of each image to figures with their intervals, and to a verdict."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from edgeres.results import Accuracy, Calibration, Divergence, Estimate
from targets.calibration import calibration_error
from targets.paired import accuracy_drop, accuracy_verdict, drop_bounds, images_for_verdict, mcnemar, pairs
from targets.predictions import Predictions
from targets.stats import MEAN_FLOOR, mean, proportion, quantile


def score(
    own: Predictions,
    truth: NDArray[np.int64],
    *,
    classes: int,
    baseline: Predictions | None = None,
    margin_points: float = 1.0,
) -> Accuracy:
    """The figures of one artifact; against the baseline's predictions on the same images, where there is one.

    A mean or a median over fewer than 30 images is left out: it has no interval.
    """
    top1, n = np.asarray(own.top1), len(truth)
    right = top1 == truth
    accuracy = Accuracy(
        images=n,
        top1=proportion(int(right.sum()), n),
        top5=proportion(n - len(own.missed_top5), n) if classes > 5 else None,
        calibration=_calibration(own, right),
        predictions=tuple(own.top1),
        missed_top5=tuple(own.missed_top5) if classes > 5 else None,
    )
    if baseline is None:
        return accuracy
    theirs = np.asarray(baseline.top1)
    counted = pairs(theirs == truth, right)
    bounds = drop_bounds(counted)
    verdict = accuracy_verdict(bounds, margin_points=margin_points)
    more = images_for_verdict(counted, margin_points=margin_points) if verdict == "insufficient" else None
    return replace(
        accuracy,
        top1_drop_points=accuracy_drop(counted),
        top1_drop_bounds_points=bounds,
        lost=counted.lost,
        won=counted.won,
        mcnemar_p=mcnemar(counted),
        agreement=proportion(int((top1 == theirs).sum()), n),
        margin_points=margin_points,
        verdict=verdict,
        images_needed=more,
        class_drops_points=tuple(_class_drop(theirs == truth, right, truth == each) for each in range(classes)),
        divergence=_divergence(own),
        flips=tuple(own.flips),
    )


def _class_drop(before: NDArray[np.bool_], after: NDArray[np.bool_], among: NDArray[np.bool_]) -> Estimate | None:
    return accuracy_drop(pairs(before[among], after[among])) if among.any() else None


def _calibration(own: Predictions, right: NDArray[np.bool_]) -> Calibration | None:
    if own.kind is None:
        return None
    confidences = tuple(own.confidences)
    return Calibration(own.kind, confidences, calibration_error(confidences, right) if _enough(confidences) else None)


def _divergence(own: Predictions) -> Divergence | None:
    if not own.kls_nats:
        return None
    kls, sqnrs = tuple(own.kls_nats), tuple(own.sqnrs_db)
    kl = mean(kls) if _enough(kls) else None
    return Divergence(
        kls_nats=kls,
        sqnrs_db=sqnrs or None,
        kl_nats=replace(kl, low=max(0.0, kl.low)) if kl else None,
        sqnr_db=quantile(sqnrs, 0.5) if _enough(sqnrs) else None,
    )


def _enough(values: tuple[float, ...]) -> bool:
    return len(values) >= MEAN_FLOOR
