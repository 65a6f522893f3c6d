from __future__ import annotations

import numpy as np
import pytest

from targets.trend import drifts, trend


def series(random: np.random.Generator, *, rounds: int = 30, slow_down: float = 0.0) -> list[float]:
    """Medians of rounds with 3 % of noise; every tenth is a spike; slower by a share from the middle on."""
    times = np.exp(random.normal(0, 0.03, rounds)) * np.where(np.arange(rounds) < rounds // 2, 1, 1 + slow_down)
    return list(map(float, times * np.where(random.random(rounds) < 0.1, 1 + random.exponential(1, rounds), 1)))


def test_a_straight_line_has_its_slope_and_its_change() -> None:
    found = trend([100 + step for step in range(40)])
    assert found.slope == pytest.approx(1 / 119.5)
    assert found.change == pytest.approx(134.5 / 104.5 - 1)
    assert found.p < 1e-9
    assert drifts(found, series=10)


def test_falling_times_have_a_negative_slope() -> None:
    found = trend([100 - step for step in range(40)])
    assert found.slope < 0
    assert found.change < 0
    assert drifts(found)


def test_the_significance_is_that_of_mann_and_kendall() -> None:
    # 8 values, 3 of 28 pairs fall: S = 22, deviation = sqrt(8 * 7 * 21 / 18), z = 21 / 8.0829.
    found = trend([1, 2, 3, 4, 5, 8, 7, 6])
    assert found.p == pytest.approx(0.00938, abs=2e-5)


def test_spikes_are_no_trend_and_hide_none() -> None:
    flat, rising = [1.0] * 30, [1 + step / 100 for step in range(30)]
    for values in (flat, rising):
        values[3] = values[17] = values[25] = 50.0
    assert not drifts(trend(flat))
    assert trend(rising).slope == pytest.approx(0.01 / 1.155, rel=0.05)
    assert drifts(trend(rising))


def test_a_clear_trend_that_is_small_is_not_called_drift() -> None:
    found = trend([1 + step / 1000 for step in range(30)])
    assert found.p < 1e-9
    assert not drifts(found)


def test_a_slow_down_by_15_percent_halfway_is_called_drift_in_95_of_100_and_noise_in_5_of_100_at_most() -> None:
    random = np.random.default_rng(0)

    def flagged(slow_down: float) -> int:
        runs = ([trend(series(random, slow_down=slow_down)) for _ in range(3)] for _ in range(400))
        return sum(any(drifts(found, series=3) for found in run) for run in runs)

    assert flagged(0.15) >= 380
    assert flagged(0.0) <= 20


def test_a_long_series_has_the_trend_of_its_medians_by_the_round() -> None:
    found = trend([100 + step / 100 for step in range(20_000)])
    assert found.slope == pytest.approx(0.01 / 200, rel=1e-3)
    assert found.change == pytest.approx(275 / 125 - 1, rel=0.01)
    assert drifts(found)


def test_too_few_rounds_are_refused() -> None:
    with pytest.raises(ValueError, match="8 rounds"):
        trend([1.0] * 7)
