from __future__ import annotations

import numpy as np
import pytest

from targets.percentiles import RUNS, tail


def measured(random: np.random.Generator, *, rounds: int, runs: int, apart: float = 0.0) -> np.ndarray:
    """Milliseconds (rounds, runs): noise of 5 %, a spike in 50, and rounds that lie apart by so much."""
    times = np.exp(random.normal(0, 0.05, (rounds, runs)) + random.normal(0, apart, (rounds, 1)))
    return np.asarray(times * np.where(random.random(times.shape) < 0.02, 1 + random.exponential(1, times.shape), 1))


def test_a_percentile_without_enough_runs_is_not_given() -> None:
    times = measured(np.random.default_rng(0), rounds=30, runs=23)
    assert RUNS == {0.9: 64, 0.99: 662}
    assert tail(times[:, :22].tolist(), 0.99) is None  # 660 runs
    assert tail(times.tolist(), 0.99) is not None  # 690
    assert tail(times[:, :2].tolist(), 0.9) is None  # 60
    assert tail(times[:, :3].tolist(), 0.9) is not None  # 90


def test_runs_of_rounds_that_lie_apart_do_not_count_as_many() -> None:
    random = np.random.default_rng(1)
    assert all(tail(measured(random, rounds=30, runs=200, apart=0.3).tolist(), 0.99) is None for _ in range(50))


@pytest.mark.parametrize(("rounds", "runs", "apart"), [(30, 25, 0.0), (60, 60, 0.0), (120, 10, 0.05)])
def test_where_it_is_given_its_interval_covers_the_truth_in_92_of_100(rounds: int, runs: int, apart: float) -> None:
    random = np.random.default_rng(2)
    truth = np.quantile(measured(random, rounds=20_000, runs=50, apart=apart), 0.99)
    found = [tail(measured(random, rounds=rounds, runs=runs, apart=apart).tolist(), 0.99) for _ in range(200)]
    given = [each for each in found if each is not None]
    assert len(given) >= 190
    assert sum(each.low <= truth <= each.high for each in given) >= 0.92 * len(given)


def test_it_is_the_quantile_of_all_runs() -> None:
    times = measured(np.random.default_rng(3), rounds=40, runs=50)
    found = tail(times.tolist(), 0.99)
    assert found is not None
    assert found.value == np.quantile(times, 0.99, method="inverted_cdf")
    assert found.low < found.value < found.high
    assert found.n == 40
