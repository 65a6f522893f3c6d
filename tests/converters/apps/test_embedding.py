from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from converters.apps import APPS
from converters.apps.embedding import RECORD, embed, is_untouched, parse_size
from edgeres.console import run
from edgeres.errors import ArtifactError, ConfigError, EdgeresError, ModelError, OutputError
from edgeres.storage import sha256_file
from tests.converters.apps.conftest import Made
from tests.converters.apps.hostile import HOSTILE
from tests.targets.bundles import change_manifest, rehash

MODEL_OF = {"c": "int8", "python": "int8"}
"""The small model that suits a platform, where it is not the one of fifty classes."""


def bundle_for(platform: str, made: Made) -> Path:
    model = MODEL_OF.get(platform, "fifty")
    return made(model, labels=HOSTILE) if model == "fifty" else made(model)


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("platform", APPS)
def test_an_app_holds_the_bundles_model_and_says_what_to_do(platform: str, made: Made, tmp_path: Path) -> None:
    bundle = bundle_for(platform, made)
    assert run(["embed", str(bundle), "--platform", platform, "--out", str(tmp_path / "app")]) == 0
    found = tree(tmp_path / "app")
    assert {"README.md", "MODEL_CARD.md", RECORD} <= set(found)
    assert bundle.name in found["README.md"].decode()
    assert "$" not in found["README.md"].decode()
    record = json.loads(found.pop(RECORD))
    assert record["platform"] == platform
    assert record["files"] == {name: sha256_file(tmp_path / "app" / name) for name in found}


@pytest.mark.parametrize("platform", APPS)
def test_a_hostile_name_is_text(platform: str, made: Made, tmp_path: Path) -> None:
    name = "</h1><script>owned()</script>`$(owned)` ${owned} \u202e\n# owned"
    shutil.copytree(bundle_for(platform, made), tmp_path / "bundle")
    change_manifest(tmp_path / "bundle", name=name)
    embed(tmp_path / "bundle", platform, tmp_path / "app")
    for path in (tmp_path / "app").rglob("*"):
        if path.is_dir():
            continue
        if path.suffix in (".json", ".webmanifest"):
            found = json.loads(path.read_text())
            assert name in found.values() or name not in path.read_text()
        elif path.suffix == ".md":
            text = path.read_text()
            assert text.count("<script") == text.count("\\<script")
            assert "\n# owned" not in text
            assert "\u202e" not in text
        elif path.suffix not in (".npz", ".bin", ".tflite", ".png"):
            assert "owned" not in path.read_text()


@pytest.mark.parametrize("platform", APPS)
def test_the_same_bundle_gives_the_same_bytes(platform: str, made: Made, tmp_path: Path) -> None:
    for name in ("one", "two"):
        embed(bundle_for(platform, made), platform, tmp_path / name)
    assert tree(tmp_path / "one") == tree(tmp_path / "two")


def test_an_untouched_app_is_replaced(made: Made, tmp_path: Path) -> None:
    embed(made("float32", "unit"), "python", tmp_path / "app")
    former = tree(tmp_path / "app")
    embed(made("int8"), "python", tmp_path / "app")
    assert tree(tmp_path / "app") != former
    assert is_untouched(tmp_path / "app")
    assert [path.name for path in tmp_path.iterdir()] == ["app"]


@pytest.mark.parametrize("change", ["edited", "added", "removed", "renamed record", "odd record", "not ours"])
def test_a_folder_that_somebody_worked_in_is_refused(change: str, made: Made, tmp_path: Path) -> None:
    app = tmp_path / "app"
    embed(made(), "python", app)
    if change == "edited":
        (app / "classify.py").write_text("mine")
    elif change == "added":
        (app / "mine.txt").write_text("mine")
    elif change == "removed":
        (app / "README.md").unlink()
    elif change == "renamed record":
        (app / RECORD).rename(app / "record.json")
    else:
        (app / RECORD).write_text("[1]" if change == "odd record" else '{"schema": "edgeres.app/1"}')
    before = tree(app)
    with pytest.raises(OutputError, match="exists already"):
        embed(made(), "python", app)
    assert tree(app) == before


def broken(bundle: Path, folder: Path, what: str) -> Path:
    copy = folder / "broken"
    shutil.copytree(bundle, copy)
    if what == "no labels":
        (copy / "labels.txt").write_text("")
        rehash(copy)
    elif what == "too few labels":
        (copy / "labels.txt").write_text("ant\nbee\n")
        rehash(copy)
    elif what == "labels not listed":
        files = json.loads((copy / "manifest.json").read_text())["files"]
        change_manifest(copy, files={name: sha for name, sha in files.items() if name != "labels.txt"})
    elif what == "altered":
        (copy / "model.tflite").write_bytes(b"\0" * 100)
    elif what == "no manifest":
        (copy / "manifest.json").unlink()
    else:
        contract = json.loads((copy / "manifest.json").read_text())["preprocess"]
        change_manifest(copy, preprocess={**contract, "height": 20})
    return copy


@pytest.mark.parametrize(
    ("what", "kind", "words"),
    [
        ("no labels", ArtifactError, "4 classes, labels.txt names 0"),
        ("too few labels", ArtifactError, "4 classes, labels.txt names 2"),
        ("labels not listed", ArtifactError, "4 classes, labels.txt names 0"),
        ("altered", ArtifactError, "was altered"),
        ("no manifest", ArtifactError, "is not a bundle"),
        ("another size", ConfigError, "makes inputs of"),
    ],
)
def test_a_bundle_that_cannot_become_an_app(
    what: str, kind: type[EdgeresError], words: str, made: Made, tmp_path: Path
) -> None:
    with pytest.raises(kind, match=words) as caught:
        embed(broken(made(), tmp_path, what), "python", tmp_path / "app")
    assert caught.value.fix
    assert not (tmp_path / "app").exists()


def test_nothing_at_the_path(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="does not exist"):
        embed(tmp_path / "absent", "python", tmp_path / "app")


def test_an_unknown_platform_is_one_error(made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["embed", str(made()), "--platform", "pyton", "--out", str(tmp_path / "app")]) == 3
    assert "unknown platform 'pyton'\n  fix: did you mean 'python'?" in capsys.readouterr().err


def test_flash_is_of_microcontrollers(made: Made, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--flash means nothing with --platform python"):
        embed(made(), "python", tmp_path / "app", flash_bytes=1 << 20)


@pytest.mark.parametrize(
    ("text", "size"),
    [("65536", 65536), ("1MiB", 1 << 20), ("512 KiB", 1 << 19), ("64kB", 64_000), ("1.5mb", 1_500_000), ("10b", 10)],
)
def test_sizes_are_read(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "0", "-1", "1GiB", "many", "1e9", "1 2", "0.1b", "MiB"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="is no size"):
        parse_size(text)
