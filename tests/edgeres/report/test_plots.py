from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest

from edgeres.report import plots
from edgeres.report.chart import Chart, text
from edgeres.report.confusion import confusions
from edgeres.report.curves import training
from edgeres.report.story import Comparison, Story
from edgeres.results import Latency
from tests.edgeres.report.material import HOSTILE, estimate


@pytest.fixture(scope="module")
def comparison(story: Story) -> Comparison:
    return story.comparisons[0]


def _figure(chart: Chart | None) -> Any:
    assert chart is not None
    return json.loads(chart.figure)


def test_labels_are_shown_literally_and_short() -> None:
    assert text("<b>&amp;</b>") == "&lt;b&gt;&amp;amp;&lt;/b&gt;"
    assert text("x" * 99).endswith("…")


def test_accuracy_against_latency_has_whiskers_sizes_and_numbers(comparison: Comparison) -> None:
    figure = _figure(plots.pareto(comparison))
    *bubbles, front = figure["data"]
    assert [bubble["name"] for bubble in bubbles] == [artifact.name for artifact in comparison.artifacts]
    int8 = bubbles[3]
    assert int8["error_y"]["array"] == pytest.approx([0.66])
    assert int8["error_x"]["arrayminus"] == pytest.approx([0.000812])
    assert "0.0804 to 0.0820" in int8["text"][0]
    sizes = [bubble["marker"]["size"] for bubble in bubbles]
    assert sizes[0] > sizes[1] > sizes[2] > sizes[3] == sizes[4]
    assert front["x"] == sorted(front["x"])
    assert len(front["x"]) == 3, "pruned-int8, int8, float: dynamic-int8 and float16 are beaten on both axes"


def test_speedups_show_interval_and_verdict(comparison: Comparison) -> None:
    figure = _figure(plots.speedups(comparison))
    assert [trace["text"][0].split("<br>")[1] for trace in figure["data"]] == [
        "inconclusive",
        "faster",
        "faster",
        "faster",
    ]
    assert figure["data"][1]["error_x"]["array"] == pytest.approx([0.05])


def test_distribution_keeps_the_raw_times_extremes(comparison: Comparison) -> None:
    latency = comparison.artifacts[0].latency
    assert latency is not None
    drawn = plots.quantiles(latency)
    raw = sorted(value for each in latency.rounds for value in each)
    assert len(raw) == 600
    assert len(drawn) == plots.QUANTILES
    assert (drawn[0], drawn[-1]) == pytest.approx((raw[0], raw[-1]), rel=1e-4)
    assert "3,000 in all" in plots.latencies(comparison).caption  # type: ignore[union-attr]  # timed


def test_distribution_survives_times_that_are_none() -> None:
    odd = Latency(1, estimate(1, 0), estimate(1, 0), ((), (math.nan, 0.0, -1.0, 2.0, math.inf)))
    assert plots.quantiles(odd) == [2.0]


def test_what_was_not_measured_has_no_chart(comparison: Comparison) -> None:
    bare = replace(comparison, artifacts=tuple(replace(each, latency=None) for each in comparison.artifacts))
    assert plots.pareto(bare) is None
    assert plots.speedups(bare) is None
    assert plots.latencies(bare) is None
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
    figure = plots.pareto(comparison)
    assert figure is not None
    assert "var(--series-1)" in figure.figure
    assert "#" not in figure.figure
