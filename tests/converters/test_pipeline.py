"""From a Keras file to a bundle: complete, computed once, refused in words, and gone where it was interrupted."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tf_keras

from converters.cache import folder
from converters.export import keras_outputs
from converters.job import Job
from converters.metadata.attachment import detached
from converters.pipeline import convert, float_flatbuffer, run
from converters.recipe import load_recipe
from edgeres import console
from edgeres.bundle import CALIBRATION, GOLDEN, LABELS, MANIFEST, MODEL, open_bundle
from edgeres.contracts import contract_for
from edgeres.data import open_dataset
from edgeres.errors import ArtifactError, DataError, OutputError
from edgeres.keras_file import read_keras_file
from edgeres.keras_io import load
from edgeres.records import encode
from edgeres.results import read_result
from edgeres.storage import sha256_file
from targets.runtimes.cpu import CPU
from targets.verification import verify
from tests.edgeres.keras_models import classifier, saved
from tests.processes import children, outliving
from tests.targets.bundles import write_images
from tests.trained import Bundles, Trained

CLI = Path(__file__).parents[2] / "cli.py"
RECIPES = ["float32", "float16", "dynamic-int8", "int8", "pruned-int8"]


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_bundle_is_complete_and_verifies(bundles: Bundles, recipe: str, trained: Trained) -> None:
    bundle = bundles(recipe)
    manifest = bundle.manifest
    files = [MODEL, LABELS, GOLDEN, *([CALIBRATION] if recipe in ("int8", "pruned-int8") else [])]
    assert sorted(path.name for path in bundle.path.iterdir()) == sorted((*files, MANIFEST))
    assert manifest.files == {name: sha256_file(bundle.path / name) for name in files}
    assert manifest.inputs["model"] == sha256_file(trained.model)
    assert (manifest.name, manifest.recipe["name"]) == (f"model-{recipe}", recipe)
    assert bundle.labels == tuple("0123456789")
    assert encode(manifest.data) == {"source": "digits", "split_seed": 0}
    assert manifest.seeds == {"splits": 0, "fine_tuning": 0}
    assert manifest.source["network"]["name"] == "resnet8"
    assert {"tensorflow", "litert-quantizer", "edgeres", "python"} <= set(manifest.versions)
    assert verify(bundle.path).verified


def test_the_manifest_names_the_images_that_were_used(bundles: Bundles, trained: Trained) -> None:
    job: Job = trained.job
    assert set(bundles("float32").manifest.inputs) == {"model"}
    assert bundles("int8").manifest.inputs["calibration"] == job.calibration(256).fingerprint()
    pruned = bundles("pruned-int8").manifest
    assert set(pruned.inputs) == {"model", "train", "calibration"}
    assert pruned.inputs["train"] == job.dataset.split("train").fingerprint()
    assert pruned.recipe["steps"][0] == {
        "step": "prune",
        "pattern": "unstructured",
        "sparsity": 0.6,
        "layers": {},
        "ends": True,
        "block_size": None,
        "block_pooling": "average",
        "epochs": 1,
        "ramp": 0.3,
        "learning_rate": 0.01,
        "batch": 64,
    }


@pytest.mark.parametrize("recipe", RECIPES)
def test_golden_tensors_are_what_the_contract_and_keras_give(bundles: Bundles, recipe: str, trained: Trained) -> None:
    bundle = bundles(recipe)
    golden = bundle.golden
    assert len(golden.images) == 4
    for image, inputs in zip(golden.images, golden.inputs, strict=True):
        np.testing.assert_array_equal(bundle.manifest.preprocess(image), inputs)
    expected = keras_outputs(load(read_keras_file(trained.model)), golden.inputs)
    np.testing.assert_allclose(golden.float_outputs, expected, rtol=1e-5, atol=1e-5)
    if recipe == "float32":
        np.testing.assert_allclose(golden.outputs, expected, rtol=1e-4, atol=1e-4)


def test_a_pruned_model_is_sparse_in_the_bundle_too(bundles: Bundles) -> None:
    whole, pruned = (len(zlib.compress(bundles(name).read(MODEL), 9)) for name in ("int8", "pruned-int8"))
    assert pruned < 0.8 * whole
    split, contract = open_dataset("digits").split("test"), bundles("pruned-int8").manifest.preprocess
    inputs = np.stack([contract(content) for content, _ in split])
    with CPU.open(bundles("pruned-int8").read(MODEL)) as session:
        assert np.mean(session.infer(inputs).argmax(axis=1) == split.classes) > 0.5


def stored(step: str) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in (folder() / step).iterdir() if path.suffix != ".lock"}


def test_a_second_recipe_on_the_same_model_does_not_export_again(bundles: Bundles, trained: Trained) -> None:
    bundles("float16")
    exports, outputs = stored("export"), stored("outputs")
    bundles("int8")
    assert (stored("export"), stored("outputs")) == (exports, outputs)
    assert float_flatbuffer(trained.job.file).read_bytes() == detached(bundles("float32").read(MODEL))
    assert stored("export") == exports


def test_a_recipe_runs_again_only_where_its_inputs_differ(bundles: Bundles, trained: Trained) -> None:
    job: Job = trained.job
    bundles("int8")
    exports, before = stored("export"), stored("quantize")
    run(job, load_recipe("int8"))
    run(replace(job, seed=5), load_recipe("dynamic-int8", overrides=()))
    assert stored("export") == exports
    same = stored("quantize")
    run(job, load_recipe("int8", overrides=("quantize.images=8",)))
    after = stored("quantize")
    assert {name: after[name] for name in same} == same
    assert len(after) == len(same) + 2  # the flatbuffer and its seal
    assert set(before) <= set(after)


def test_a_damaged_export_is_made_again(trained: Trained, bundles: Bundles, own_cache: Path, tmp_path: Path) -> None:
    first = run(trained.job, load_recipe("float32"))
    content = first.read_bytes()
    assert first.is_relative_to(own_cache)
    first.write_bytes(content[:-100])
    again = run(trained.job, load_recipe("float32"))
    assert again == first
    assert again.read_bytes() == content


def test_converting_a_copy_elsewhere_gives_the_same_bytes(
    trained: Trained, bundles: Bundles, own_cache: Path, tmp_path: Path
) -> None:
    shutil.copy(trained.model, tmp_path / "model.keras")
    file = read_keras_file(tmp_path / "model.keras")
    bundle = convert(replace(trained.job, file=file), load_recipe("int8"), tmp_path / "b")
    assert bundle.read(MODEL) == bundles("int8").read(MODEL)
    assert bundle.manifest.inputs == bundles("int8").manifest.inputs


def test_an_output_that_exists_is_refused_before_any_work(trained: Trained, tmp_path: Path, own_cache: Path) -> None:
    (tmp_path / "mine.txt").touch()
    with pytest.raises(OutputError, match="exists already"):
        convert(trained.job, load_recipe("float32"), tmp_path)
    assert not own_cache.exists()


def test_a_foreign_model_with_another_number_of_classes_is_4(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = saved(classifier(tf_keras, classes=7), tmp_path / "seven.keras")
    for recipe in ("float32", "pruned-int8"):
        arguments = ["convert", str(path), "--recipe", recipe, "--data", "digits", "--preprocess", "raw"]
        assert console.run([*arguments, "--out", str(tmp_path / "b")]) == 4
        assert "has 7 outputs, digits has 10 classes" in capsys.readouterr().err
    assert not (tmp_path / "b").exists()


@pytest.fixture
def photos(tmp_path: Path) -> Job:
    """A small foreign model and the folder of images that it classifies."""
    source = write_images(tmp_path / "images", labels=("ant", "bee", "cat"))
    file = read_keras_file(saved(classifier(tf_keras), tmp_path / "small.keras"))
    return Job(file, open_dataset(source), contract_for(file, "unit"))


def test_calibration_images_in_the_test_split_are_refused(photos: Job, tmp_path: Path) -> None:
    calibration, test = photos.dataset.split("calibration"), photos.dataset.split("test")
    images = tmp_path / "images"
    shutil.copy(images / test.where(0), images / calibration.where(3))
    with pytest.raises(DataError, match=r"calibration data overlaps the test split \(1 of") as caught:
        convert(photos, load_recipe("int8"), tmp_path / "b")
    assert caught.value.details == (f"first: {calibration.where(3)}",)
    assert not (tmp_path / "b").exists()
    convert(photos, load_recipe("dynamic-int8"), tmp_path / "b")  # reads no calibration images


def test_a_corrupt_image_is_named(photos: Job, tmp_path: Path) -> None:
    split = photos.dataset.split("calibration")
    victim = tmp_path / "images" / split.where(1)
    victim.write_bytes(victim.read_bytes()[:80])
    for recipe in ("float32", "int8"):
        with pytest.raises(DataError) as caught:
            convert(photos, load_recipe(recipe), tmp_path / "b")
        assert split.where(1) in caught.value.message
    assert not (tmp_path / "b").exists()


def test_images_of_any_size_and_orientation_verify(photos: Job, tmp_path: Path) -> None:
    bundle = convert(photos, load_recipe("float32"), tmp_path / "b")
    assert {image.shape for image in bundle.golden.images} == {(20, 16, 3)}
    assert verify(bundle.path).verified
    (bundle.path / MODEL).write_bytes(bundle.read(MODEL)[:-1])
    with pytest.raises(ArtifactError):
        verify(bundle.path).require()


def test_progress_tells_every_step(photos: Job) -> None:
    told: list[tuple[str, int, int]] = []
    job = replace(photos, progress=lambda stage, done, total: told.append((stage, done, total)))
    run(job, load_recipe("int8"))
    assert told == [("int8: export", 0, 2), ("int8: export", 1, 2), ("int8: quantize", 1, 2), ("int8: quantize", 2, 2)]


@pytest.mark.slow
def test_ctrl_c_while_converting_ends_with_130_and_leaves_nothing(trained: Trained, tmp_path: Path) -> None:
    """Sent while a network is fine-tuned, and again while its flatbuffer runs in a child process."""
    temporary, cache = tmp_path / "tmp", tmp_path / "cache"
    temporary.mkdir()
    environment = {"TMPDIR": str(temporary), "EDGERES_CACHE": str(cache)}
    for recipe, child in (("pruned-int8", False), ("float32", True)):
        arguments = ["convert", str(trained.model), "--recipe", recipe, "--data", "digits"]
        arguments += ["--set", "prune.epochs=500"] if recipe == "pruned-int8" else []
        with subprocess.Popen(
            [sys.executable, str(CLI), *arguments, "--out", str(tmp_path / "b")],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
        ) as process:
            born = _wait(process, cache, child=child)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=120)
        assert (process.returncode, out, err.strip()) == (130, "", "interrupted")
        assert not outliving(born)
        # TensorFlow keeps the source of what it has traced until an orderly exit.
        assert not [path for path in temporary.iterdir() if not path.name.startswith("__autograph_generated_file")]
        left = [path for path in cache.rglob("*") if path.is_file() and path.suffix != ".lock"]
        assert all(path.parents[1].suffix == ".state" for path in left), "only what fine-tuning goes on from"
        assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "tmp"]


def _wait(process: subprocess.Popen[str], cache: Path, *, child: bool) -> list[int]:
    """Until the step has begun (its lock is there), and where asked until a child process has started."""
    deadline = time.monotonic() + 300
    step = "export" if child else "prune"
    while not list(cache.glob(f"{step}/*.lock")) or (child and not children(process.pid)):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    time.sleep(0 if child else 8)  # into the epochs
    return children(process.pid)


def test_the_command_says_what_was_gained(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str], bundles: Bundles
) -> None:
    bundles("int8")
    out = tmp_path / "b"
    arguments = ["convert", str(trained.model), "--recipe", "int8", "--data", "digits", "--out", str(out)]
    assert console.run(arguments) == 0
    said = capsys.readouterr().out
    size = len(open_bundle(out).read(MODEL))
    assert said.startswith(f"{out}: int8, {size:,} bytes, ")
    assert "x smaller than float32" in said
    before = {path: path.read_bytes() for path in out.iterdir()}
    assert console.run(arguments) == 2
    assert {path: path.read_bytes() for path in out.iterdir()} == before


def test_a_report_is_written_beside_its_figures(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str], bundles: Bundles
) -> None:
    bundles("int8")
    page = tmp_path / "report.html"
    arguments = ["convert", str(trained.model), "--data", "digits", "--out", str(tmp_path / "b"), "--report", str(page)]
    assert console.run(arguments) == 0
    assert f"{page} (figures: {tmp_path / 'report.json'})" in capsys.readouterr().out
    float32, int8 = read_result(tmp_path / "report.json").artifacts
    assert (float32.baseline, int8.baseline) == (True, False)
    for one in (float32, int8):
        assert one.accuracy is not None
        assert one.latency is not None
    assert "<html" in page.read_text()[:200].lower()
