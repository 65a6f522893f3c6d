from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from edgeres.console import run
from edgeres.history import append
from tests.targets.measured import compared, written


@pytest.fixture
def result(tmp_path: Path) -> str:
    return written(tmp_path, compared())


def test_check_passes_and_writes_both_files(result: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    xml, file = tmp_path / "c.xml", tmp_path / "c.json"
    limits = ["--max-drop", "1", "--min-speedup", "1.5", "--max-latency-ratio", "0.6", "--max-latency-ms", "2"]
    sizes = ["--max-size", "1kB", "--max-memory", "0.1MiB"]
    assert run(["check", result, *limits, *sizes, "--junit", str(xml), "--json", str(file)]) == 0
    out, err = capsys.readouterr()
    assert out.count("passed") == 6
    assert "104,858 bytes" in out
    assert err == ""
    written_ = json.loads(file.read_text())
    assert (written_["schema"], written_["passed"]) == ("edgeres.check/1", True)
    assert {"gate", "artifact", "limit", "unit", "outcome", "found", "target", "result"} == set(written_["gates"][0])
    assert ElementTree.parse(xml).getroot().get("failures") == "0"  # noqa: S314 - ours


@pytest.mark.parametrize(("limit", "outcome"), [("3", "missed"), ("2", "inconclusive")])
def test_check_ends_with_7_where_a_gate_is_missed_or_inconclusive(
    result: str, tmp_path: Path, limit: str, outcome: str, capsys: pytest.CaptureFixture[str]
) -> None:
    xml = tmp_path / "c.xml"
    assert run(["check", result, "--min-speedup", limit, "--max-drop", "1", "--junit", str(xml)]) == 7
    out, err = capsys.readouterr()
    assert outcome in out
    assert "error: 1 of 2 gates not passed" in err
    assert "min-speedup of int8" in err
    assert f'type="{outcome}"' in xml.read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "say what to check"),
        (["--max-size", "12 apples"], "is no size"),
        (["--max-size", "-3"], "is no size"),
        (["--max-drop", "nan"], "not a finite number"),
        (["--min-speedup", "0"], "0"),
        (["--max-latency-ms", "inf"], "not a finite number"),
        (["--max-size", "1", "--json", "same", "--junit", "same"], "both same"),
    ],
)
def test_a_limit_that_is_none_is_2(
    result: str, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["check", result, *arguments]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot be read as JSON"),
        ("[]", "expected a result of schema 'edgeres.result/1', found None"),
        (json.dumps({"schema": "edgeres.result/2"}), "found 'edgeres.result/2'"),
        (json.dumps({"schema": "edgeres.result/1"}), "the key 'environment' is missing"),
    ],
)
def test_what_is_no_result_of_this_version_is_8(
    tmp_path: Path, content: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "r.json"
    path.write_text(content)
    assert run(["check", str(path), "--max-size", "1"]) == 8
    err = capsys.readouterr().err
    assert message in err
    assert err.count("error:") == 1


def test_a_result_without_bounds_of_the_drop_is_inconclusive(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = compared()
    old = tuple(
        replace(one, accuracy=replace(one.accuracy, top1_drop_bounds_points=None))  # type: ignore[arg-type]
        for one in found.artifacts
    )
    assert run(["check", written(tmp_path, replace(found, artifacts=old)), "--max-drop", "5"]) == 7
    assert "not measured: edgeres evaluate" in capsys.readouterr().out


def test_report_recomputes_and_ends_with_8_where_a_figure_does_not_follow(
    result: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["report", result, "--recompute"]) == 0
    out, _ = capsys.readouterr()
    assert "figures follow from the raw data" in out
    assert run(["report", result, "--recompute", "--markdown", "-"]) == 0
    out, err = capsys.readouterr()
    assert "figures follow from the raw data" in err
    assert "figures follow" not in out
    content = json.loads(Path(result).read_text())
    content["artifacts"][1]["latency"]["speedup"]["low"] += 0.5
    bent = tmp_path / "bent.json"
    bent.write_text(json.dumps(content))
    assert run(["report", str(bent), "--recompute", "--markdown", str(tmp_path / "r.md")]) == 8
    assert "int8 on cpu: latency.speedup.low: stored" in capsys.readouterr().err
    assert not (tmp_path / "r.md").exists()


def test_compare_names_what_differs_and_concludes_only_what_was_paired(
    result: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = compared(lost=30)
    later = written(tmp_path, replace(other, environment={**other.environment, "cpu": "B"}), "later.json")
    assert run(["compare", result, later, "--json", str(tmp_path / "c.json")]) == 0
    out, err = capsys.readouterr()
    assert "drop 3.00 points [" in out
    assert "not comparable: other machine (cpu)" in out
    assert err == ""
    found = json.loads((tmp_path / "c.json").read_text())
    assert found["schema"] == "edgeres.comparison/1"
    assert {row["basis"] for row in found["rows"]} == {"exact", "paired", "not comparable"}


def test_compare_says_where_nothing_is_shared(result: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = compared()
    renamed = replace(found, artifacts=tuple(replace(one, name=f"new {one.name}") for one in found.artifacts))
    assert run(["compare", result, written(tmp_path, renamed, "other.json")]) == 0
    assert "no artifact in common" in capsys.readouterr().out


def test_compare_refuses_what_is_no_result(result: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["compare", result, str(tmp_path / "absent.json")]) == 8
    assert "absent.json does not exist" in capsys.readouterr().err


def test_history_lists_what_it_holds_and_shows_a_trend(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "h.sqlite"
    for lost in (0, 50):
        append(file, compared(lost=lost))
    assert run(["history", str(file)]) == 0
    assert "float32" in capsys.readouterr().out
    assert run(["history", str(file), "int8", "--json", str(tmp_path / "h.json")]) == 0
    assert "95.00 % [" in capsys.readouterr().out
    entries = json.loads((tmp_path / "h.json").read_text())["entries"]
    assert [entry["artifact"] for entry in entries] == ["int8"] * 2
    assert run(["history", str(file), "int9"]) == 3
    assert run(["history", str(tmp_path / "absent")]) == 8
