from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from edgeres.commands import data
from edgeres.console import run
from edgeres.report.data_tables import SHOWN
from tests.edgeres.pictures import fill
from tests.edgeres.report.chromium import EXECUTABLE, running
from tests.edgeres.report.test_html import Outline

HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    folder = fill(tmp_path / "photos", {"cat": 150, HOSTILE: 150})
    (folder / "cat" / "<script>alert(2)<.png").write_bytes(b"<script>")
    return folder


def test_the_command_writes_a_page_and_json(hostile: Path, tmp_path: Path) -> None:
    page, record = tmp_path / "page.html", tmp_path / "found.json"
    result = CliRunner().invoke(data, [f"folder:{hostile}", "--out", str(page), "--json", str(record)])
    assert result.exit_code == 0, result.output
    found = json.loads(record.read_text())
    assert found["schema"] == "edgeres.data/1"
    assert found["images"] == 301
    assert [place["path"] for place in found["corrupt"]["listed"]] == ["cat/<script>alert(2)<.png"]
    assert [each["label"] for each in found["classes"]] == [HOSTILE, "cat"]
    assert "1 (0.33%, accepted 1%)" in result.output
    outline = Outline(page.read_text())
    assert not outline.crossed
    assert outline.all("script") == []
    assert HOSTILE in outline.text
    assert "cat/<script>alert(2)<.png" in outline.text
    sources = [image["src"] or "" for image in outline.all("img")]
    assert len(sources) == 16
    assert all(source.startswith("data:image/png;base64,") for source in sources)


def test_too_much_corruption_ends_with_code_four_after_everything_was_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = fill(tmp_path / "photos", {"cat": 20, "dog": 20})
    (folder / "cat" / "0003.png").write_bytes(b"")
    page, record = tmp_path / "page.html", tmp_path / "found.json"
    assert run(["data", f"folder:{folder}", "--out", str(page), "--json", str(record)]) == 4
    out, err = capsys.readouterr()
    assert "cat/0003.png: the file is empty" in out
    assert "1 of 40 images are corrupt (2.5%)" in err
    assert json.loads(record.read_text())["corrupt"]["images"] == 1
    assert "refused" in page.read_text()


def test_an_unknown_source_ends_with_code_four(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["data", "folder:/nowhere"]) == 4
    assert "does not exist" in capsys.readouterr().err


def test_many_classes_are_cut_short_in_the_terminal(tmp_path: Path) -> None:
    folder = fill(tmp_path / "photos", {f"class {i:03}": 3 for i in range(SHOWN + 5)})
    result = CliRunner().invoke(data, [f"folder:{folder}"])
    assert "… and 5 more" in result.output
    assert f"class {SHOWN + 1:03}" not in result.output.split("→")[0]


@pytest.mark.browser
@pytest.mark.skipif(EXECUTABLE is None, reason="Chromium is not installed")
def test_the_page_asks_for_nothing_and_fits_a_phone(hostile: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    CliRunner().invoke(data, [f"folder:{hostile}", "--out", str(page)])
    with running(tmp_path / "profile") as chromium:
        for width in (1280, 390):
            tab = chromium.page()
            tab.open(page, width=width)
            assert tab.problems == []
            assert [address for address in tab.requests if not address.startswith("data:")] == [page.as_uri()]
            assert tab.evaluate("document.documentElement.scrollWidth") <= width
            assert tab.evaluate("[...document.images].every(image => image.naturalWidth > 0)")
