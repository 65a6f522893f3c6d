from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edgeres.history import append, read
from edgeres.report.terminal import output
from edgeres.report.trend import HIGHER, LOWER, SAME, models_table, trend_table
from edgeres.results import Result
from tests.targets import measured
from tests.targets.measured import compared


def shown(tmp_path: Path, capsys: pytest.CaptureFixture[str], *results: Result) -> list[str]:
    for found in results:
        append(tmp_path / "h.sqlite", found)
    output().print(trend_table(read(tmp_path / "h.sqlite", "int8")))
    return capsys.readouterr().out.splitlines()[3 : 3 + len(results)]


def test_a_figure_is_marked_against_the_one_before(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second, third = shown(
        tmp_path, capsys, compared(ms=(2.0, 1.0)), compared(lost=90, ms=(2.0, 0.5)), compared(lost=90, ms=(2.0, 0.5))
    )
    assert not any(mark in first for mark in (HIGHER, LOWER, SAME))
    assert f"91.00 % [89.07, 92.62] {LOWER}" in second
    assert second.count(HIGHER) == 2  # drop and speed-up
    assert second.count(LOWER) == 2  # top-1 and p50
    assert third.count(SAME) == 4


def test_another_machine_or_other_images_are_told_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = compared(lost=90, ms=(2.0, 0.5))
    elsewhere = measured.result(*other.artifacts, data=measured.record(1000, "e" * 64), cpu="B")
    first, second = shown(tmp_path, capsys, compared(), elsewhere)
    assert "A: A" in first
    assert "A: 1,000" in first
    assert "B: B" in second
    assert "B: 1,000" in second
    assert not any(mark in second for mark in (HIGHER, LOWER, SAME))


def test_drop_and_speed_up_over_another_baseline_are_not_marked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = compared(lost=90, ms=(2.0, 0.5))
    other = replace(other, artifacts=(replace(other.artifacts[0], sha256="0" * 64), other.artifacts[1]))
    _, second = shown(tmp_path, capsys, compared(), other)
    assert second.count(LOWER) == 2  # top-1 and p50
    assert HIGHER not in second


def test_models_are_listed_with_how_often_they_were_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(3):
        append(tmp_path / "h.sqlite", compared())
    output().print(models_table(read(tmp_path / "h.sqlite")))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines[3:5]] == [["float32", "3"], ["int8", "3"]]
