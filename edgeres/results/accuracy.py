"""Records of how right an artifact is, and on which images that was measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgeres.results.estimate import Estimate


@dataclass(frozen=True)
class DataRecord:
    """The images a result was measured on: the first `images` of a split, dealt by `seed`, that can be decoded.

    `left_out` names those that cannot and were met on the way. `sha256` is over their contents and classes in order;
    `truth` holds the class index of each, `labels` the names.
    """

    source: str
    split: str
    images: int
    sha256: str
    seed: int = 0
    labels: tuple[str, ...] | None = None
    truth: tuple[int, ...] | None = None
    left_out: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Calibration:
    """Whether the probability that an artifact gives to its answer is how often it is right.

    `scores` says what its outputs are; of logits the softmax is taken. `ece`: the expected calibration error as a
    fraction of 1. `confidences`: the probability of the predicted class for each image.
    """

    scores: Literal["probabilities", "logits"]
    confidences: tuple[float, ...]
    ece: Estimate | None = None


@dataclass(frozen=True)
class Divergence:
    """How far the scores of an artifact are from the baseline's.

    `kl_nats`: the mean over images of the Kullback-Leibler divergence of its probabilities from the baseline's.
    `sqnr_db`: the median over images of signal to noise, the baseline's scores being the signal; None where only one of
    the two gives logits. The plurals hold the value of each image.
    """

    kls_nats: tuple[float, ...]
    sqnrs_db: tuple[float, ...] | None = None
    kl_nats: Estimate | None = None
    sqnr_db: Estimate | None = None


@dataclass(frozen=True)
class Flip:
    """An image that an artifact takes for another class than the baseline does.

    `index` is its place in the data record, `image` its name in the source; classes are indices. The margins say by
    how much probability the best class leads the second.
    """

    index: int
    image: str
    truth: int
    baseline: int
    artifact: int
    baseline_margin: float
    artifact_margin: float


@dataclass(frozen=True)
class Parity:
    """Whether the flatbuffer of a Keras file computes what Keras itself computes, on the first `images` of the data.

    `largest`: the largest difference of a probability; `accepted`: the most that passes. `flips`: every image that the
    two take for different classes, `baseline` being what Keras says.
    """

    passed: bool
    images: int
    largest: float
    accepted: float
    flips: tuple[Flip, ...]


@dataclass(frozen=True)
class Accuracy:
    """Classification accuracy; the comparisons are against the result's baseline, on the same images.

    `predictions` holds the top-1 class index for each image, in the order of the data record's `truth`. Of the images,
    `lost` were right by the baseline alone, `won` by this artifact alone. The ends of `top1_drop_bounds_points` are
    one-sided bounds, each at the estimate's level; the verdict is theirs. `images_needed` for a verdict, where these
    images are insufficient, had the rest differed as often. `mcnemar_p`: that both are right equally often.
    `class_drops_points` holds the drop for each class, None where it has no image; `missed_top5` the indices of the
    images whose truth is not among the five best; `flips` the first of the images that changed class.
    """

    images: int
    top1: Estimate
    top5: Estimate | None = None
    top1_drop_points: Estimate | None = None
    top1_drop_bounds_points: Estimate | None = None
    lost: int | None = None
    won: int | None = None
    mcnemar_p: float | None = None
    agreement: Estimate | None = None
    margin_points: float | None = None
    verdict: Literal["pass", "fail", "insufficient"] | None = None
    images_needed: int | None = None
    class_drops_points: tuple[Estimate | None, ...] | None = None
    calibration: Calibration | None = None
    divergence: Divergence | None = None
    flips: tuple[Flip, ...] | None = None
    predictions: tuple[int, ...] | None = None
    missed_top5: tuple[int, ...] | None = None
