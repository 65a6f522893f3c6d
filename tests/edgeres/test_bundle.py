from __future__ import annotations

import io
import json
import resource
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeres.archive import check_members
from edgeres.bundle import Golden, is_bundle, open_bundle, write_bundle
from edgeres.calibration import Calibration, Coverage
from edgeres.data import Origin
from edgeres.errors import ArtifactError, DataError, OutputError
from edgeres.findings import Finding
from edgeres.preprocess import named
from edgeres.results import Estimate
from edgeres.storage import sha256_bytes
from tests.targets.bundles import compiled_from

MODEL = b"\x1c\x00\x00\x00TFL3" + bytes(100)
LABELS = ("cat", "dog", "ünïcode with spaces")
FILES = ("model.tflite", "labels.txt", "golden.npz")
COMPILED = "compiled/ethosu-u55-256.tflite"


def golden(count: int = 3) -> Golden:
    dice = np.random.default_rng(0)
    images = tuple(dice.integers(0, 256, (5 + i, 7, 3), np.uint8) for i in range(count))
    inputs, outputs = dice.random((count, 8, 8, 3), np.float32), dice.random((count, 3), np.float32)
    return Golden(images, inputs, outputs, outputs + np.float32(0.1))


def describe() -> dict[str, Any]:
    return {
        "name": "tiny",
        "preprocess": named("torch", height=8, width=8),
        "recipe": {"name": "int8", "steps": [{"kind": "quantize"}]},
        "source": {"file": "model.keras", "parameters": 78_666},
        "data": Origin("digits", 0),
        "seeds": {"data": 0},
        "versions": {"edgeres": "0.1.0"},
        "inputs": {"model": "0" * 64},
        "tolerance": 0.125,
    }


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    write_bundle(tmp_path / "tiny", model=MODEL, labels=LABELS, golden=golden(), describe=describe())
    return tmp_path / "tiny"


def test_a_bundle_keeps_its_calibration_where_there_was_one(bundle: Path, tmp_path: Path) -> None:
    assert open_bundle(bundle).calibration is None
    top1 = Estimate(0.9, 0.8, 0.95, 0.95, "Wilson score interval", 100)
    activation = Coverage("conv", "net/conv/Conv2D", "int8", -1.0, 2.0, -1.1, 1.9, 0.001, 256, 180)
    finding = Finding("few images", "images", "clipped", "add some", "warning")
    kept = Calibration(100, "0" * 64, {"cat": 60, "dog": 40}, top1, (activation,), (finding,))
    written = {"model": MODEL, "labels": LABELS, "golden": golden(), "describe": describe()}
    write_bundle(tmp_path / "kept", **written, calibration=kept)  # type: ignore[arg-type]
    assert open_bundle(tmp_path / "kept").calibration == kept
    place = tmp_path / "kept" / "calibration.json"
    place.write_text(place.read_text().replace("180", "18"))
    with pytest.raises(ArtifactError, match="was altered after the bundle was written"):
        _ = open_bundle(tmp_path / "kept").calibration


@pytest.fixture
def with_compiled(tmp_path: Path) -> Path:
    written = {"model": MODEL, "labels": LABELS, "golden": golden(), "describe": describe()}
    both = [compiled_from(MODEL), compiled_from(MODEL, "npu:qualcomm:SM8750")]
    write_bundle(tmp_path / "whole", **written, compiled=both)  # type: ignore[arg-type]
    return tmp_path / "whole"


def test_compiled_files_are_kept_with_their_provenance(with_compiled: Path) -> None:
    found = open_bundle(with_compiled)
    expected = [compiled_from(MODEL), compiled_from(MODEL, "npu:qualcomm:SM8750")]
    assert found.compiled == tuple(record for record, _ in expected)
    for record, content in expected:
        assert found.read(record.file) == content
        assert found.manifest.files[record.file] == sha256_bytes(content)
    names = sorted(path.name for path in (with_compiled / "compiled").iterdir())
    assert names == ["ethosu-u55-256.tflite", "npu-qualcomm-SM8750.tflite"]


def test_a_manifest_without_compiled_files_is_as_it_always_was(bundle: Path) -> None:
    assert "compiled" not in json.loads((bundle / "manifest.json").read_text())
    assert open_bundle(bundle).compiled == ()


def test_an_altered_or_missing_compiled_file_is_refused(with_compiled: Path) -> None:
    (with_compiled / COMPILED).write_bytes(b"another")
    with pytest.raises(ArtifactError, match=f"{COMPILED} was altered"):
        open_bundle(with_compiled).read(COMPILED)
    (with_compiled / COMPILED).unlink()
    with pytest.raises(ArtifactError, match=f"{COMPILED} cannot be read: No such file"):
        open_bundle(with_compiled).read(COMPILED)


