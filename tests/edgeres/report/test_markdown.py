from __future__ import annotations

import re

from edgeres.report.markdown import escape, render
from edgeres.report.sources import read_story
from edgeres.report.story import Story
from edgeres.report.table import COLUMNS, STARTUP
from tests.edgeres.report.material import BREAKOUT, HOSTILE, Material


def _cells(line: str) -> list[str]:
    return re.split(r"(?<!\\)\|", line)[1:-1]


def test_the_table_has_a_row_for_each_artifact_and_no_broken_cell(story: Story) -> None:
    lines = [line for line in render(story).splitlines() if line.startswith("|")]
    assert len(lines) == 2 + 5
    assert {len(_cells(line)) for line in lines} == {1 + len(COLUMNS) - 1}, "no p99"
    int8 = _cells(lines[5])
    assert int8[0].strip() == "int8"
    assert "0.12 points (−0.37 to 0.61) **pass**" in int8[4]


def test_start_up_has_a_table_of_its_own(detailed_story: Story) -> None:
    _, separator, after = render(detailed_story).partition("| Artifact | Initialization |")
    assert separator
    lines = [line for line in after.partition("\n\n")[0].splitlines()[1:] if line.startswith("|")]
    assert {len(_cells(line)) for line in lines} == {1 + len(STARTUP)}
    assert len(lines) == 1 + 5


def test_sentences_and_environment(story: Story) -> None:
    text = render(story)
    assert "- **int8** is 98.5 kB" in text
    assert "\n\nfloat: contention: programs waited for a CPU 42 % of the time; close other programs" in text
    assert "cpu Xeon (test); cores 2" in text.splitlines()[-1]
    assert text.endswith("\n")


def test_names_are_literal_in_markdown(absent: Material) -> None:
    text = render(read_story(absent.all))
    assert "<script>" not in text.replace("\\<script\\>", "")
    assert text.startswith(f"## {escape(BREAKOUT)}")


def test_escaping() -> None:
    assert escape(HOSTILE).endswith(r"\>\|\`cat\`")
    assert escape("a\nb\x1b[1m") == "a b�\\[1m"
    assert escape("dynamic_int8 _x_") == r"dynamic_int8 \_x\_"


def test_nothing_given_nothing_claimed() -> None:
    assert render(Story((), (), ())) == "## Report\n"
