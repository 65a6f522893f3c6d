"""MediaPipe's own ImageClassifier, which nobody here wrote, on the bundles as they are."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock

from converters.metadata.describing import COMPLETE, described
from edgeres.bundle import Bundle, open_bundle
from edgeres.console import run
from edgeres.data import open_dataset
from edgeres.storage import sha256_bytes
from targets.runtimes.cpu import CPU
from tests.converters.apps.conftest import CONTRACTS
from tests.converters.apps.hostile import HOSTILE
from tests.targets.conftest import Models, model_folder, models  # noqa: F401 - fixtures
from tests.targets.test_tflite_runtime import clean_environment
from tests.trained import Trained

pytestmark = pytest.mark.slow

LOCK = Path(__file__).with_name("mediapipe.lock")
IMAGES = 200
ENDS = {
    "float32": (),
    "float16": (),
    "dynamic-int8": (),
    "int8": ("quantize.io=float32",),
    "uint8": ("quantize.io=uint8",),
}

Classify = Callable[[bytes, list[np.ndarray]], dict[str, Any]]


@pytest.fixture(scope="module")
def classify(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Classify:
    """MediaPipe in an environment of its own, installed from its lock; kept for the next run."""
    cache = request.config.cache
    assert cache is not None
    folder = cache.mkdir("mediapipe") / sha256_bytes(LOCK.read_bytes() + sys.version.encode())[:16]
    python = str(folder / "bin" / "python")
    with FileLock(f"{folder}.lock"):
        if not (folder / "complete").exists():
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
            command = [python, "-m", "pip", "install", "-q", "--no-deps", "--require-hashes", "-r", str(LOCK)]
            done = subprocess.run(command, capture_output=True, text=True, env=clean_environment())
            if done.returncode:
                pytest.skip(f"MediaPipe cannot be installed: {done.stderr.strip()[-300:]}")
            (folder / "complete").touch()
    work = tmp_path_factory.mktemp("mediapipe")

    def classify_(model: bytes, images: list[np.ndarray]) -> dict[str, Any]:
        (work / "model.tflite").write_bytes(model)
        np.savez(work / "images.npz", *images)
        script = str(Path(__file__).with_name("with_mediapipe.py"))
        command = [python, script, str(work / "model.tflite"), str(work / "images.npz")]
        done = subprocess.run(command, capture_output=True, text=True, env=clean_environment())
        assert done.returncode == 0, done.stderr[-4000:]
        answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return answer

    return classify_


@pytest.fixture(scope="module")
def bundle_with(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Bundle]:
    def bundle_with_(name: str) -> Bundle:
        out = tmp_path_factory.mktemp("told") / "bundle"
        recipe = name if name != "uint8" else "int8"
        options = [option for value in ENDS[name] for option in ("--set", value)]
        arguments = [str(trained.model), "--recipe", recipe, *options, "--data", "digits", "--out", str(out)]
        assert run(["convert", *arguments]) == 0
        return open_bundle(out)

    return bundle_with_


def scores(answer: dict[str, Any]) -> np.ndarray:
    """float32 (images, classes), in the order of the outputs."""
    return np.asarray([[score for _, _, score in sorted(found, key=lambda each: each[1])] for found in answer["found"]])


@pytest.mark.parametrize("name", ENDS)
def test_it_sees_in_200_images_what_edgeres_sees(
    name: str, classify: Classify, bundle_with: Callable[[str], Bundle], capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = bundle_with(name)
    assert bundle.manifest.metadata == COMPLETE
    split = open_dataset("digits").split("test")
    pictures = [split.picture(place) for place in range(IMAGES)]
    contract = bundle.manifest.preprocess
    with CPU.open(bundle.read("model.tflite")) as session:
        ours = session.infer(np.stack([contract(picture) for picture in pictures]))
        step = session.signature.output_scale or 1e-4 * np.abs(ours).max()
    # Resized by the contract beforehand, nothing is left to differ.
    answer = classify(bundle.read("model.tflite"), [contract.geometry(picture) for picture in pictures])
    best = [bundle.labels[place] for place in ours.argmax(axis=1)]
    theirs = scores(answer)
    assert np.abs(theirs - ours).max() <= 2.001 * step
    differing = [place for place in range(IMAGES) if answer["found"][place][0][0] != best[place]]
    margins = np.diff(np.sort(ours, axis=1)[:, -2:], axis=1)[:, 0]
    assert all(margins[place] <= 4.001 * step for place in differing), differing
    # Of the pictures as they are, MediaPipe's own resizing is all that differs: with it, we see what it sees.
    resized = classify(bundle.read("model.tflite"), pictures)
    with CPU.open(bundle.read("model.tflite")) as session:
        as_there = session.infer(np.stack([contract.normalize(at_corners(picture, 32)) for picture in pictures]))
    seen = [bundle.labels[place] for place in as_there.argmax(axis=1)]
    off = np.abs(scores(resized) - as_there).max(axis=1)
    margins = np.diff(np.sort(as_there, axis=1)[:, -2:], axis=1)[:, 0]
    odd = [place for place in range(IMAGES) if resized["found"][place][0][0] != seen[place]]
    assert all(margins[place] <= 2 * off[place] for place in odd), odd
    assert len(odd) <= IMAGES // 20
    ties = [place for place in range(IMAGES) if resized["found"][place][0][0] != best[place]]
    with capsys.disabled():
        sys.stdout.write(f"\n{name}: resizing decides the class of {len(ties)} test images: {ties}\n")


def at_corners(picture: np.ndarray, size: int) -> np.ndarray:
    """MediaPipe's resizing of a square image: bilinear, and it takes pixels to lie at their corners."""
    places = np.arange(size) * len(picture) / size
    low = places.astype(int)
    high, share = np.minimum(low + 1, len(picture) - 1), (places - low)[:, np.newaxis]
    rows = picture[low] * (1 - share[..., np.newaxis]) + picture[high] * share[..., np.newaxis]
    blended: np.ndarray = rows[:, low] * (1 - share) + rows[:, high] * share
    return blended


