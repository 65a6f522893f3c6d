from __future__ import annotations

from pathlib import Path

import pytest

from edgeres.report import html, markdown
from edgeres.report.score_table import score_table
from edgeres.report.sources import read_story
from edgeres.report.terminal import print_result
from tests.targets import measured


def test_scores_are_printed_with_the_worst_class(capsys: pytest.CaptureFixture[str]) -> None:
    print_result(measured.compared(900, lost=6))
    out = capsys.readouterr().out
    assert "probabilities" in out
    assert "6 of 900" in out
    assert "McNemar p" in out
    assert "ant: 0.67 points [" in out
    assert "at most" in out
    assert "insufficient, needs about" in out


def test_a_single_artifact_has_its_calibration_alone() -> None:
    (alone,) = measured.accuracies(90, ())
    artifact = measured.artifact("a", accuracy=alone)
    table = score_table([artifact], measured.record(90), label=lambda one: f"<{one.name}>")
    assert table is not None
    assert table.heads == ("artifact", "scores", "ECE")
    assert [row[:2] for row in table.rows] == [("<a>", "probabilities")]


def test_a_result_without_scores_has_no_table() -> None:
    assert score_table([measured.artifact("a")], None, label=lambda one: one.name) is None


def test_the_page_and_markdown_have_the_table(tmp_path: Path) -> None:
    story = read_story([measured.written(tmp_path, measured.compared(900, lost=6))])
    assert "| int8 | probabilities |" in markdown.render(story)
    page = html.render(story)
    assert "McNemar p" in page
    assert "6 of 900" in page
    assert "Bounds of the drop" in page
