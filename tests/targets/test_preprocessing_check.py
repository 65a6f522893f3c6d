from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from edgeres.bundle import open_bundle
from edgeres.console import run
from edgeres.errors import ArtifactError
from edgeres.preprocess import named
from targets.preprocessing_check import AS_CONTRACT, check_preprocessing
from targets.skews import skews
from tests.targets.bundles import CONTRACT, change_golden, change_manifest, make_bundle
from tests.targets.conftest import Models


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory, models: Models) -> Path:
    return make_bundle(tmp_path_factory.mktemp("b") / "int8", models("int8"))


@pytest.mark.parametrize("preset", ["raw", "unit", "symmetric", "torch", "caffe"])
def test_eight_of_eight_are_told_apart(tmp_path: Path, preset: str, models: Models) -> None:
    contract = named(preset, height=16, width=16)
    found = check_preprocessing(make_bundle(tmp_path / "b", models("int8"), contract=contract))
    assert len(found.skews) == 8
    assert all(each.told and each.like is None for each in found.skews)
    assert all((each.difference or 0) > (each.tolerance or 1) for each in found.skews)
    assert found.app is None


def golden_of(bundle: Path) -> tuple[np.ndarray, ...]:
    return open_bundle(bundle).golden.images


@pytest.mark.parametrize("place", range(8))
def test_an_app_with_a_skew_is_told_which(bundle: Path, place: int) -> None:
    skew = skews(CONTRACT)[place]
    assert skew.make is not None
    found = check_preprocessing(bundle, inputs=np.stack([skew.make(image) for image in golden_of(bundle)]))
    assert found.app is not None
    assert (found.app.nearest, found.app.does) == (skew.name, skew.does)
    assert found.app.levels > 0


def test_an_app_that_follows_the_contract_but_for_rounding_is_told_so(bundle: Path) -> None:
    inputs = open_bundle(bundle).golden.inputs
    noise = np.random.default_rng(0).integers(-1, 2, inputs.shape).astype(np.float32)
    found = check_preprocessing(bundle, inputs=inputs + noise)
    assert found.app is not None
    assert found.app.nearest == AS_CONTRACT


def test_an_app_that_does_something_else_is_told_so(bundle: Path) -> None:
    inputs = np.random.default_rng(0).normal(600, 300, open_bundle(bundle).golden.inputs.shape).astype(np.float32)
    found = check_preprocessing(bundle, inputs=inputs)
    assert found.app is not None
    assert found.app.nearest is None


def test_images_of_the_input_size_cannot_show_how_they_would_be_resized(
    tmp_path: Path, models: Models, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_bundle(tmp_path / "b", models("int8"))
    small = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3)).astype(np.uint8)
    images = {f"image_{place}": image for place, image in enumerate(small)}
    change_golden(folder, inputs=small.astype(np.float32), **images)
    found = {each.skew: each.told for each in check_preprocessing(folder).skews}
    assert [name for name, told in found.items() if not told] == ["resize kernel", "antialias"]
    assert run(["check-preprocessing", str(folder)]) == 0
    assert "not seen: resize kernel, antialias. " in capsys.readouterr().out


def test_golden_inputs_that_the_contract_does_not_make_are_an_error(tmp_path: Path, models: Models) -> None:
    folder = make_bundle(tmp_path / "b", models("int8"))
    change_manifest(folder, preprocess={"height": 16, "width": 16, "channels": "bgr"})
    with pytest.raises(ArtifactError, match="not what its contract makes"):
        check_preprocessing(folder)


def test_the_command_shows_the_eight_and_diagnoses_an_app(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["check-preprocessing", str(bundle), "--json", str(tmp_path / "c.json")]) == 0
    assert capsys.readouterr().out.count("told apart") == 8
    assert json.loads((tmp_path / "c.json").read_text())["schema"] == "edgeres.preprocessing/1"
    app = tmp_path / "app.npy"
    np.save(app, open_bundle(bundle).golden.inputs)
    assert run(["check-preprocessing", str(bundle), "--inputs", str(app)]) == 0
    assert "as the contract" in capsys.readouterr().out
    np.save(app, open_bundle(bundle).golden.inputs[..., ::-1])
    assert run(["check-preprocessing", str(bundle), "--inputs", str(app)]) == 8
    assert "channel order: BGR for RGB" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "does not exist"),
        (b"text", "no array of numbers"),
        (np.zeros((1, 2), np.float32), "expected finite inputs of shape (4, 16, 16, 3)"),
        (np.full((4, 16, 16, 3), np.nan, np.float32), "expected finite inputs"),
        (np.asarray(["a"]), "no array of numbers"),
    ],
)
def test_inputs_that_are_none_are_8(
    bundle: Path, tmp_path: Path, content: object, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "app.npy"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        np.save(path, content)
    assert run(["check-preprocessing", str(bundle), "--inputs", str(path)]) == 8
    err = capsys.readouterr().err
    assert message in err
    assert err.count("error:") == 1
