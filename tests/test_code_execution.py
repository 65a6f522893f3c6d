"""Files that bring code along: none of it runs, whichever command opens them."""

from __future__ import annotations

import io
import json
import pickle
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeres.bundle import GOLDEN, LABELS
from edgeres.console import run
from tests.edgeres.keras_models import classifier, saved
from tests.edgeres.test_keras_config import generation, lambda_that_writes
from tests.edgeres.test_saved_model import writes, written
from tests.targets.bundles import make_bundle, rehash, write_images
from tests.targets.conftest import model_folder, models  # noqa: F401 - fixtures
from tests.trained import Trained


class Code:
    """What pickle runs."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return Path.touch, (self.marker,)


def with_lambda(number: int, suffix: str) -> Callable[[Path, Path], list[str]]:
    def make(folder: Path, marker: Path) -> list[str]:
        keras = generation(number)
        path = saved(classifier(keras, body=lambda_that_writes(keras, marker)), folder / f"model{suffix}")
        marker.unlink(missing_ok=True)  # to build the model ran it
        return ["inspect", str(path)]

    return make


def saved_model(folder: Path, marker: Path) -> list[str]:
    return ["inspect", str(written(folder / "saved", writes(marker)))]


def yaml(marker: Path) -> str:
    return f"name: !!python/object/apply:os.mkdir [{marker}]\nsteps: [{{step: export}}]\n"


def recipe(folder: Path, marker: Path) -> list[str]:
    (folder / "r.yaml").write_text(yaml(marker))
    shutil.copy(folder.parent / "model.keras", folder)
    return [
        "convert",
        str(folder / "model.keras"),
        "--recipe",
        str(folder / "r.yaml"),
        "--data",
        "digits",
        "--out",
        "b",
    ]


def settings(folder: Path, marker: Path) -> list[str]:
    (folder / "c.yaml").write_text(yaml(marker))
    return ["train", "resnet8", "--data", "digits", "--config", str(folder / "c.yaml"), "--out", str(folder / "run")]


def contract(folder: Path, marker: Path) -> list[str]:
    (folder / "p.yaml").write_text(yaml(marker))
    (folder / "model.tflite").write_bytes((folder.parent / "bundle" / "model.tflite").read_bytes())
    source = f"folder:{folder.parent / 'images'}"
    return ["evaluate", str(folder / "model.tflite"), "--data", source, "--preprocess", str(folder / "p.yaml")]


def golden(folder: Path, marker: Path) -> list[str]:
    bundle = shutil.copytree(folder.parent / "bundle", folder / "bundle")
    np.savez(bundle / GOLDEN, inputs=np.array([Code(marker)], dtype=object))
    rehash(bundle)
    return ["verify", str(bundle)]


def pickled_golden(folder: Path, marker: Path) -> list[str]:
    bundle = shutil.copytree(folder.parent / "bundle", folder / "bundle")
    (bundle / GOLDEN).write_bytes(pickle.dumps(Code(marker)))
    rehash(bundle)
    return ["embed", str(bundle), "--platform", "python", "--out", str(folder / "app")]


def app_inputs(folder: Path, marker: Path) -> list[str]:
    content = io.BytesIO()
    np.save(content, np.array([Code(marker)], dtype=object))
    (folder / "inputs.npy").write_bytes(content.getvalue())
    return ["check-preprocessing", str(folder.parent / "bundle"), "--inputs", str(folder / "inputs.npy")]


def weights(folder: Path, marker: Path) -> list[str]:
    """Beside a harmless configuration, weights in the format that Keras reads with pickle."""
    path = shutil.copy(folder.parent / "model.keras", folder)
    content = io.BytesIO()
    np.savez(content, weights=np.array([Code(marker)], dtype=object))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("model.weights.npz", content.getvalue())
    return ["inspect", str(path)]


PAYLOADS: dict[str, tuple[Callable[[Path, Path], list[str]], int]] = {
    "h5 of Keras 2": (with_lambda(2, ".h5"), 5),
    "h5 of Keras 3": (with_lambda(3, ".h5"), 5),
    "keras file of Keras 2": (with_lambda(2, ".keras"), 5),
    "keras file of Keras 3": (with_lambda(3, ".keras"), 5),
    "SavedModel": (saved_model, 5),
    "pickled weights": (weights, 5),
    "recipe": (recipe, 3),
    "settings": (settings, 3),
    "contract": (contract, 3),
    "golden file": (golden, 8),
    "pickle as golden file": (pickled_golden, 8),
    "inputs of an app": (app_inputs, 8),
}


@pytest.fixture(scope="module")
def place(trained: Trained, models: Callable[[str], bytes], tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: F811
    folder = tmp_path_factory.mktemp("payloads")
    shutil.copy(trained.model, folder / "model.keras")
    write_images(folder / "images", each=3)
    make_bundle(folder / "bundle", models("float32"))
    make_bundle(folder / "integers", models("int8"))
    return folder


@pytest.mark.parametrize("payload", PAYLOADS)
def test_code_in_a_file_does_not_run(payload: str, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make, code = PAYLOADS[payload]
    folder = place / payload.replace(" ", "-")
    folder.mkdir()
    marker = folder / "ran"
    assert run(make(folder, marker)) == code
    assert "error:" in capsys.readouterr().err + "error:" * (code == 8)
    assert not marker.exists()


HOSTILE = ("$(touch ran)", "`touch ran`", '"); __import__("pathlib").Path("ran").touch(); ("', "</script><script>x()")


def test_labels_are_text_in_apps_and_in_reports(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("bundle", "integers"):
        bundle = shutil.copytree(place / name, tmp_path / name)
        (bundle / LABELS).write_text("".join(f"{label}\n" for label in HOSTILE))
        rehash(bundle)
    for platform, bundle in (("python", tmp_path / "bundle"), ("c", tmp_path / "integers")):
        assert run(["embed", str(bundle), "--platform", platform, "--out", platform]) == 0
    checked = subprocess.run([sys.executable, "python/classify.py", "--check"], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
    assert tuple(json.loads(Path("python/app.json").read_text())["labels"]) == HOSTILE
    assert run(["report", str(bundle), "--out", "report.html"]) == 0
    assert HOSTILE[3] not in Path("report.html").read_text()
    assert not list(tmp_path.rglob("ran"))


SECRETS = {
    "AWS_SECRET_ACCESS_KEY": "planted-aws-4f9a",
    "GITHUB_TOKEN": "planted-github-77c1",
    "HTTPS_PROXY": "http://user:planted-proxy-d2e0@proxy.invalid:3128",
    "EDGERES_TOKEN": "planted-own-18bb",
}


def test_secrets_of_the_environment_are_nowhere(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EDGERES_CACHE", str(tmp_path / "cache"))
    source, model = f"folder:{place / 'images'}", str(place / "model.keras")
    bundle = str(place / "bundle")
    for arguments in (
        ["-v", "convert", model, "--recipe", "float32", "--data", "digits", "--out", "converted"],
        ["-v", "evaluate", bundle, "--data", source, "--json", "evaluated.json", "--history", "history.sqlite"],
        ["-v", "profile", bundle, "--json", "profiled.json"],
        ["-v", "report", bundle, "evaluated.json", "profiled.json", "--out", "report.html"],
        ["-v", "embed", bundle, "--platform", "python", "--out", "app"],
        ["-v", "targets", "--json", "targets.json"],
    ):
        assert run(arguments) == 0
    written_files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written_files) > 10
    everything = "".join(capfd.readouterr()).encode() + b"".join(path.read_bytes() for path in written_files)
    assert b"planted" not in everything