def test_integer_ends_are_its_own_refusal(classify: Classify, bundles: Any) -> None:
    bundle = bundles("int8")
    assert bundle.manifest.metadata.startswith("in part: clients take float32 or uint8 inputs, not int8")
    answer = classify(bundle.read("model.tflite"), [np.zeros((32, 32, 3), np.uint8)])
    assert "Requested one of these types: uint8/float32, got INT8" in answer["refused"]


@pytest.mark.parametrize("contract", ["raw", "unit", "symmetric"])
def test_its_input_is_the_contracts_and_hostile_labels_are_labels(
    contract: str,
    classify: Classify,
    models: Models,  # noqa: F811
) -> None:
    made, told = described(models("fifty"), name="</x>", contract=CONTRACTS[contract], labels=HOSTILE)
    assert not told.startswith("none")
    images = list(np.random.default_rng(3).integers(0, 256, (3, 16, 16, 3)).astype(np.uint8))
    with CPU.open(made) as session:
        expected = session.infer(np.stack([CONTRACTS[contract].normalize(image) for image in images]))
    answer = classify(made, images)
    np.testing.assert_allclose(scores(answer), expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())
    names = {index: name for name, index, _ in answer["found"][0]}
    # Its Python binding hands a label over as a C string, which ends at a zero byte.
    assert [names[place] for place in range(50)] == [label.split("\0")[0] for label in HOSTILE]


def test_a_mean_for_each_channel_is_its_own_refusal(classify: Classify, models: Models) -> None:  # noqa: F811
    made, told = described(models("fifty"), name="x", contract=CONTRACTS["torch"], labels=HOSTILE)
    assert told == "in part: MediaPipe takes one mean and one deviation for all channels, and refuses others"
    assert "Per-channel image normalization is not available" in classify(made, [])["refused"]
