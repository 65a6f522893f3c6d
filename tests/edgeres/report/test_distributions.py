from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from edgeres.report.distributions import PLACES, curve, latencies, raw_times
from edgeres.report.story import Comparison, Story
from edgeres.results import Latency
from tests.edgeres.report.material import estimate


@pytest.fixture(scope="module")
def comparison(detailed_story: Story) -> Comparison:
    return detailed_story.comparisons[0]


def test_the_curve_runs_from_the_fastest_to_the_slowest(comparison: Comparison) -> None:
    latency = comparison.artifacts[0].latency
    assert latency is not None
    times, shares = raw_times(latency)
    raw = sorted(value for each in latency.rounds for value in each)
    assert len(raw) == 600
    assert times.tolist() == raw
    x, y = curve(times, shares)
    assert len(x) <= PLACES + 2
    assert (y[0], y[-1]) == pytest.approx((raw[0], raw[-1]), rel=1e-4)
    assert x == sorted(x)
    assert (x[0], x[-1]) == (0, pytest.approx(math.log10(600), abs=1e-3))
    median = next(time for place, time in zip(x, y, strict=True) if place >= -math.log10(0.5))
    assert median == pytest.approx(np.median(raw), rel=0.01)


def test_rounds_weigh_the_same_however_many_runs_they_hold() -> None:
    uneven = Latency(1, estimate(1, 0), estimate(1, 0), ((1.0,) * 99, (2.0,)))
    times, shares = raw_times(uneven)
    assert shares[98] == pytest.approx(0.5)
    assert times[-1] == 2.0


def test_times_that_are_none_are_left_out() -> None:
    odd = Latency(1, estimate(1, 0), estimate(1, 0), ((), (math.nan, 0.0, -1.0, 2.0, math.inf)))
    times, shares = raw_times(odd)
    assert times.tolist() == [2.0]
    assert curve(times, shares) == ([0.0], [2.0])


def test_percentiles_are_marked_with_their_intervals(comparison: Comparison) -> None:
    chart = latencies(comparison)
    assert chart is not None
    assert "3,000 inferences" in chart.caption
    marks = [trace for trace in json.loads(chart.figure)["data"] if trace["mode"] == "markers"]
    assert [trace["x"] for trace in marks] == [pytest.approx([math.log10(2), 1, 2])] * 5
    assert marks[3]["error_y"]["array"] == pytest.approx([0.0812 / 100, 0.0812 / 60, 0.0812 / 30])
    assert marks[3]["customdata"][2].startswith("p99 0.1056 ms")
    assert chart.numbers is not None
    assert chart.numbers.rows[3][0] == "int8"
    assert chart.numbers.rows[3][6] == "600"


def test_without_p99_two_percentiles_are_marked(story: Story) -> None:
    chart = latencies(story.comparisons[0])
    assert chart is not None
    marks = [trace for trace in json.loads(chart.figure)["data"] if trace["mode"] == "markers"]
    assert {len(trace["x"]) for trace in marks} == {2}
    assert chart.caption.endswith("p50, p90.")


def test_without_latency_there_is_no_chart(comparison: Comparison) -> None:
    bare = tuple(replace(each, latency=None) for each in comparison.artifacts)
    assert latencies(replace(comparison, artifacts=bare)) is None
