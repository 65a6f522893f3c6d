from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest

from edgeres.report import distributions, intervals, plots
from edgeres.report.chart import Chart, text
from edgeres.report.confusion import confusions
from edgeres.report.curves import training
from edgeres.report.layers import layer_charts
from edgeres.report.story import Comparison, Story
from edgeres.results import Latency
from tests.edgeres.report.material import HOSTILE, estimate

VERDICTS = ("faster", "slower", "equivalent", "inconclusive")


@pytest.fixture(scope="module")
def comparison(story: Story) -> Comparison:
    return story.comparisons[0]


def _figure(chart: Chart | None) -> Any:
    assert chart is not None
    return json.loads(chart.figure)


def test_labels_are_shown_literally_and_short() -> None:
    assert text("<b>&amp;</b>") == "&lt;b&gt;&amp;amp;&lt;/b&gt;"
    assert text("x" * 99).endswith("…")


def test_accuracy_against_latency_has_whiskers_sizes_recipes_and_numbers(comparison: Comparison) -> None:
    recipes = {comparison.artifacts[3].sha256: "int8"}
    drawn = plots.pareto(comparison, recipes)
    front, *bubbles = _figure(drawn)["data"]
    assert [bubble["name"] for bubble in bubbles] == [artifact.name for artifact in comparison.artifacts]
    int8 = bubbles[3]
    assert int8["error_y"]["array"] == pytest.approx([0.66])
    assert int8["error_x"]["arrayminus"] == pytest.approx([0.000812])
    assert "int8" in int8["text"][0]
    sizes = [bubble["marker"]["size"] for bubble in bubbles]
    assert sizes[0] > sizes[1] > sizes[2] > sizes[3] == sizes[4]
    assert front["x"] == sorted(front["x"])
    assert drawn is not None
    assert drawn.numbers is not None
    leading = [row[0] for row in drawn.numbers.rows if row[4] == "yes"]
    assert len(leading) == 3, "pruned-int8, int8, float: dynamic-int8 and float16 are beaten on both axes"
    assert drawn.numbers.rows[3][5] == "int8"


def test_the_front_is_what_nothing_beats_on_both_axes() -> None:
    assert plots.front([(1.0, 80.0), (2.0, 90.0), (3.0, 85.0), (2.5, 90.0)]) == [(1.0, 80.0), (2.0, 90.0)]


def test_speedups_show_interval_and_verdict(comparison: Comparison) -> None:
    drawn = intervals.speedups(comparison)
    assert drawn is not None
    assert drawn.numbers is not None
    assert [next(cell for cell in row if cell in VERDICTS) for row in drawn.numbers.rows] == [
        "inconclusive",
        "faster",
        "faster",
        "faster",
    ]
    assert "±2 %" in drawn.caption


def test_drops_show_the_margin_and_the_bound(comparison: Comparison) -> None:
    drawn = intervals.drops(comparison)
    assert drawn is not None
    assert drawn.numbers is not None
    assert len(drawn.numbers.rows) == len([each for each in comparison.artifacts if not each.baseline])


def test_distribution_keeps_the_raw_times_extremes(comparison: Comparison) -> None:
    latency = comparison.artifacts[0].latency
    assert latency is not None
    times, shares = distributions.raw_times(latency)
    raw = sorted(value for each in latency.rounds for value in each)
    assert (times.tolist(), shares[-1]) == (raw, pytest.approx(1))
    x, y = distributions.curve(times, shares)
    assert len(x) == len(y) <= distributions.PLACES + 2
    assert (min(y), max(y)) == pytest.approx((raw[0], raw[-1]), rel=1e-3)
    assert "All 3,000 inferences" in distributions.latencies(comparison).caption  # type: ignore[union-attr]  # timed


def test_distribution_survives_times_that_are_none() -> None:
    odd = Latency(1, estimate(1, 0), estimate(1, 0), ((), (math.nan, 0.0, -1.0, 2.0, math.inf)))
    assert distributions.raw_times(odd)[0].tolist() == [2.0]


def test_what_was_not_measured_has_no_chart(comparison: Comparison) -> None:
    bare = replace(comparison, artifacts=tuple(replace(each, latency=None) for each in comparison.artifacts))
    assert plots.pareto(bare, {}) is None
    assert intervals.speedups(bare) is None
    assert distributions.latencies(bare) is None
    assert layer_charts(bare, None) == ()
    assert training(()) == ()


def test_training_curves_of_every_epoch(story: Story) -> None:
    loss, accuracy, rate = (_figure(chart) for chart in training(story.runs))
    assert [trace["name"] for trace in loss["data"]] == ["training", "validation"]
    assert loss["data"][0]["x"] == list(range(1, 21))
    assert accuracy["data"][1]["y"][-1] == pytest.approx(100 * story.runs[0].history.epochs[-1].val_accuracy)
    assert rate["data"][0]["y"][0] == pytest.approx(0.1)


def test_matrices_have_one_axis_place_a_class_and_escaped_names(comparison: Comparison) -> None:
    counted = confusions(comparison)
    assert counted is not None
    charts = plots.heatmaps(counted)
    assert [chart.title for chart in charts] == [artifact.name for artifact in comparison.artifacts]
    figure = _figure(charts[0])
    assert figure["layout"]["yaxis"]["tickvals"] == [0, 1, 2]
    assert HOSTILE[:8] not in charts[0].figure
    assert "&lt;img" in figure["layout"]["yaxis"]["ticktext"][0]


def test_colours_are_the_pages(comparison: Comparison) -> None:
    figure = plots.pareto(comparison, {})
    assert figure is not None
    assert "var(--series-1)" in figure.figure
    assert "#" not in figure.figure
