from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as reference

from targets.bootstrap import _acceleration, median_interval


def skewed(random: np.random.Generator, n: int) -> np.ndarray:
    return np.asarray(random.lognormal(0, 1, n))


@pytest.mark.parametrize("n", [30, 31, 60])
def test_it_agrees_with_scipy(n: int) -> None:
    values = skewed(np.random.default_rng(n), n)
    expected = reference.bootstrap(
        (values,), np.median, method="BCa", n_resamples=20_000, rng=np.random.default_rng(0)
    ).confidence_interval
    found = median_interval(values, resamples=20_000)
    width = expected.high - expected.low
    assert found.value == np.median(values)
    assert found.low == pytest.approx(expected.low, abs=0.1 * width)
    assert found.high == pytest.approx(expected.high, abs=0.1 * width)
    assert found.n == n


@pytest.mark.parametrize("n", [6, 7, 30, 31])
def test_the_acceleration_is_that_of_medians_with_one_sample_left_out(n: int) -> None:
    values = skewed(np.random.default_rng(n), n)
    left_out = np.array([np.median(np.delete(values, place)) for place in range(n)])
    deviations = left_out.mean() - left_out
    expected = (deviations**3).sum() / (6 * (deviations**2).sum() ** 1.5)
    assert _acceleration(values) == pytest.approx(expected, abs=1e-12)


def test_it_covers_the_median_of_a_skewed_distribution_in_92_of_100() -> None:
    random = np.random.default_rng(1)
    found = [median_interval(skewed(random, 30), resamples=1000) for _ in range(400)]
    assert sum(each.low <= 1 <= each.high for each in found) >= 368


def test_the_same_samples_have_the_same_interval_in_any_number_of_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    values = skewed(np.random.default_rng(2), 40)
    whole = median_interval(values)
    monkeypatch.setattr("targets.bootstrap._PIECE", 1000)
    assert median_interval(values) == whole
    assert median_interval(values, seed=1) != whole


def test_a_higher_level_is_wider() -> None:
    values = skewed(np.random.default_rng(3), 40)
    narrow, wide = (median_interval(values, level=level) for level in (0.9, 0.99))
    assert wide.low < narrow.low < narrow.value < narrow.high < wide.high


def test_equal_samples_have_an_interval_without_width() -> None:
    found = median_interval([2.0] * 30)
    assert (found.low, found.value, found.high) == (2.0, 2.0, 2.0)


def test_too_few_samples_are_refused() -> None:
    with pytest.raises(ValueError, match="6 samples"):
        median_interval([1.0] * 5)
