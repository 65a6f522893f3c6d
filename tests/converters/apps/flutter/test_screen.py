"""The Flutter screen: parsed, for no Dart is installed here; its assets are data."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from converters.apps.embedding import embed
from converters.apps.flutter import writer
from tests.converters.apps.conftest import Made
from tests.converters.apps.hostile import HOSTILE

TEMPLATES = Path(writer.__file__).parent / "templates"


@pytest.mark.parametrize("path", sorted(TEMPLATES.rglob("*.dart")), ids=lambda path: path.name)
def test_every_file_parses(path: Path) -> None:
    tree_sitter, grammar = pytest.importorskip("tree_sitter"), pytest.importorskip("tree_sitter_dart")
    parser = tree_sitter.Parser(tree_sitter.Language(grammar.language()))
    assert not parser.parse(path.read_bytes()).root_node.has_error
    assert parser.parse(path.read_bytes() + b"\nclass Wrong { final a = ; }\n").root_node.has_error


def test_labels_are_in_json_alone_and_every_asset_is_named(made: Made, tmp_path: Path) -> None:
    app = tmp_path / "app"
    embed(made("fifty", "unit", HOSTILE), "flutter", app)
    named = yaml.safe_load((app / "pubspec.yaml").read_text())["flutter"]["assets"]
    assert sorted(named) == sorted(path.relative_to(app).as_posix() for path in (app / "assets").iterdir())
    assert json.loads((app / "assets/app.json").read_text())["labels"] == list(HOSTILE)
    for path in app.rglob("*.dart"):
        assert path.read_bytes() == (TEMPLATES / path.relative_to(app)).read_bytes()
