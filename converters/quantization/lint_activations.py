"""The linter's rules on what calibration images make of each activation: constants, outlier channels, few steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from converters.quantization.activations import Activation
from converters.quantization.statistics import Statistics
from edgeres.calibration import Coverage
from edgeres.findings import Finding

OUTLIER = 32
"""A channel so many times larger than the median one leaves that three of eight bits."""

FEW_STEPS = 32
"""Of 256: the middle 99.9 % of the values are left five bits."""

_CONSTANT = 1e-6
_FEWEST_CHANNELS = 4
"""With fewer of them there is no median to speak of."""

_LISTED = 3

Rule = Callable[[Statistics, Activation, "Coverage | None"], "Finding | None"]


def activation_findings(
    found: Statistics, seen: tuple[Activation, ...], covered: Mapping[int, Coverage]
) -> Iterator[Finding]:
    """What is to be said of the activations; `covered`: by column, of those that become integers.

    What a layer only hands on is told of the layer that it begins with.
    """
    for rule in (_constant, _outlier, _few_steps):
        told = {each.column: rule(found, each, covered.get(each.column)) for each in seen}
        for activation in seen:
            finding = told[activation.column]
            if finding is not None and not any(told[before] for before in activation.inputs):
                yield finding


def _constant(found: Statistics, activation: Activation, covered: Coverage | None) -> Finding | None:  # noqa: ARG001
    """An output that is the same number everywhere; a last one that is the same for all images."""
    low, high = float(found.lows[:, activation.column].min()), float(found.highs[:, activation.column].max())
    last = activation.column == len(found.names) - 1
    spread = float(np.ptp(found.scores, axis=0).max()) if last and found.images > 1 else high - low
    if spread > _CONSTANT * max(abs(low), abs(high)):
        return None
    what = "the same for all images" if high > low else f"{low:.4g} everywhere in all images"
    consequence = f"its output is {what}: what follows learns nothing of the image, and other values would be clipped"
    fix = "look at its weights, and at the preprocessing: a ReLU whose inputs are all negative is dead"
    return Finding("constant activation", activation.layer, consequence, fix, "warning")


def _outlier(found: Statistics, activation: Activation, covered: Coverage | None) -> Finding | None:
    """An output with a channel that is far larger than the others, which have to share its scale."""
    peaks = found.peaks[activation.column]
    alive = peaks[peaks > 0]
    if not _in_eight_bits(activation, covered) or len(peaks) < _FEWEST_CHANNELS or not len(alive):
        return None
    usual = float(np.median(alive))
    far: NDArray[np.int64] = np.flatnonzero(peaks > OUTLIER * usual)
    if not len(far):
        return None
    named = ", ".join(map(str, far[:_LISTED])) + (f" and {len(far) - _LISTED} more" if len(far) > _LISTED else "")
    consequence = (
        f"of {len(peaks)} channels {named} reach{'es' * (len(far) == 1)} {peaks.max():.4g}, the median one "
        f"{usual:.4g}: with one scale for all that has {256 * usual / float(peaks.max()):.1f} of 256 steps"
    )
    layers = ", ".join(dict.fromkeys((activation.layer, *activation.readers)))
    # Not int16x8: the weights that make up for it in what reads it would be rounded to nothing.
    fix = f"keep what writes and what reads it in float32 (`quantize.layers`): {layers}"
    return Finding("outlier channel", activation.layer, consequence, fix, "warning")


def _few_steps(found: Statistics, activation: Activation, covered: Coverage | None) -> Finding | None:
    """An output whose range a few values set, and the others use little of."""
    if covered is None or not _in_eight_bits(activation, covered) or covered.used_steps >= FEW_STEPS:
        return None
    if _constant(found, activation, covered) is not None:
        return None
    reach = f"{covered.seen_low:.4g} to {covered.seen_high:.4g}"
    consequence = (
        f"the middle 99.9 % of its values use {covered.used_steps} of 256 steps: the others reach from {reach}"
    )
    fix = "--set quantize.ranges=mse, or int16x8 for this layer (`quantize.layers`)"
    return Finding("few steps", activation.layer, consequence, fix, "warning")


def _in_eight_bits(activation: Activation, covered: Coverage | None) -> bool:
    """Of a softmax it does not matter: that one class is sure and another is not is no outlier."""
    return covered is not None and covered.steps == 256 and activation.kind != "SOFTMAX"