def test_a_compiled_file_whose_provenance_does_not_fit_is_refused(with_compiled: Path) -> None:
    manifest = json.loads((with_compiled / "manifest.json").read_text())
    first, second = manifest["compiled"]
    for compiled, says in (
        ([first], "'compiled' says nothing of 'compiled/npu-qualcomm-SM8750.tflite'"),
        ([first, second, {**first, "file": "compiled/x"}], "'files' has no 'compiled/x'"),
        ([first, {**second, "made_of": "0" * 64}], "was made of another file than its model.tflite"),
        ([first, {**second, "compilr": "x"}], "unknown key 'compilr'"),
        ("no list", "expected a list"),
    ):
        rewrite(with_compiled, compiled=compiled)
        with pytest.raises(ArtifactError, match=says):
            open_bundle(with_compiled)


def test_a_bundle_with_compiled_files_survives_an_archive(with_compiled: Path, tmp_path: Path) -> None:
    packed = shutil.make_archive(str(tmp_path / "packed"), "zip", with_compiled)
    with zipfile.ZipFile(packed) as archive:
        check_members(archive, limit=1 << 20)
        archive.extractall(tmp_path / "unpacked")
    found, before = open_bundle(tmp_path / "unpacked"), open_bundle(with_compiled)
    assert found.manifest == before.manifest
    assert all(found.read(name) == before.read(name) for name in before.manifest.files)


def test_a_bundle_survives_the_round_trip(bundle: Path) -> None:
    found = open_bundle(bundle)
    assert found.read("model.tflite") == MODEL
    assert found.labels == LABELS
    assert found.manifest.preprocess == named("torch", height=8, width=8)
    assert found.manifest.recipe == describe()["recipe"]
    assert found.manifest.tolerance == 0.125
    expected = golden()
    for name in ("inputs", "outputs", "float_outputs"):
        np.testing.assert_array_equal(getattr(found.golden, name), getattr(expected, name))
    for image, other in zip(found.golden.images, expected.images, strict=True):
        np.testing.assert_array_equal(image, other)
        assert image.dtype == np.uint8


def test_what_is_written_is_what_is_documented(bundle: Path) -> None:
    assert sorted(path.name for path in bundle.iterdir()) == sorted((*FILES, "manifest.json"))
    manifest = json.loads((bundle / "manifest.json").read_text())
    assert manifest["schema"] == "edgeres.bundle/1"
    assert manifest["files"] == {name: sha256_bytes((bundle / name).read_bytes()) for name in FILES}
    assert (bundle / "labels.txt").read_text(encoding="utf-8") == "cat\ndog\nünïcode with spaces\n"


def test_a_bundle_is_told_by_its_manifest(bundle: Path, tmp_path: Path) -> None:
    assert is_bundle(bundle)
    assert not is_bundle(tmp_path)
    assert not is_bundle(bundle / "model.tflite")


@pytest.mark.parametrize("name", FILES)
def test_an_altered_file_is_refused(bundle: Path, name: str) -> None:
    content = bytearray((bundle / name).read_bytes())
    content[len(content) // 2] ^= 1
    (bundle / name).write_bytes(content)
    with pytest.raises(ArtifactError, match=f"{name} was altered") as caught:
        open_bundle(bundle).read(name)
    assert any("sha256 expected" in detail for detail in caught.value.details)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_refused(bundle: Path, name: str) -> None:
    (bundle / name).unlink()
    with pytest.raises(ArtifactError, match=f"{name} cannot be read: No such file"):
        open_bundle(bundle).read(name)


def test_a_file_that_the_manifest_does_not_list_is_refused(bundle: Path) -> None:
    (bundle / "extra").write_text("x")
    with pytest.raises(ArtifactError, match="does not list extra"):
        open_bundle(bundle).read("extra")


def rewrite(bundle: Path, **changes: Any) -> None:
    manifest = json.loads((bundle / "manifest.json").read_text())
    (bundle / "manifest.json").write_text(json.dumps({**manifest, **changes}))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"schema": "edgeres.bundle/2"}, "expected schema 'edgeres.bundle/1', found 'edgeres.bundle/2'"),
        ({"schema": None}, "expected schema"),
        ({"tolerence": 1}, "unknown key 'tolerence'"),
        ({"tolerance": "small"}, "tolerance: expected a number"),
        ({"preprocess": {"height": 8, "width": 0}}, "height and width must be"),
        ({"seeds": {"data": "0"}}, "seeds.data: expected int"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(bundle: Path, changes: dict[str, Any], says: str) -> None:
    rewrite(bundle, **changes)
    with pytest.raises(ArtifactError, match=says):
        open_bundle(bundle)


@pytest.mark.parametrize("content", ["", "[]", "{", "null"])
def test_a_manifest_that_is_none_is_refused(bundle: Path, content: str) -> None:
    (bundle / "manifest.json").write_text(content)
    with pytest.raises(ArtifactError, match=r"manifest.json"):
        open_bundle(bundle)


def test_a_folder_without_a_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="does not exist"):
        open_bundle(tmp_path)


def replace_file(bundle: Path, name: str, content: bytes) -> None:
    """Write a file and give the manifest its hash: what a hostile bundle would do."""
    (bundle / name).write_bytes(content)
    manifest = json.loads((bundle / "manifest.json").read_text())
    rewrite(bundle, files={**manifest["files"], name: sha256_bytes(content)})


