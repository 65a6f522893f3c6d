"""From what was seen of each activation to the range that its integers cover."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Literal

import numpy as np

from converters.quantization.histogram import Histogram
from converters.quantization.statistics import Statistics

Ranges = Literal["min-max", "moving-average", "mse"]
Range = tuple[float, float]

_SMOOTHING = 0.95
"""Of the moving average, as the LiteRT Quantizer has it."""

_SHRUNK = np.linspace(1, 0.3, 36)
_STEPS = 255


def ranges(found: Statistics, method: Ranges, *, outputs: Collection[str] = ()) -> dict[str, Range]:
    """Tensor name -> the lowest and the highest value that can be told apart.

    "min-max": over all images. "moving-average": of the images' extremes (0.95), which leaves rare ones out. "mse": the
    share of the whole range with the smallest mean squared error of 256 steps, rounding and clipping together
    (Nagel et al., 2021, A white paper on neural network quantization, section 3.1).

    `outputs` keep their whole range: clipped scores tie, and the answer is then the first of them.
    """
    return {
        name: (_whole if name in outputs and method == "mse" else METHODS[method])(found, column)
        for column, name in enumerate(found.names)
    }


def _whole(found: Statistics, column: int) -> Range:
    return float(found.lows[:, column].min()), float(found.highs[:, column].max())


def _averaged(found: Statistics, column: int) -> Range:
    low, high = float(found.lows[0, column]), float(found.highs[0, column])
    for image in range(1, found.images):
        low = _SMOOTHING * low + (1 - _SMOOTHING) * float(found.lows[image, column])
        high = _SMOOTHING * high + (1 - _SMOOTHING) * float(found.highs[image, column])
    return low, high


def _least_error(found: Statistics, column: int) -> Range:
    low, high = _whole(found, column)
    histogram = found.histograms[column]
    errors = [_error(histogram, low * share, high * share) for share in _SHRUNK]
    best = float(_SHRUNK[int(np.argmin(errors))])
    return low * best, high * best


def _error(histogram: Histogram, low: float, high: float) -> float:
    low, high = min(low, 0.0), max(high, 0.0)  # zero is always a step
    step = (high - low) / _STEPS
    if not step:
        return 0.0
    values = histogram.middles
    rounded = np.clip(np.round((values - low) / step), 0, _STEPS) * step + low
    return float((histogram.counts * (values - rounded) ** 2).sum())


METHODS: Mapping[Ranges, Callable[[Statistics, int], Range]] = {
    "min-max": _whole,
    "moving-average": _averaged,
    "mse": _least_error,
}
