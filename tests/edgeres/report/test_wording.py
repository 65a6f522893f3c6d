from __future__ import annotations

import math

import pytest

from edgeres.printable import clean
from edgeres.report.wording import number, percent, points, quantity, shortened, size, spoken, times
from edgeres.results import Estimate


def _estimate(value: float, low: float, high: float) -> Estimate:
    return Estimate(value, low, high, 0.95, "test", 10)


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (98_496, "98.5 kB"), (999_600, "1,000 kB"), (25_600_000, "25.6 MB")],
)
def test_sizes_are_decimal(count: int, text: str) -> None:
    assert size(count) == text


def test_minus_is_a_minus_and_zero_has_none() -> None:
    assert number(-1.25, 2) == "−1.25"
    assert number(-0.001, 2) == "0.00"


def test_an_estimate_is_never_without_its_interval() -> None:
    drop = _estimate(0.12, -0.37, 0.61)
    assert (points(drop).value, points(drop).note) == ("0.12 points", "−0.37 to 0.61")
    assert spoken(drop, points(drop)) == "0.12 points (95 % interval −0.37 to 0.61)"
    assert percent(_estimate(0.8771, 0.87, 0.88)).note == "87.00 to 88.00"
    assert times(_estimate(3.331, 3.2, 3.4)).value == "3.33×"


def test_decimals_follow_the_width_of_the_interval() -> None:
    assert quantity(_estimate(0.08123, 0.0804, 0.0820), " ms").value == "0.0812 ms"
    assert quantity(_estimate(80.123, 79.0, 81.5), " ms").value == "80.1 ms"


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_not_finite_is_shown_not_raised(value: float) -> None:
    assert str(value) in quantity(_estimate(value, value, value), " ms").value


def test_text_loses_what_a_terminal_or_a_page_would_act_on() -> None:
    assert clean("a\x1b[31mb\u202ec\ud800\u2066") == "a�[31mb�c��"
    assert clean("می\u200cخواهم 👩\u200d🔬") == "می\u200cخواهم 👩\u200d🔬"
    assert shortened("x" * 100, 5) == "xxxx…"
