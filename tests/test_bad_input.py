"""What every command does with what it cannot use: one error, its exit code, and nothing left behind."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from converters.pipeline import _typed_refusal
from converters.recipe import load_recipe
from edgeres.console import run
from edgeres.errors import ModelError, TargetError
from edgeres.keras_file import CARD
from tests.edgeres.keras_models import edit_archive
from tests.edgeres.pictures import encoded, fill, gradient
from tests.trained import Trained

CLI = Path(__file__).parents[1] / "cli.py"
OK = "folder:images"

Refused = Callable[..., str]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, trained: Trained) -> Path:
    """A folder full of things that are not what a command expects."""
    folder = tmp_path_factory.mktemp("place")
    shutil.copy(trained.model, folder / "model.keras")
    arguments = ["convert", str(trained.model), "--recipe", "float32", "--data", "digits"]
    assert run([*arguments, "--out", str(folder / "bundle")]) == 0
    _images(folder)
    _files(folder)
    _bundles(folder)
    (folder / "exists").mkdir()
    (folder / "exists" / "mine.txt").write_text("keep me")
    (folder / "empty").mkdir()
    return folder


def _images(folder: Path) -> None:
    for name in ("images", "text", "corrupt", "nothing"):
        fill(folder / name, {"ant": 6, "bee": 6})
    fill(folder / "single", {"ant": 6})
    (folder / "nothing" / "cat").mkdir()
    for image in (folder / "text").rglob("*.png"):
        image.rename(image.with_suffix(".jpg"))
        image.with_suffix(".jpg").write_text("I am a text")
    for image in (folder / "corrupt").rglob("*.png"):
        image.write_bytes(encoded(gradient())[:80])


def _files(folder: Path) -> None:
    whole = (folder / "model.keras").read_bytes()
    (folder / "cut.keras").write_bytes(whole[: len(whole) // 2])
    shutil.copy(folder / "model.keras", folder / "bare.keras")
    edit_archive(folder / "bare.keras", CARD, None)
    shutil.copy(folder / "model.keras", folder / "nan.keras")
    edit_archive(folder / "nan.keras", "model.weights.h5", _diverged(folder / "model.keras"))
    (folder / "file.txt").write_text("hello")
    for name in ("zero.keras", "zero.h5", "zero.tflite", "zero.json", "zero.yaml"):
        (folder / name).touch()
    shutil.copy(folder / "bundle" / "model.tflite", folder / "model.tflite")
    (folder / "cut.tflite").write_bytes((folder / "model.tflite").read_bytes()[:5000])
    (folder / "recipe.yaml").write_text("name: mine\nsteps: [{step: export}, {step: quantize, mdoe: int8}]\n")
    (folder / "settings.yaml").write_text("epoch: 3\n")
    (folder / "broken.yaml").write_text("epochs: [")
    (folder / "later.json").write_text('{"schema": "edgeres.result/7"}')


def _diverged(path: Path) -> bytes:
    """The weights in a Keras file, one of them NaN."""
    with zipfile.ZipFile(path) as archive:
        stored = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(stored, "r+") as weights:
        weights["layers/batch_normalization/vars/0"][3] = np.nan
    return stored.getvalue()


def _bundles(folder: Path) -> None:
    for name in ("altered", "later", "cut"):
        shutil.copytree(folder / "bundle", folder / name)
    (folder / "altered" / "model.tflite").write_bytes(b"\0" * 100)
    manifest = json.loads((folder / "later" / "manifest.json").read_text())
    (folder / "later" / "manifest.json").write_text(json.dumps({**manifest, "schema": "edgeres.bundle/9"}))
    (folder / "cut" / "manifest.json").write_text((folder / "cut" / "manifest.json").read_text()[:200])


@pytest.fixture
def refused(place: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Refused:
    """Run a command line that must fail with a code, in words, in one error, leaving nothing; returns stderr."""
    monkeypatch.chdir(place)
    monkeypatch.setenv("COLUMNS", "1000")

    def refuse(line: str, code: int, words: str) -> str:
        before = contents(place)
        assert run(line.split()) == code
        out, err = capfd.readouterr()
        assert words in err
        assert err.lower().count("error:") == 1
        assert "Traceback" not in err
        assert "fix:" in err or err.startswith("Usage:"), err
        assert not out or line.startswith(("verify", "demo")), out
        assert contents(place) == before
        return err

    return refuse


def contents(folder: Path) -> dict[str, bytes | None]:
    return {str(path): path.read_bytes() if path.is_file() else None for path in sorted(folder.rglob("*"))}


DATA = [
    ("folder:absent", "does not exist"),
    ("folder:empty", "neither images nor class sub-folders"),
    ("folder:file.txt", "is a file, expected a folder"),
    ("folder:single", "a single class"),
    ("folder:nothing", "cat/ has no images"),
    ("folder:", "names no folder"),
    ("digit", "unknown data source"),
]


@pytest.mark.parametrize("command", ["train resnet8 --out new", "convert model.keras --out new", "evaluate bundle"])
@pytest.mark.parametrize(("source", "words"), DATA)
def test_data_that_cannot_be_used_is_4(refused: Refused, command: str, source: str, words: str) -> None:
    refused(f"{command} --data {source}", 4, words)


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        ("convert model.keras --out new", 4, "trained on other classes"),
        ("convert bare.keras --preprocess raw --recipe aware-int8 --out new", 4, "has 10 outputs, folder:images has 2"),
        ("convert bare.keras --preprocess raw --out new", 4, "has 10 outputs, folder:images has 2"),
        ("evaluate bundle", 4, "its 10 classes are not the 2"),
        ("evaluate model.tflite --preprocess raw", 5, "for each of the 2 classes"),
    ],
)
def test_a_model_with_another_number_of_classes(refused: Refused, command: str, code: int, words: str) -> None:
    refused(f"{command} --data {OK}", code, words)


@pytest.mark.parametrize(("folder", "words"), [("text", "not an image"), ("corrupt", "the image is corrupt")])
def test_images_that_cannot_be_decoded_are_4_and_named(refused: Refused, folder: str, words: str) -> None:
    found = refused(f"train resnet8 --epochs 1 --data folder:{folder} --out new", 4, words)
    assert "  ant/" in found or "  bee/" in found


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("convert model.keras --recipe it8", "unknown recipe 'it8'"),
        ("convert model.keras --recipe recipe.yaml", "did you mean 'mode'?"),
        ("convert model.keras --recipe absent.yaml", "does not exist"),
        ("convert model.keras --recipe zero.yaml", "found nothing"),
        ("convert model.keras --recipe broken.yaml", "not readable as YAML"),
        ("convert model.keras --set quantize.images=0", "greater than or equal to 1"),
        ("convert model.keras --set quantise.images=9", "did you mean 'quantize'?"),
        ("convert model.keras --preprocess unit", "carries its own preprocessing"),
        ("train resnt8", "did you mean 'resnet8'?"),
        ("train resnet8 --epochs 0", "greater than or equal to 1"),
        ("train resnet8 --learning-rate nan", "learning_rate"),
        ("train resnet8 --width -1", "give a width in"),
        ("train resnet8 --width nan", "give a width in"),
        ("train resnet8 --input-size 7", "input_size of resnet8 must be in 16"),
        ("train resnet8 --input-size 0", "give another input size"),
        ("train resnet8 --config settings.yaml", "did you mean 'epochs'?"),
        ("train resnet8 --config empty", "Is a directory"),
        ("train resnet8 --preprocess absent.yaml", "No such file"),
    ],
)
def test_settings_that_do_not_fit_are_3(refused: Refused, line: str, words: str) -> None:
    refused(f"{line} --data digits --out new", 3, words)


def test_an_unknown_network_is_3(refused: Refused) -> None:
    refused("models resnt8", 3, "did you mean 'resnet8'?")


@pytest.mark.parametrize(
    "line", ["evaluate bundle --images 0", "evaluate bundle --margin -1", "convert model.keras --out new --seed -1"]
)
def test_options_out_of_range_are_2(refused: Refused, line: str) -> None:
    refused(f"{line} --data digits", 2, "Invalid value")


NO_MODELS = ["absent.keras", "empty", "file.txt", "/dev/null", "zero.keras", "zero.h5", "cut.keras"]


@pytest.mark.parametrize("command", ["inspect", "profile", "evaluate --data digits", "convert --data digits --out new"])
@pytest.mark.parametrize("path", NO_MODELS)
def test_what_is_no_model_is_5(refused: Refused, command: str, path: str) -> None:
    refused(f"{command} {path}", 5, path)


@pytest.mark.parametrize("path", ["bundle", "model.tflite"])
def test_what_is_converted_already_is_5(refused: Refused, path: str) -> None:
    refused(f"convert {path} --data digits --out new", 5, f"{path} is converted already: expected a Keras file")


@pytest.mark.parametrize("recipe", ["int8", "float16", "pruned-int8", "aware-int8"])
def test_weights_that_are_not_numbers_are_5(refused: Refused, recipe: str) -> None:
    found = refused(f"convert nan.keras --recipe {recipe} --data digits --out new", 5, "nan.keras")
    assert "NaN" in found


@pytest.mark.parametrize("command", ["inspect", "profile", "evaluate --data digits --preprocess raw"])
@pytest.mark.parametrize("path", ["zero.tflite", "cut.tflite", "altered", "later", "cut"])
def test_a_corrupt_artifact_is_8(refused: Refused, command: str, path: str) -> None:
    refused(f"{command} {path}", 8, "tflite" if path.endswith(".tflite") else path)


@pytest.mark.parametrize("path", ["empty", "file.txt", "altered", "later", "cut", "/dev/null"])
def test_a_bundle_that_cannot_be_verified_is_8(refused: Refused, path: str) -> None:
    refused(f"verify {path}", 8, path)


@pytest.mark.parametrize("path", ["absent", "empty", "file.txt", "model.keras", "later.json", "zero.json", "altered"])
def test_what_cannot_be_reported_is_8(refused: Refused, path: str) -> None:
    refused(f"report {path} --out new.html", 8, path)


@pytest.mark.parametrize("target", ["tpu", "cpuu"])
def test_an_unknown_target_is_6(refused: Refused, target: str) -> None:
    refused(f"evaluate bundle --data digits --target {target}", 6, f"unknown target '{target}'")
    refused(f"profile bundle --target {target}", 6, f"unknown target '{target}'")


FOLDERS = [
    "train resnet8 --data digits",
    "convert model.keras --data digits",
    "demo",
    "embed bundle --platform python",
]


@pytest.mark.parametrize("command", FOLDERS)
@pytest.mark.parametrize(
    ("out", "words"),
    [
        ("exists", "exists already"),
        ("file.txt", "exists already"),
        ("file.txt/new", "not a folder that can be written"),
    ],
)
def test_an_output_folder_that_cannot_be_made_is_2(refused: Refused, command: str, out: str, words: str) -> None:
    refused(f"{command} --out {out}", 2, words)


FILES = [
    "models --json",
    "targets --json",
    "inspect bundle --json",
    "verify bundle --json",
    "profile bundle --json",
    "evaluate bundle --data digits --json",
    "report bundle --out",
    "report bundle --markdown",
    "convert model.keras --data digits --out new --report",
]


@pytest.mark.parametrize("command", FILES)
@pytest.mark.parametrize("path", ["exists", "file.txt/new", "/dev/full"])
def test_a_file_that_cannot_be_written_is_2_before_any_work(refused: Refused, command: str, path: str) -> None:
    device = Path("/dev/full").stat().st_rdev
    refused(f"{command} {path}", 2, f"cannot write {path}")
    assert Path("/dev/full").stat().st_rdev == device


def test_a_report_is_not_written_over_itself(refused: Refused) -> None:
    refused("report bundle --out new.html --markdown ./new.html", 2, "are both new.html")


def test_a_demo_that_fails_leaves_nothing(refused: Refused) -> None:
    refused("demo --data folder:text --out new", 4, "not an image")


@pytest.fixture
def small_disk(disk_of: Callable[[int], Path]) -> Path:
    """A file system of 64 kB."""
    return disk_of(64)


def test_a_full_disk_is_2_and_leaves_nothing(refused: Refused, small_disk: Path) -> None:
    refused(f"convert model.keras --recipe float32 --data digits --out {small_disk}/new", 2, "no space is left")
    refused(f"report bundle --out {small_disk}/new.html", 2, "no space is left")
    refused(f"train resnet8 --epochs 1 --data {OK} --out {small_disk}/new", 2, "free some space")
    assert contents(small_disk) == {}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("evaluate bundle --data digits --images 250 --json {disk}/new.json", "no space is left"),
        ("evaluate bundle --data digits --images 20 --history {disk}/new.sqlite", "full"),
        ("profile bundle --json {disk}/new.json", "no space is left"),
        ("inspect model.keras --json {disk}/new.json", "no space is left"),
        ("embed bundle --platform python --out {disk}/new", "no space is left"),
        ("embed bundle --platform web --out {disk}/new", "no space is left"),
        ("report bundle --markdown {disk}/new.md --out {disk}/new.html", "no space is left"),
    ],
)
def test_a_disk_that_is_full_in_any_other_command_is_2_and_stays_empty(
    line: str, words: str, place: Path, disk_of: Callable[[int], Path], monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    disk = disk_of(4)
    monkeypatch.chdir(place)
    assert run(line.format(disk=disk).split()) == 2
    err = capfd.readouterr().err
    assert words in err
    assert "Traceback" not in err
    assert [path for path in disk.rglob("*") if path.stat().st_size] == []


def test_a_cache_that_is_full_is_2(refused: Refused, small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGERES_CACHE", str(small_disk / "cache"))
    refused("profile model.keras", 2, "no space is left")
    assert not list(small_disk.rglob("*.part"))


def test_a_full_folder_for_temporary_files_is_2(
    refused: Refused, small_disk: Path, monkeypatch: pytest.MonkeyPatch, own_cache: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(small_disk))
    refused("profile model.keras", 2, "set TMPDIR")
    assert contents(small_disk) == {}
    assert not list(own_cache.rglob("*.tflite"))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_training_interrupted_in_its_first_epoch_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    out = tmp_path / "run"
    arguments = ["train", "resnet8", "--data", "digits", "--batch", "1", "--out", str(out)]
    with subprocess.Popen(
        [sys.executable, str(CLI), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        deadline = time.monotonic() + 300
        while not (out / "config.json").exists():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        time.sleep(2)
        os.killpg(process.pid, number)  # as a terminal does
        shown, err = process.communicate(timeout=120)
    assert process.returncode == (130 if number == signal.SIGINT else 143)
    assert (shown, err.strip()) == ("", "interrupted" if number == signal.SIGINT else "")
    assert list(tmp_path.iterdir()) == []


STUCK = """
import threading, time
import click
from edgeres import commands, console

threading.Thread(target=time.sleep, args=(600,)).start()

@click.command()
def targets():
    raise KeyboardInterrupt

commands.stuck = targets
console.COMMANDS["stuck"] = "edgeres.commands:stuck"
console.main(["stuck"])
"""


def test_an_interruption_does_not_wait_for_threads() -> None:
    done = subprocess.run([sys.executable, "-c", STUCK], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr.strip()) == (130, "interrupted")


def test_what_a_runtime_refuses_after_a_conversion_is_the_models_error(trained: Trained) -> None:
    recipe = load_recipe("int8")
    problem = pytest.raises(ModelError, match="the recipe 'int8' makes of it cannot be run")
    with problem as caught, _typed_refusal(trained.job, recipe):
        raise TargetError("the runtime refuses the model")
    assert caught.value.details == ("the runtime refuses the model",)
    assert caught.value.fix
