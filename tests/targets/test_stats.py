from __future__ import annotations

import math

import numpy as np
import pytest

from edgeres.results import Estimate
from targets import stats


def between(low: float, high: float) -> Estimate:
    return Estimate((low + high) / 2, low, high, 0.95, "given", 10)


def test_wilson_agrees_with_a_published_example() -> None:
    # Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I: 81 of 263.
    found = stats.proportion(81, 263)
    assert (round(found.low, 4), round(found.high, 4)) == (0.2553, 0.3662)
    assert found.n == 263
    assert "Wilson" in found.method


@pytest.mark.parametrize(("successes", "n"), [(0, 20), (20, 20), (1, 1)])
def test_wilson_stays_within_0_and_1_and_encloses_its_value(successes: int, n: int) -> None:
    found = stats.proportion(successes, n)
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.low < found.high


@pytest.mark.parametrize(("successes", "n"), [(0, 0), (3, 2), (-1, 2)])
def test_proportion_of_nothing_is_refused(successes: int, n: int) -> None:
    with pytest.raises(ValueError, match="successes"):
        stats.proportion(successes, n)


@pytest.mark.parametrize(("q", "floor"), [(0.5, 6), (0.9, 29), (0.1, 29), (0.99, 299)])
def test_a_quantile_has_a_floor_of_samples(q: float, floor: int) -> None:
    assert stats.samples_needed(q) == floor
    assert stats.quantile(np.arange(floor), q).n == floor
    with pytest.raises(ValueError, match=f"at least {floor} samples, found {floor - 1}"):
        stats.quantile(np.arange(floor - 1), q)


def test_median_interval_is_that_of_the_tables() -> None:
    # Conover, "Practical Nonparametric Statistics": for n = 20 the 6th and the 15th value.
    found = stats.quantile(np.arange(1, 21), 0.5)
    assert (found.value, found.low, found.high) == (10.5, 6, 15)


@pytest.mark.parametrize(("q", "n"), [(0.5, 10), (0.5, 30), (0.9, 30), (0.9, 200)])
def test_quantile_covers_the_truth_whatever_the_distribution(q: float, n: int) -> None:
    samples = np.random.default_rng(2).lognormal(size=(1000, n))
    truth = math.exp({0.5: 0.0, 0.9: 1.2815515655446004}[q])
    found = [stats.quantile(row, q) for row in samples]
    assert np.mean([one.low <= truth <= one.high for one in found]) >= 0.94


@pytest.mark.parametrize("q", [0.5, 0.9])
@pytest.mark.parametrize("spread", [0.0, 0.5, 2.0])
def test_clustered_quantile_covers_the_truth_where_rounds_differ(q: float, spread: float) -> None:
    random = np.random.default_rng(3)
    truth = {0.5: 0.0, 0.9: 1.2815515655446004}[q] * math.hypot(1, spread)
    hits = 0
    for _ in range(300):
        found = stats.clustered_quantile(random.normal(size=(30, 20)) + spread * random.normal(size=(30, 1)), q)
        hits += found.low <= truth <= found.high
    assert hits / 300 >= 0.92


def test_clustered_quantile_lets_every_round_weigh_the_same() -> None:
    quick, slow = [1.0] * 1000, [2.0] * 3
    found = stats.clustered_quantile([quick] * 14 + [slow] * 16, 0.5)
    assert found.value == 2.0
    assert found.low == 1.0
    assert found.n == 30


def test_clustered_quantile_of_equal_values_is_that_value() -> None:
    found = stats.clustered_quantile([[3.0, 3.0]] * 30, 0.9)
    assert (found.value, found.low, found.high) == (3, 3, 3)


@pytest.mark.parametrize("rounds", [[[1.0]] * 28, [[1.0]] * 29 + [[]]])
def test_clustered_quantile_refuses_too_few_or_empty_rounds(rounds: list[list[float]]) -> None:
    with pytest.raises(ValueError, match="at least 29 rounds"):
        stats.clustered_quantile(rounds, 0.9)


def test_median_ratio_speaks_of_ratios() -> None:
    found = stats.median_ratio(np.log([2, 2.1, 1.9, 2, 2, 2.2, 1.8]))
    assert found.value == pytest.approx(2)
    assert found.low == pytest.approx(1.8)
    assert found.high == pytest.approx(2.2)


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (1.03, 1.2, "faster"),
        (1.01, 1.2, "inconclusive"),
        (0.7, 0.97, "slower"),
        (0.7, 0.99, "inconclusive"),
        (0.985, 1.015, "equivalent"),
        (0.5, 2.0, "inconclusive"),
    ],
)
def test_latency_verdict(low: float, high: float, verdict: str) -> None:
    assert stats.latency_verdict(between(low, high)) == verdict
