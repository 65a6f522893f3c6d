from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tf_keras

from edgeres.console import run
from edgeres.models import MODELS
from edgeres.storage import sha256_file
from tests.edgeres.keras_models import classifier, saved
from tests.trained import Bundles, Trained

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")


def written(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def test_models_lists_the_zoo_and_writes_the_designed_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "--json", str(tmp_path / "m.json")]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert [name for name in MODELS if f"\n {name} " not in out] == []
    assert "25,557,032" in out
    document = written(tmp_path / "m.json")
    assert set(document) == {"models"}
    assert [row["name"] for row in document["models"]] == list(MODELS)
    required = {"name", "parameters", "macs", "size_bytes", "arena_bytes", "input", "paper"}
    for row in document["models"]:
        assert required <= set(row) <= {*required, "published"}
    assert document["models"][0]["input"] == [32, 32, 3]


def test_models_shows_the_layers_of_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "resnet8", "--json", str(tmp_path / "m.json")]) == 0
    out = capsys.readouterr().out
    assert "stage2_block0_shortcut_conv" in out
    assert "78,042" in out
    document = written(tmp_path / "m.json")
    assert document["name"] == "resnet8"
    assert sum(layer["macs"] for layer in document["layers"]) == document["macs"]


def test_the_zoo_is_listed_without_tensorflow(tmp_path: Path) -> None:
    script = (
        "import sys; from edgeres.console import run; code = run(['models', '--json', sys.argv[1]]); "
        "sys.exit(code or 'tensorflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path / "m.json")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def inspected(path: Path, tmp_path: Path) -> Any:
    assert run(["inspect", str(path), "--json", str(tmp_path / "i.json")]) == 0
    return written(tmp_path / "i.json")


def test_inspect_a_trained_file_and_its_run(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = inspected(trained.model, tmp_path)
    out, err = capsys.readouterr()
    assert err == ""
    assert "stage1_block0_conv1" in out
    assert set(found) == {"path", "kind", "sha256", "facts", "layers"}
    assert (found["kind"], found["sha256"]) == ("keras", sha256_file(trained.model))
    facts = found["facts"]
    assert facts["input"] == [32, 32, 3]
    assert facts["labels"] == list("0123456789")
    assert facts["preprocess"]["height"] == 32
    assert facts["parameters"] == sum(layer["parameters"] for layer in found["layers"])
    assert facts["size_bytes"] == trained.model.stat().st_size
    assert inspected(trained.folder, tmp_path) == found


@pytest.mark.parametrize("kind", ["functional", "sequential"])
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_inspect_a_foreign_file(kind: str, suffix: str, tmp_path: Path) -> None:
    model = classifier(tf_keras)
    if kind == "sequential":
        model = tf_keras.Sequential([model, tf_keras.layers.Softmax()])
    found = inspected(saved(model, tmp_path / f"m{suffix}"), tmp_path)
    assert found["facts"]["parameters"] == model.count_params()
    assert found["facts"]["macs"] == 6 * 6 * 9 * 3 * 4 + 4 * 3
    assert "--preprocess" in found["facts"]["preprocess"]


def test_inspect_a_file_of_keras_3(tmp_path: Path) -> None:
    import keras

    found = inspected(saved(classifier(keras), tmp_path / "m.keras"), tmp_path)
    assert found["facts"]["written_by"] == f"Keras {keras.__version__}"
    assert found["facts"]["input"] == [8, 8, 3]


def test_inspect_a_bundle_and_its_flatbuffer(
    bundles: Bundles, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = bundles("int8")
    found = inspected(bundle.path, tmp_path)
    assert found["kind"] == "bundle"
    assert found["facts"]["recipe"]["name"] == "int8"
    assert found["facts"]["made_from"] == bundle.manifest.inputs
    assert found["facts"]["labels"] == list("0123456789")
    assert "CONV_2D" in capsys.readouterr().out
    bare = shutil.copy(bundle.path / "model.tflite", tmp_path / "bare.tflite")
    alone = inspected(bare, tmp_path)
    assert alone["kind"] == "tflite"
    assert (alone["sha256"], alone["layers"]) == (found["sha256"], found["layers"])
    assert alone["facts"]["inputs"][0]["dtype"] == "int8"
    assert {key: found["facts"][key] for key in alone["facts"]} == alone["facts"]


def test_report_writes_html_and_markdown(
    trained: Trained, bundles: Bundles, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page, text = tmp_path / "r.html", tmp_path / "r.md"
    paths = [str(trained.folder), str(bundles("int8").path)]
    capsys.readouterr()
    assert run(["report", *paths, "--out", str(page), "--markdown", str(text)]) == 0
    assert capsys.readouterr().out.split() == [str(page), str(text)]
    assert "resnet8" in page.read_text()
    assert run(["report", *paths, "--markdown", "-"]) == 0
    assert capsys.readouterr().out == text.read_text()
    assert run(["report", *paths]) == 2
    assert "--markdown" in capsys.readouterr().err


def test_from_a_checkout_it_is_the_installed_command(tmp_path: Path) -> None:
    installed = Path(sys.executable).with_name("edgeres")
    if not installed.exists():
        pytest.skip("edgeres is not installed beside this Python")
    environment = {**os.environ, "COLUMNS": "120"}
    for arguments in (["--version"], ["--help"], ["convert", "--help"], ["models"], ["models", "resnet9"], ["nothing"]):
        ran = [
            subprocess.run([*command, *arguments], capture_output=True, text=True, cwd=tmp_path, env=environment)
            for command in ([sys.executable, str(ROOT / "cli.py")], [str(installed)])
        ]
        assert (ran[0].returncode, ran[0].stdout, ran[0].stderr) == (ran[1].returncode, ran[1].stdout, ran[1].stderr)
        assert "edgeres" in ran[0].stdout + ran[0].stderr or "resnet" in ran[0].stdout + ran[0].stderr
