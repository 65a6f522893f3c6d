from __future__ import annotations

import numpy as np
import pytest

from targets.calibration import BINS, calibration_error


def test_it_is_the_weighted_distance_of_the_bins() -> None:
    # 40 images at 0.95 of which 30 are right, 60 at 0.55 of which 33 are: 0.4 * 0.2 + 0.6 * 0.
    confidences = np.repeat([0.95, 0.55], [40, 60])
    right = np.concatenate([np.arange(40) < 30, np.arange(60) < 33])
    found = calibration_error(confidences, right)
    assert found.value == pytest.approx(0.08)
    assert found.low < found.value < found.high
    assert (found.n, str(BINS) in found.method) == (100, True)


def test_deviations_of_one_bin_cancel_and_those_of_two_do_not() -> None:
    one = calibration_error([0.94, 0.96] * 50, np.tile([True, True, True, False], 25))
    assert one.value == pytest.approx(0.2)
    two = calibration_error([1.0] * 50 + [0.5] * 50, np.arange(100) % 2 == 0)
    assert two.value == pytest.approx(0.25)


@pytest.mark.parametrize("shift", [0.05, 0.15])
def test_its_interval_covers_a_true_error(shift: float) -> None:
    random = np.random.default_rng(0)
    hits = 0
    for _ in range(300):
        confidences = random.uniform(0.3, 0.99, 2000)
        found = calibration_error(confidences, random.random(2000) < confidences - shift)
        hits += found.low <= shift <= found.high
    assert hits / 300 >= 0.92


def test_the_error_of_a_calibrated_model_is_small_and_bins_hold_their_upper_end() -> None:
    confidences = np.random.default_rng(1).uniform(0.3, 1, 20_000)
    assert calibration_error(confidences, np.random.default_rng(2).random(20_000) < confidences).value < 0.02
    edges = np.repeat([1 / BINS, 1.0, 0.0], 20)
    assert calibration_error(edges, edges == 1).value == pytest.approx(1 / BINS / 3)


def test_few_images_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 30"):
        calibration_error([0.9] * 29, np.ones(29, bool))
