from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path

import pytest

from converters.apps.embedding import embed
from edgeres.console import run
from tests.converters.apps.conftest import Made
from tests.converters.apps.hostile import HOSTILE


@pytest.fixture(scope="module")
def app(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("web") / "app"
    embed(made("fifty", "unit", HOSTILE), "web", out)
    return out


@pytest.mark.parametrize("model", ["int8", "fifty_int8"])
def test_an_integer_bundle_is_refused_with_the_way_out(
    model: str, made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = HOSTILE if model == "fifty_int8" else ("a", "b", "c", "d")
    assert run(["embed", str(made(model, "raw", labels)), "--platform", "web", "--out", str(tmp_path / "app")]) == 5
    error = capsys.readouterr().err
    assert "the model takes int8, LiteRT.js needs float32" in error
    assert "--recipe int8 --set quantize.io=float32" in error
    assert not (tmp_path / "app").exists()


def test_an_open_batch_is_refused(made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["embed", str(made("float32")), "--platform", "web", "--out", str(tmp_path / "app")]) == 5
    assert "has an open batch, LiteRT.js needs 1" in capsys.readouterr().err


def test_the_policy_lets_the_import_map_run_and_nothing_else_inline(app: Path) -> None:
    page = (app / "index.html").read_text()
    inline = re.findall(r"<script[^>]*>(.+?)</script>", page)
    assert len(inline) == 1
    digest = base64.b64encode(hashlib.sha256(inline[0].encode()).digest()).decode()
    assert f"'sha256-{digest}'" in page
    assert "unsafe-inline" not in page
    assert not re.search(r"\son\w+=|style=", page)


def test_nothing_is_named_outside_of_the_folder(app: Path) -> None:
    for path in app.iterdir():
        if path.suffix in (".html", ".js", ".css", ".webmanifest"):
            assert not re.search(r"https?://", path.read_text(encoding="utf-8")), path.name


def test_labels_are_in_json_alone(app: Path) -> None:
    assert json.loads((app / "app.json").read_text())["labels"] == list(HOSTILE)
    for path in app.iterdir():
        if path.suffix in (".html", ".js", ".css", ".py", ".webmanifest"):
            assert "owned" not in path.read_text(encoding="utf-8")


def test_the_lock_file_has_hashes_and_no_addresses(app: Path) -> None:
    packages = json.loads((app / "package-lock.json").read_text())["packages"]
    own = packages.pop("")
    assert own["dependencies"] == json.loads((app / "package.json").read_text())["dependencies"]
    assert len(packages) == 2
    assert all(
        package["integrity"].startswith("sha512-") and "resolved" not in package for package in packages.values()
    )
