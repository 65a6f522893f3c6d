from __future__ import annotations

import os
from pathlib import Path

import pytest

from edgeres.bundle import LABELS, MODEL
from edgeres.errors import ArtifactError, ConfigError, ModelError
from edgeres.preprocess import Preprocess
from edgeres.storage import sha256_bytes
from targets import artifact
from targets.artifact import Artifact, choose_baseline, open_artifact, open_artifacts, open_compared
from tests.targets.bundles import CONTRACT, LABELS_OF_DATA, make_bundle, rehash
from tests.targets.conftest import Models


def write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def keras_double(path: Path, preprocess_option: str | None, *, trust: bool) -> Artifact:
    return Artifact(path.stem, str(path), "keras", b"converted", labels=(str(preprocess_option),))


@pytest.fixture
def keras(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifact, "KERAS_OPENER", f"{__name__}:keras_double")


def test_a_bundle_brings_its_contract_labels_and_recipe(tmp_path: Path, models: Models) -> None:
    found = open_artifact(make_bundle(tmp_path / "b", models("int8")), "unit")
    assert (found.name, found.kind, found.recipe, found.path) == ("b", "bundle", "int8", str(tmp_path / "b"))
    assert found.model == models("int8")
    assert found.preprocess == CONTRACT
    assert found.labels == LABELS_OF_DATA
    assert found.sha256 == sha256_bytes(models("int8"))


def test_an_altered_bundle_is_refused(tmp_path: Path, models: Models) -> None:
    make_bundle(tmp_path / "b", models("int8"))
    (tmp_path / "b" / MODEL).write_bytes(models("int8")[:-1] + b"x")
    with pytest.raises(ArtifactError, match="altered"):
        open_artifact(tmp_path / "b")


def test_a_label_file_that_is_no_text_is_refused(tmp_path: Path, models: Models) -> None:
    make_bundle(tmp_path / "b", models("int8"))
    (tmp_path / "b" / LABELS).write_bytes(b"\xff\xfe\n")
    rehash(tmp_path / "b")
    with pytest.raises(ArtifactError, match="UTF-8"):
        open_artifact(tmp_path / "b")


def test_a_tflite_takes_its_contract_from_the_option(tmp_path: Path, models: Models) -> None:
    path = write(tmp_path / "m.tflite", models("float32"))
    assert open_artifact(path).preprocess is None
    found = open_artifact(path, "unit")
    assert found.preprocess == Preprocess(16, 16, scale=1 / 255)
    assert (found.name, found.kind, found.labels, found.recipe) == ("m", "tflite", None, None)


def test_pixels_without_a_contract_are_an_error_that_names_the_presets(tmp_path: Path, models: Models) -> None:
    with pytest.raises(ConfigError, match="pixels") as caught:
        open_artifact(write(tmp_path / "m.tflite", models("float32"))).require_preprocess()
    assert "raw, unit, symmetric, torch, caffe" in str(caught.value)
    assert "--preprocess" in str(caught.value)


def test_a_flatbuffer_is_known_by_its_content_too(tmp_path: Path, models: Models) -> None:
    assert open_artifact(write(tmp_path / "model.bin", models("float32"))).kind == "tflite"


def test_what_cannot_be_measured_is_an_error_with_a_fix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "folder").mkdir()
    write(tmp_path / "run/config.json", b"{}")
    os.mkfifo(tmp_path / "pipe.tflite")
    for name, match in (
        ("absent.tflite", "does not exist"),
        ("folder", "but no bundle"),
        ("run", "model.keras"),
        ("pipe.tflite", "not a regular file"),
    ):
        with pytest.raises(ModelError) as caught:
            open_artifact(tmp_path / name)
        assert match in str(caught.value)
        assert name in str(caught.value)
    with pytest.raises(ModelError, match="nothing that can be measured"):
        open_artifact(write(tmp_path / "notes.txt", b"hello, world"))
    monkeypatch.setattr(artifact, "MAX_BYTES", 10)
    with pytest.raises(ModelError, match="11 bytes"):
        open_artifact(write(tmp_path / "big.tflite", b"x" * 11))


def test_the_option_needs_a_well_formed_classifier(tmp_path: Path, model_folder: Path) -> None:
    with pytest.raises(ArtifactError, match=r"junk\.tflite"):
        open_artifact(write(tmp_path / "junk.tflite", b"x" * 100), "raw")
    with pytest.raises(ModelError, match=r"two_inputs.tflite: expected a model with one input"):
        open_artifact(model_folder / "two_inputs.tflite", "raw")


@pytest.mark.usefixtures("keras")
@pytest.mark.parametrize("name", ["m.keras", "m.h5", "m.H5"])
def test_a_keras_file_goes_to_the_opener_of_the_layer_above(tmp_path: Path, name: str) -> None:
    found = open_artifact(write(tmp_path / name, b"keras"), "unit")
    assert (found.kind, found.model, found.labels) == ("keras", b"converted", ("unit",))


def test_names_are_made_unique(tmp_path: Path, models: Models) -> None:
    paths = [write(tmp_path / part / "m.tflite", models("float32")) for part in ("one", "two", "x/one")]
    paths.append(write(tmp_path / "other.tflite", models("float32")))
    names = [found.name for found in open_artifacts([*paths, paths[3]])]
    assert names == ["one/m", "two/m", "one/m#2", "other", "other#2"]
    write(tmp_path / "one/m", models("float32"))
    assert [found.name for found in open_artifacts([paths[0], tmp_path / "one/m"])] == ["m.tflite", "m"]


@pytest.mark.usefixtures("keras")
def test_the_baseline_is_the_keras_file_or_the_first_of_several(tmp_path: Path, models: Models) -> None:
    plain = [write(tmp_path / f"{name}.tflite", models("float32")) for name in "ab"]
    keras = write(tmp_path / "k.keras", b"keras")
    assert choose_baseline(open_artifacts(plain)) == 0
    assert choose_baseline(open_artifacts([*plain, keras])) == 2
    assert choose_baseline(open_artifacts(plain[:1])) is None


def test_a_baseline_that_is_named_is_found_or_put_first(tmp_path: Path, models: Models) -> None:
    a, b, c = (str(write(tmp_path / f"{name}.tflite", models("float32"))) for name in "abc")
    found, place = open_compared([a, b], baseline=b)
    assert ([one.name for one in found], place) == (["a", "b"], 1)
    found, place = open_compared([a, b], baseline=c)
    assert ([one.name for one in found], place) == (["c", "a", "b"], 0)
    found, place = open_compared([a, b], baseline=None)
    assert ([one.name for one in found], place) == (["a", "b"], 0)
