from __future__ import annotations

import pytest

from edgeres.report.score_table import score_table
from edgeres.report.terminal import output, print_result
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


def test_a_single_artifact_has_its_calibration_alone(capsys: pytest.CaptureFixture[str]) -> None:
    (alone,) = measured.accuracies(90, ())
    table = score_table(measured.result(measured.artifact("a", accuracy=alone), data=measured.record(90)))
    assert table is not None
    output().print(table)
    heads = capsys.readouterr().out.splitlines()[1]
    assert heads.split() == ["artifact", "scores", "ECE"]


def test_a_result_without_scores_has_no_table() -> None:
    assert score_table(measured.result(measured.artifact("a"))) is None
