"""How well the steps of an activation's integers are spread over what calibration images make of it."""

from __future__ import annotations

from converters.quantization.activations import Activation
from converters.quantization.statistics import Statistics
from edgeres.calibration import Coverage
from targets.schema import ZERO_POINT_RANGE

MIDDLE = 0.999
"""The share of the values whose steps are counted: the others may be as rare as one pixel of one image."""


def coverage(found: Statistics, activation: Activation) -> Coverage | None:
    """Range, saturation and steps of an activation; None where it stays float."""
    tensor, column = activation.stored, activation.column
    if tensor is None:
        return None
    scale, (lowest, highest) = tensor.scales[0], ZERO_POINT_RANGE[tensor.dtype]
    low, high = ((end - tensor.zero_points[0]) * scale for end in (lowest, highest))
    histogram = found.histograms[column]
    first, last = (min(max(end, low), high) for end in histogram.central(MIDDLE))
    return Coverage(
        layer=activation.layer,
        tensor=found.names[column],
        dtype=tensor.dtype,
        low=low,
        high=high,
        seen_low=float(found.lows[:, column].min()),
        seen_high=float(found.highs[:, column].max()),
        # Half a step beyond an end is still rounded to it.
        saturated_share=histogram.outside(low - scale / 2, high + scale / 2),
        steps=highest - lowest + 1,
        used_steps=round(last / scale) - round(first / scale) + 1,
    )
