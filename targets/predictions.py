"""What artifacts said of each image, taken in batch by batch: what is kept of an image is a few numbers.

Scores are kept as what the figures need: the best class, whether the truth was among the five best, the probability of
the best, and, against a baseline, how far the scores are from its own. Stored numbers are rounded when they are taken
in, so that every figure follows from what a result holds.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgeres.results import Accuracy, Flip

Kind = Literal["probabilities", "logits"]

MOST_FLIPS = 1000
"""At most as many flips are listed; splits are shuffled, so the first are a random sample of them."""

SQNR_LIMIT_DB = 150.0
"""Equal scores count as this much: float32 itself resolves 144 dB."""

SMALLEST = 1e-7
"""The least probability of a class in a divergence; for quantized outputs it is half a step."""

SUM_TOLERANCE = 1e-3

Scores = NDArray[np.float32]
"""float32 (n, classes), dequantized, in the data set's order of classes."""


def kind_of(scores: Scores, *, step: float = 0.0) -> Kind:
    """What the scores of a batch are: probabilities lie in 0…1 and add up to 1, but for the rounding of each.

    `step` is the quantization step of the outputs, 0 for float ones.
    """
    slack = SUM_TOLERANCE + step * scores.shape[1]
    sums = np.abs(scores.sum(axis=1, dtype=np.float64) - 1) <= slack
    within = (scores >= -SUM_TOLERANCE) & (scores <= 1 + SUM_TOLERANCE)
    return "probabilities" if bool(sums.all() and within.all()) else "logits"


def probabilities(scores: Scores, kind: Kind, *, step: float = 0.0) -> NDArray[np.float64]:
    """The scores as positive probabilities that add up to 1: float64 (n, classes); the softmax of logits."""
    values = scores.astype(np.float64)
    if kind == "logits":
        values = np.exp(values - values.max(axis=1, keepdims=True))
        values /= values.sum(axis=1, keepdims=True)
    values = np.maximum(values, max(SMALLEST, step / 2 if kind == "probabilities" else 0))
    return np.asarray(values / values.sum(axis=1, keepdims=True))


@dataclass
class Predictions:
    """What one artifact said of the images so far. `step` is the quantization step of its outputs, 0 for float ones.

    `top1`: the best class of each image. `missed_top5`: the images whose truth was not among the five best.
    `kind`: what the scores are, by the first batch. `confidences`: the probability of the best class.
    Against a baseline: `sqnrs_db` and `kls_nats`, one of each for an image, and the `flips`.
    """

    step: float = 0.0
    top1: list[int] = field(default_factory=list)
    missed_top5: list[int] = field(default_factory=list)
    kind: Kind | None = None
    confidences: array[float] = field(default_factory=lambda: array("d"))
    sqnrs_db: array[float] = field(default_factory=lambda: array("d"))
    kls_nats: array[float] = field(default_factory=lambda: array("d"))
    flips: list[Flip] = field(default_factory=list)

    def add(self, scores: Scores, truth: NDArray[np.int64]) -> NDArray[np.float64]:
        """Take in a batch, truth int64 (n,), and return its probabilities. Of equal scores the first class wins."""
        own = scores[np.arange(len(truth)), truth][:, np.newaxis]
        earlier = np.arange(scores.shape[1]) < truth[:, np.newaxis]
        rank = np.count_nonzero((scores > own) | ((scores == own) & earlier), axis=1)
        self.missed_top5 += (np.flatnonzero(rank >= 5) + len(self.top1)).tolist()
        self.top1 += scores.argmax(axis=1).tolist()
        self.kind = self.kind or kind_of(scores, step=self.step)
        shares = probabilities(scores, self.kind, step=self.step)
        self.confidences.extend(round(float(share), 4) for share in shares.max(axis=1))
        return shares

    def compare(self, own: Batch, baseline: Batch, truth: NDArray[np.int64], where: Callable[[int], str]) -> None:
        """Take in how this artifact's scores of a batch, added already, differ from the baseline's.

        `where` names the image at a position of the split.
        """
        if own.kind == baseline.kind:
            self.sqnrs_db.extend(float(f"{value:.4g}") for value in _sqnr_db(baseline.scores, own.scores))
        kl = (baseline.shares * (np.log(baseline.shares) - np.log(own.shares))).sum(axis=1)
        self.kls_nats.extend(float(f"{max(0.0, value):.4g}") for value in kl)
        before, after = baseline.scores.argmax(axis=1), own.scores.argmax(axis=1)
        start = len(self.top1) - len(truth)
        margins = _margins(baseline.shares), _margins(own.shares)
        for place in np.flatnonzero(before != after)[: MOST_FLIPS - len(self.flips)]:
            self.flips.append(
                Flip(
                    index=start + int(place),
                    image=where(start + int(place)),
                    truth=int(truth[place]),
                    baseline=int(before[place]),
                    artifact=int(after[place]),
                    baseline_margin=round(float(margins[0][place]), 4),
                    artifact_margin=round(float(margins[1][place]), 4),
                )
            )

    @classmethod
    def stored(cls, accuracy: Accuracy) -> Predictions:
        """What a result holds of them."""
        calibration, divergence = accuracy.calibration, accuracy.divergence
        return cls(
            top1=list(accuracy.predictions or ()),
            missed_top5=list(accuracy.missed_top5 or ()),
            kind=calibration.scores if calibration else None,
            confidences=array("d", calibration.confidences if calibration else ()),
            sqnrs_db=array("d", (divergence.sqnrs_db or ()) if divergence else ()),
            kls_nats=array("d", divergence.kls_nats if divergence else ()),
            flips=list(accuracy.flips or ()),
        )


@dataclass(frozen=True)
class Batch:
    """The scores that one artifact gave to the images of a batch, and the probabilities that they stand for."""

    scores: Scores
    shares: NDArray[np.float64]
    kind: Kind | None


def _sqnr_db(reference: Scores, scores: Scores) -> NDArray[np.float64]:
    """10 log10 of signal over noise, image by image: float64 (n,)."""
    signal = np.square(reference, dtype=np.float64).sum(axis=1)
    noise = np.square(scores.astype(np.float64) - reference).sum(axis=1)
    ratio = np.divide(signal, noise, out=np.full_like(noise, np.inf), where=noise > 0)
    ratio = np.maximum(ratio, np.finfo(np.float64).tiny)  # of a signal that is zero
    return np.asarray(np.clip(10 * np.log10(ratio), -SQNR_LIMIT_DB, SQNR_LIMIT_DB))


def _margins(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """By how much the best class leads: float64 (n,)."""
    best = np.partition(shares, -2, axis=1)[:, -2:] if shares.shape[1] > 1 else np.pad(shares, ((0, 0), (1, 0)))
    return np.asarray(best[:, 1] - best[:, 0])
