from __future__ import annotations

import pytest

from edgeres.training.schedules import WarmupCosine


def test_it_rises_in_a_line_and_falls_in_half_a_cosine() -> None:
    rate = WarmupCosine(0.4, steps=110, warmup=10)
    rates = [float(rate(step)) for step in range(111)]
    assert rates[0] == pytest.approx(0.04)  # the first step is not lost on a rate of 0
    assert rates[4] == pytest.approx(0.2)
    assert rates[9] == rates[10] == pytest.approx(0.4)  # after the warm-up
    assert max(rates) == pytest.approx(0.4)
    assert rates[60] == pytest.approx(0.2)  # half of the way down
    assert rates[110] == pytest.approx(0, abs=1e-8)
    assert rates[10:] == sorted(rates[10:], reverse=True)


def test_without_a_warm_up_it_starts_at_the_peak() -> None:
    rate = WarmupCosine(0.1, steps=10, warmup=0)
    assert float(rate(0)) == pytest.approx(0.1)
    assert float(rate(10)) == pytest.approx(0, abs=1e-8)


@pytest.mark.parametrize("steps", [1, 2])
def test_a_training_of_a_few_steps_has_a_rate(steps: int) -> None:
    rate = WarmupCosine(0.1, steps=steps, warmup=100)
    assert 0 < float(rate(0)) <= 0.1 + 1e-6


def test_it_is_made_again_from_its_arguments() -> None:
    rate = WarmupCosine(0.1, steps=10, warmup=3)
    again = WarmupCosine.from_config(rate.get_config())
    assert [float(again(step)) for step in range(11)] == [float(rate(step)) for step in range(11)]
