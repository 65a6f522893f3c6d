"""Calibration: is a model that is 90 % sure right nine times in ten?"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgeres.results import Estimate
from targets.stats import LEVEL, mean

BINS = 15


def calibration_error(confidences: ArrayLike, right: NDArray[np.bool_], *, level: float = LEVEL) -> Estimate:
    """The expected calibration error (ECE) over 15 bins of equal width, as a fraction of 1.

    `confidences`: the probability of the predicted class, float (n,) in 0…1; `right`: bool (n,). Guo et al. 2017, "On
    calibration of modern neural networks": the mean over images of right − confidence, each with the sign of its bin.
    The interval is that mean's, the signs taken as given. An ECE of few images is too high by chance, for a bin's
    deviation counts whichever way it goes.

    Raises:
        ValueError: fewer than 30 images.
    """
    values = np.asarray(confidences, np.float64)
    bins = np.clip(np.ceil(values * BINS).astype(np.int64) - 1, 0, BINS - 1)  # a bin holds its upper end
    deviations = right - values
    signs = np.sign(np.bincount(bins, deviations, BINS))
    found = mean(signs[bins] * deviations, level=level)
    method = f"expected calibration error over {BINS} bins, normal interval"
    return Estimate(found.value, max(0.0, found.low), min(1.0, found.high), level, method, found.n)
