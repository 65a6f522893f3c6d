from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from targets.stats import latency_verdict
from targets.stopping import corrected, enough, log_ratios, looks, speedup, speedup_bca

Rounds = tuple[tuple[float, ...], ...]


def measured(random: np.random.Generator, ratio: float, noise: float, rounds: int) -> list[Rounds]:
    """Rounds of a baseline and an artifact on a machine whose speed wanders, with noise and spikes of each besides."""
    machine = np.exp(np.cumsum(random.normal(0, 0.05, rounds)))
    found = []
    for speed in (ratio, 1.0):
        spikes = np.where(random.random(rounds) < 0.1, 1 + random.exponential(1, rounds), 1)
        times = speed * machine * np.exp(random.normal(0, noise, rounds)) * spikes
        found.append(tuple((float(time),) for time in times))
    return found


def outcome(random: np.random.Generator, ratio: float, noise: float, planned: Sequence[int]) -> tuple[str, bool, int]:
    """The verdict, whether the interval holds the ratio, and after how many rounds the measurement ended."""
    whole = measured(random, ratio, noise, planned[-1])
    for rounds in planned:
        part = [each[:rounds] for each in whole]
        if enough(part, 0, planned=len(planned)):
            break
    found = speedup(part[0], part[1], planned=len(planned))
    return latency_verdict(found), found.low <= ratio <= found.high, rounds


def test_looks_double_up_to_the_limit() -> None:
    assert looks(30, 30) == (30,)
    assert looks(30, 120) == (30, 60, 120)
    assert looks(30, 100) == (30, 60, 100)


def test_a_level_is_shared_among_the_looks() -> None:
    assert corrected(0.95, 1) == pytest.approx(0.95)
    assert corrected(0.95, 5) == pytest.approx(0.99)


@pytest.mark.parametrize("noise", [0.01, 0.05, 0.2])
def test_a_model_against_itself_is_wrongly_faster_or_slower_in_5_of_100_at_most(noise: float) -> None:
    random = np.random.default_rng(1)
    verdicts = [outcome(random, 1.0, noise, (30, 60, 120))[0] for _ in range(400)]
    assert verdicts.count("faster") + verdicts.count("slower") <= 20


def test_at_the_edge_of_the_band_looking_several_times_says_faster_no_more_often_than_looking_once() -> None:
    random = np.random.default_rng(2)
    found = [outcome(random, 1.02, 0.01, looks(30, 240))[0] for _ in range(800)]
    assert found.count("faster") <= 20  # a tail of 2.5 %; intervals that are not widened say it 50 times


@pytest.mark.parametrize(("noise", "fewest"), [(0.02, 30), (0.04, 30), (0.08, 120)])
def test_the_interval_of_a_measurement_that_stops_early_holds_the_truth_in_95_of_100(noise: float, fewest: int) -> None:
    random = np.random.default_rng(3)
    found = [outcome(random, 1.9, noise, (30, 60, 120)) for _ in range(400)]
    assert sum(covers for _, covers, _ in found) >= 380
    assert {verdict for verdict, _, _ in found} == {"faster"}
    assert min(rounds for _, _, rounds in found) == fewest


def test_looks_widen_the_interval_and_leave_the_value() -> None:
    baseline, own = measured(np.random.default_rng(4), 1.5, 0.1, 60)
    once, often = speedup(baseline, own), speedup(baseline, own, planned=4)
    assert often.value == once.value
    assert often.low < once.low < once.high < often.high
    assert (often.level, once.level) == (0.95, 0.95)
    assert "4 looks" in often.method
    assert "looks" not in once.method


def test_the_bootstrap_has_the_same_value_and_much_the_same_interval() -> None:
    baseline, own = measured(np.random.default_rng(6), 1.5, 0.1, 60)
    ranks, drawn = speedup(baseline, own, planned=2), speedup_bca(baseline, own, planned=2)
    assert drawn.value == pytest.approx(ranks.value)
    assert 0.5 < math.log(drawn.high / drawn.low) / math.log(ranks.high / ranks.low) < 1.5
    assert (drawn.level, drawn.n) == (0.95, 60)
    assert "BCa" in drawn.method
    assert "2 looks" in drawn.method


def test_the_ratio_of_a_round_is_that_of_its_medians() -> None:
    assert log_ratios([[4.0, 1.0, 9.0]], [[2.0]]) == [pytest.approx(math.log(2))]


def test_a_tight_interval_without_a_verdict_is_not_enough_nor_a_verdict_with_a_wide_one() -> None:
    random = np.random.default_rng(5)
    assert not enough(measured(random, 1.02, 0.005, 60), 0, planned=1)
    assert not enough(measured(random, 3.0, 0.3, 60), 0, planned=1)
    assert enough(measured(random, 3.0, 0.005, 60), 0, planned=1)
    assert enough(measured(random, 1.0, 0.3, 60), None, planned=1)
