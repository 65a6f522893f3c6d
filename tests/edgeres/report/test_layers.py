from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from edgeres.report.chart import Chart
from edgeres.report.layers import MOST_LAYERS, layer_charts
from edgeres.report.story import Comparison, Story
from tests.edgeres.report.material import BREAKOUT, LAYERS, timed_operators


@pytest.fixture(scope="module")
def comparison(detailed_story: Story) -> Comparison:
    return detailed_story.comparisons[0]


def _figure(chart: Chart) -> Any:
    return json.loads(chart.figure)


def _with(comparison: Comparison, *layers: tuple[tuple[str, str], ...]) -> Comparison:
    """The baseline and as many others as there are lists of layers after the first, with these operators."""
    pairs = zip(comparison.artifacts, layers, strict=False)
    rows = (replace(row, operators=timed_operators(1.0, 4, given)) for row, given in pairs)
    return replace(comparison, artifacts=tuple(rows))


def test_float_and_int8_are_side_by_side_at_first(comparison: Comparison) -> None:
    times, activations, weights = layer_charts(comparison, comparison.artifacts[3])
    for chart in (times, activations, weights):
        shown = [trace["name"] for trace in _figure(chart)["data"] if trace["visible"] is True]
        assert shown == ["float", "int8"]
    baseline = _figure(times)["data"][0]
    assert baseline["x"] == pytest.approx([0.2707 / len(LAYERS)] * len(LAYERS))
    assert baseline["error_x"]["array"] == pytest.approx([0.2707 / len(LAYERS) / 20] * len(LAYERS))
    assert baseline["marker"]["pattern"]["shape"] == ["", "", "", "", "", "/"], "the softmax is outside the delegate"
    assert _figure(activations)["data"][0]["x"] == pytest.approx([16.384] * len(LAYERS))
    assert _figure(weights)["data"][3]["x"] == pytest.approx([0.064] * len(LAYERS))


def test_numbers_hold_all_artifacts_and_the_sums(comparison: Comparison) -> None:
    numbers = layer_charts(comparison, None)[0].numbers
    assert numbers is not None
    assert numbers.heads == ("Layer", "Operator", "float", "float16", "dynamic-int8", "int8", "pruned-int8")
    *layers, total, whole = numbers.rows
    assert [row[:2] for row in layers] == [(layer, kind) for layer, kind in LAYERS]
    assert total[0] == "All operators"
    assert total[2] == "0.271 ms [0.265, 0.276]"
    assert whole[2] == "0.276 ms [0.271, 0.282]"


def test_layers_that_only_one_has_are_put_where_they_run(comparison: Comparison) -> None:
    wider = (("quantize", "QUANTIZE"), *LAYERS[:3], ("extra", "MUL"), *LAYERS[3:])
    chart = layer_charts(_with(comparison, LAYERS, wider), None)[0]
    assert chart.numbers is not None
    assert [row[0] for row in chart.numbers.rows[:-2]] == [layer for layer, _ in wider]
    assert chart.numbers.rows[0][2] == "–"
    assert _figure(chart)["data"][0]["y"] == [1, 2, 3, 5, 6, 7]


def test_operators_of_one_layer_and_kind_are_matched_in_order(comparison: Comparison) -> None:
    twice = (("a", "MUL"), ("a", "MUL"), ("a", "ADD"))
    chart = layer_charts(_with(comparison, twice, twice), None)[0]
    assert _figure(chart)["layout"]["yaxis"]["ticktext"] == ["a", "a (2)", "a"]


def test_of_many_operators_the_slowest_are_drawn_in_order(comparison: Comparison) -> None:
    many = _with(comparison, tuple((f"layer{n}", "ADD") for n in range(100)))
    (row,) = many.artifacts
    assert row.operators is not None
    assert row.operators.timed is not None
    slow = tuple(
        replace(each, time_ms=replace(each.time_ms, value=float(each.index % 10))) for each in row.operators.timed.each
    )
    timed = replace(row.operators.timed, each=slow)
    own = replace(row, operators=replace(row.operators, timed=timed))
    chart = layer_charts(replace(many, artifacts=(own,)), None)[0]
    assert chart.caption.startswith("The 24 slowest of 100 operators")
    assert chart.numbers is not None
    places = [int(cells[0].removeprefix("layer")) for cells in chart.numbers.rows[:-2]]
    assert places == sorted(places)
    assert len(places) == MOST_LAYERS
    assert {place % 10 for place in places} == {7, 8, 9}


def test_hostile_layer_names_are_escaped(comparison: Comparison) -> None:
    charts = layer_charts(_with(comparison, ((BREAKOUT, BREAKOUT),)), None)
    for words in (json.dumps(_figure(chart)) for chart in charts):
        assert "<script" not in words
        assert "&lt;script&gt;" in words


def test_without_times_there_is_no_chart(story: Story) -> None:
    assert layer_charts(story.comparisons[0], None) == ()
