from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from edgeres.report.chart import Chart
from edgeres.report.intervals import MOST_CLASSES, class_drops, drops, speedups
from edgeres.report.story import Comparison, Story
from edgeres.results import Accuracy
from tests.edgeres.report.material import estimate


@pytest.fixture(scope="module")
def comparison(detailed_story: Story) -> Comparison:
    return detailed_story.comparisons[0]


def _figure(chart: Chart | None) -> Any:
    assert chart is not None
    return json.loads(chart.figure)


def _accuracy(comparison: Comparison, **fields: Any) -> Comparison:
    rows = (
        replace(row, accuracy=replace(row.accuracy, **fields)) if row.accuracy and not row.baseline else row
        for row in comparison.artifacts
    )
    return replace(comparison, artifacts=tuple(rows))


def test_speedups_show_interval_verdict_and_band(comparison: Comparison) -> None:
    chart = speedups(comparison)
    figure = _figure(chart)
    assert [trace["customdata"][0].split("<br>")[1] for trace in figure["data"]] == [
        "inconclusive",
        "faster",
        "faster",
        "faster",
    ]
    assert figure["data"][1]["error_x"]["array"] == pytest.approx([0.05])
    (band,) = [shape for shape in figure["layout"]["shapes"] if shape["type"] == "rect"]
    assert (band["x0"], band["x1"]) == pytest.approx((1 / 1.02, 1.02))
    assert [note["text"] for note in figure["layout"]["annotations"]][2] == "3.33× faster"
    assert chart is not None
    assert chart.numbers is not None
    assert chart.numbers.rows[2] == ("int8", "3.33×", "3.27 to 3.39", "faster")


def test_drops_show_interval_bound_and_margin(comparison: Comparison) -> None:
    chart = drops(comparison)
    figure = _figure(chart)
    *intervals, bounds = figure["data"]
    assert intervals[2]["error_x"]["array"] == pytest.approx([0.49])
    assert bounds["x"][2] == pytest.approx(0.12 + 0.8 * 0.49)
    beyond = [shape for shape in figure["layout"]["shapes"] if shape["type"] == "rect"]
    assert {shape["x0"] for shape in beyond} == {1.0}
    assert len(beyond) == 4
    low, high = figure["layout"]["xaxis"]["range"]
    assert low < 0.25 - 1.1
    assert high > 3.1 + 0.6
    assert chart is not None
    assert chart.numbers is not None
    assert chart.numbers.rows[2] == ("int8", "0.12 points", "−0.37 to 0.61; at most 0.51", "pass")


def test_margins_that_differ_are_drawn_row_by_row(comparison: Comparison) -> None:
    baseline, first, *rest = _accuracy(comparison, margin_points=None).artifacts
    assert first.accuracy is not None
    own = replace(first, accuracy=replace(first.accuracy, margin_points=2.5))
    figure = _figure(drops(replace(comparison, artifacts=(baseline, own, *rest))))
    (beyond,) = [shape for shape in figure["layout"]["shapes"] if shape["type"] == "rect"]
    assert (beyond["x0"], beyond["y0"], beyond["y1"]) == (2.5, -0.5, 0.5)


def test_class_drops_have_a_row_a_class_and_one_artifact_at_first_where_there_are_many(comparison: Comparison) -> None:
    int8 = comparison.artifacts[3]
    figure = _figure(class_drops(comparison, int8))
    assert [trace["visible"] for trace in figure["data"]] == ["legendonly", "legendonly", True, "legendonly"]
    assert figure["data"][2]["x"] == pytest.approx([0.12, 1.12])
    assert figure["layout"]["yaxis"]["tickvals"] == [0, 1], "the last class has no image"
    assert "<img" not in json.dumps(figure)
    assert "&lt;img" in json.dumps(figure)
    few = _figure(class_drops(replace(comparison, artifacts=comparison.artifacts[:3]), int8))
    assert {trace["visible"] for trace in few["data"]} == {True}
    assert few["data"][0]["y"] != few["data"][1]["y"], "side by side"


def test_of_many_classes_those_that_lost_most_are_drawn(comparison: Comparison) -> None:
    assert comparison.data is not None
    lost = tuple(estimate(float(index % 50), 1.0) for index in range(100))
    labels = tuple(f"class {index}" for index in range(100))
    wide = replace(
        _accuracy(comparison, class_drops_points=lost), data=replace(comparison.data, labels=labels, truth=None)
    )
    chart = class_drops(wide, None)
    assert chart is not None
    assert "The 12 of 100 classes" in chart.caption
    assert chart.numbers is not None
    names = [row[0] for row in chart.numbers.rows]
    assert len(names) == MOST_CLASSES
    assert {int(name.removeprefix("class ")) % 50 for name in names} == {44, 45, 46, 47, 48, 49}


def test_what_was_not_compared_has_no_chart(comparison: Comparison) -> None:
    bare = replace(
        comparison,
        artifacts=tuple(
            replace(each, latency=None, accuracy=Accuracy(10, estimate(0.5, 0.1))) for each in comparison.artifacts
        ),
    )
    assert speedups(bare) is None
    assert drops(bare) is None
    assert class_drops(bare, None) is None