def npz(path: Path, **arrays: Any) -> bytes:
    np.savez(path, **arrays)
    return path.read_bytes()


def test_a_golden_file_that_is_none_is_refused(bundle: Path, tmp_path: Path) -> None:
    whole = (bundle / "golden.npz").read_bytes()
    objects = np.array([{"a": 1}], dtype=object)
    tensors = {name: np.zeros((2, 3), np.float32) for name in ("outputs", "float_outputs")}
    tensors["inputs"] = np.zeros((2, 8, 8, 3), np.float32)
    single = io.BytesIO()
    np.save(single, tensors["inputs"])
    for content in (
        b"",
        single.getvalue(),
        npz(tmp_path / "d.npz", **{**tensors, "outputs": np.zeros((3, 3), np.float32)}),
        npz(tmp_path / "e.npz", **{**tensors, "outputs": np.zeros((2, 3))}),
        npz(tmp_path / "f.npz", **tensors),
        npz(tmp_path / "g.npz", **tensors, image_0=np.zeros((2, 2, 3)), image_1=np.zeros((2, 2, 3))),
        b"not a zip",
        whole[: len(whole) // 2],
        npz(tmp_path / "a.npz", inputs=np.zeros((1, 2))),
        npz(tmp_path / "b.npz", inputs=objects),
        npz(tmp_path / "c.npz", inputs=np.float32(1)),
    ):
        replace_file(bundle, "golden.npz", content)
        with pytest.raises(ArtifactError, match="is not a golden file"):
            _ = open_bundle(bundle).golden


def test_labels_that_are_no_text_are_refused(bundle: Path) -> None:
    replace_file(bundle, "labels.txt", b"\xff\xfe\n")
    with pytest.raises(ArtifactError, match=r"labels.txt is not UTF-8"):
        _ = open_bundle(bundle).labels


def test_more_labels_than_any_data_set_has_are_refused(bundle: Path) -> None:
    replace_file(bundle, "labels.txt", b"x\n" * 100_001)
    with pytest.raises(ArtifactError, match=r"names 100,001 classes, more than the 100,000 accepted"):
        _ = open_bundle(bundle).labels


def test_a_golden_file_that_unpacks_to_gigabytes_is_refused(bundle: Path, tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "big.npz", inputs=np.zeros(300 << 20, np.uint8))
    replace_file(bundle, "golden.npz", (tmp_path / "big.npz").read_bytes())
    with pytest.raises(ArtifactError, match=r"unpacks to 314,572,928"):
        _ = open_bundle(bundle).golden


def test_a_manifest_cannot_reach_out_of_its_folder(bundle: Path) -> None:
    secret = bundle.parent / "secret"
    secret.write_bytes(b"x")
    for name in ("../secret", str(secret)):
        rewrite(bundle, files={name: sha256_bytes(b"x")})
        with pytest.raises(ArtifactError, match="does not list"):
            open_bundle(bundle).read(name)


@pytest.mark.parametrize("name", ["compiled/../../secret", "compiled/..", "compiled/", "compiled/compiled/x"])
def test_nor_through_the_folder_of_compiled_files(with_compiled: Path, name: str) -> None:
    (with_compiled.parent / "secret").write_bytes(b"x")
    manifest = json.loads((with_compiled / "manifest.json").read_text())
    told = [*manifest["compiled"], {**manifest["compiled"][0], "file": name}]
    rewrite(with_compiled, files={**manifest["files"], name: sha256_bytes(b"x")}, compiled=told)
    with pytest.raises(ArtifactError):
        open_bundle(with_compiled).read(name)


@pytest.mark.parametrize("label", ["", "a\nb", "a\u2028b", "a\rb"])
def test_a_label_that_is_no_line_is_refused(tmp_path: Path, label: str) -> None:
    with pytest.raises(DataError, match="line break"):
        write_bundle(tmp_path / "b", model=MODEL, labels=("cat", label), golden=golden(), describe=describe())
    assert list(tmp_path.iterdir()) == []


def test_an_existing_output_is_left_alone(bundle: Path) -> None:
    before = {path.name: path.read_bytes() for path in bundle.iterdir()}
    with pytest.raises(OutputError, match="exists already"):
        write_bundle(bundle, model=b"other", labels=LABELS, golden=golden(), describe=describe())
    assert {path.name: path.read_bytes() for path in bundle.iterdir()} == before


def test_a_write_that_fails_in_the_middle_leaves_nothing(tmp_path: Path) -> None:
    """The model fits, the golden file does not."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OutputError, match="cannot write"):
            write_bundle(tmp_path / "b", model=MODEL, labels=LABELS, golden=golden(30), describe=describe())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []


def test_a_manifest_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        write_bundle(
            tmp_path / "b",
            model=MODEL,
            labels=LABELS,
            golden=golden(),
            describe={**describe(), "source": {"x": object()}},
        )
    assert list(tmp_path.iterdir()) == []
