from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from edgeres.report import plots
from edgeres.report.chart import Chart, text
from edgeres.report.confusion import confusions
from edgeres.report.curves import training
from edgeres.report.provenance import recipes
from edgeres.report.story import Comparison, Story
from tests.edgeres.report.material import BREAKOUT, HOSTILE


@pytest.fixture(scope="module")
def comparison(story: Story) -> Comparison:
    return story.comparisons[0]


def _figure(chart: Chart | None) -> Any:
    assert chart is not None
    return json.loads(chart.figure)


def test_labels_are_shown_literally_and_short() -> None:
    assert text("<b>&amp;</b>") == "&lt;b&gt;&amp;amp;&lt;/b&gt;"
    assert text("x" * 99).endswith("…")
    assert text("a\u202eb\u200f") == "a�b�"


def test_accuracy_against_latency_has_whiskers_sizes_and_numbers(comparison: Comparison) -> None:
    chart = plots.pareto(comparison, {})
    front, *bubbles = _figure(chart)["data"]
    assert [bubble["name"] for bubble in bubbles] == [artifact.name for artifact in comparison.artifacts]
    int8 = bubbles[3]
    assert int8["error_y"]["array"] == pytest.approx([0.66])
    assert int8["error_x"]["arrayminus"] == pytest.approx([0.000812])
    assert "0.0804 to 0.0820" in int8["text"][0]
    sizes = [bubble["marker"]["size"] for bubble in bubbles]
    assert sizes[0] > sizes[1] > sizes[2] > sizes[3] == sizes[4]
    assert front["x"] == sorted(front["x"])
    assert len(front["x"]) == 3, "pruned-int8, int8, float: dynamic-int8 and float16 are beaten on both axes"


def test_the_front_is_what_nothing_beats_on_both_axes() -> None:
    assert plots.front([(1.0, 80.0), (2.0, 90.0), (3.0, 85.0), (2.5, 90.0)]) == [(1.0, 80.0), (2.0, 90.0)]


def test_the_front_is_marked_in_the_chart_and_in_its_numbers(comparison: Comparison) -> None:
    chart = plots.pareto(comparison, {})
    _, *bubbles = _figure(chart)["data"]
    rims = {bubble["name"]: bubble["marker"]["line"]["color"] for bubble in bubbles}
    assert {name for name, rim in rims.items() if rim == "var(--text)"} == {"float", "int8", "pruned-int8"}
    assert chart is not None
    assert chart.numbers is not None
    leads = {row[0]: row[4] for row in chart.numbers.rows}
    assert leads == {"float": "yes", "float16": "no", "dynamic-int8": "no", "int8": "yes", "pruned-int8": "yes"}


def test_the_recipe_is_in_the_hover_text_and_escaped(story: Story, comparison: Comparison) -> None:
    made = recipes(story)
    assert made[comparison.artifacts[3].sha256] == "int8: export"
    _, _, _, _, int8, _ = _figure(plots.pareto(comparison, made))["data"]
    assert "int8: export" in int8["text"][0]
    hostile = json.dumps(_figure(plots.pareto(comparison, dict.fromkeys(made, BREAKOUT))))
    assert "<script" not in hostile
    assert "&lt;script&gt;" in hostile


def test_what_was_not_measured_has_no_chart(comparison: Comparison) -> None:
    bare = replace(comparison, artifacts=tuple(replace(each, latency=None) for each in comparison.artifacts))
    assert plots.pareto(bare, {}) is None
    assert training(()) == ()


def test_training_curves_of_every_epoch(story: Story) -> None:
    charts = training(story.runs)
    loss, accuracy, rate = map(_figure, charts)
    assert [trace["name"] for trace in loss["data"]] == ["training", "validation"]
    assert loss["data"][0]["x"] == list(range(1, 21))
    assert accuracy["data"][1]["y"][-1] == pytest.approx(100 * story.runs[0].history.epochs[-1].val_accuracy)
    assert rate["data"][0]["y"][0] == pytest.approx(0.1)
    assert charts[0].numbers is not None
    assert charts[0].numbers.heads == ("Epoch", "training", "validation")
    assert [row[0] for row in charts[0].numbers.rows] == [str(n) for n in range(1, 21)]


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
