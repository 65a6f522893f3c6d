from __future__ import annotations

from dataclasses import replace

from edgeres.report.story import Story
from edgeres.report.table import COLUMNS, STARTUP, grid, startup_grid
from edgeres.report.wording import NONE, Figure
from edgeres.results import CompilerEstimate


def _row(story: Story, place: int) -> dict[str, Figure]:
    found = grid(story.comparisons[0])
    return dict(zip(found.columns, found.rows[place].figures, strict=True))


def test_the_baseline_is_compared_with_nothing(story: Story) -> None:
    baseline = _row(story, 0)
    assert baseline["Drop"].value == baseline["Speed-up"].value == NONE
    assert baseline["Top-1"] == Figure("87.71 %", "87.06 to 88.36")


def test_a_bundle_has_every_figure_with_interval_and_verdict(story: Story) -> None:
    int8 = _row(story, 3)
    assert int8["Size"] == Figure("98.5 kB", "98,496 bytes")
    assert int8["Of baseline"].value == "29.8 %"
    assert int8["Drop"] == Figure("0.12 points", "−0.37 to 0.61", "pass")
    assert int8["Speed-up"] == Figure("3.33×", "3.27 to 3.39", "faster")
    assert int8["Memory"] == Figure("1.3 MB peak", "900 kB load, 55.9 kB arena")
    assert int8["Delegated"].value == "13 of 15"
    assert "by XNNPACK; left out: 1\N{NO-BREAK SPACE}AVERAGE_POOL_2D" in int8["Delegated"].note


def test_what_was_not_measured_is_a_dash(story: Story) -> None:
    only_accuracy = replace(story, results=story.results[:1])
    assert _row(only_accuracy, 3)["p50"].value == NONE
    assert _row(only_accuracy, 3)["Memory"].value == NONE
    only_latency = replace(story, results=story.results[1:])
    assert _row(only_latency, 3)["Top-1"].value == NONE


def test_what_a_compiler_computes_is_marked_as_an_estimate(story: Story) -> None:
    latency = story.results[1]
    figures = CompilerEstimate("vela 5", "Shared", 5e8, 144_058, 109_670, 0.288116, 51_888, 0, 79_184, 10)
    compiled = tuple(replace(each, latency=None, estimate=figures) for each in latency.result.artifacts)
    result = replace(latency.result, artifacts=compiled)
    row = _row(replace(story, results=(replace(latency, result=result),)), 1)
    assert row["p50"] == Figure("0.288 ms", "estimated by vela 5 for Shared, nothing ran")
    assert row["Memory"].value.endswith(" SRAM")
    assert row["Memory"].note == row["p50"].note
    assert row["Speed-up"].value == NONE


def test_columns_and_tables_are_there_where_they_were_measured(story: Story, detailed_story: Story) -> None:
    assert set(COLUMNS) - set(grid(story.comparisons[0]).columns) == {"p99"}
    assert startup_grid(story.comparisons[0]) is None
    assert grid(detailed_story.comparisons[0]).columns == COLUMNS
    assert _row(detailed_story, 3)["p99"] == Figure("0.1056 ms", "0.1029 to 0.1083")
    found = startup_grid(detailed_story.comparisons[0])
    assert found is not None
    assert found.columns == STARTUP
    assert found.rows[3].figures == (
        Figure("22.5 ms", "20.0 to 25.0"),
        Figure("2.25 ms", "2.00 to 2.50"),
        Figure("0.9 MB", "0.9 to 0.9"),
        Figure("1.3 MB", "1.3 to 1.3"),
        Figure("6"),
    )
