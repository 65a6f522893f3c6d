from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgeres.bundle import GOLDEN, LABELS, MANIFEST, MODEL, open_bundle
from edgeres.errors import ArtifactError, ModelError
from targets.verification import Verification, verify
from tests.targets.bundles import change_golden, change_manifest, make_bundle, rehash
from tests.targets.conftest import Models


@pytest.fixture
def bundle(tmp_path: Path, models: Models) -> Path:
    return make_bundle(tmp_path / "b", models("int8"))


def failed(found: Verification) -> list[str]:
    return [check.name for check in found.checks if not check.passed]


@pytest.mark.parametrize("model", ["float32", "float16", "int8", "dynamic_int8"])
def test_a_bundle_as_it_was_made_verifies(tmp_path: Path, model: str, models: Models) -> None:
    found = verify(make_bundle(tmp_path / "b", models(model)))
    assert found.verified
    assert [check.name for check in found.checks] == ["files", "preprocessing", "reference", "cpu"]
    assert all(check.difference is not None for check in found.checks[1:])
    found.require()


@pytest.mark.parametrize("name", [MODEL, LABELS, GOLDEN])
@pytest.mark.parametrize("change", ["altered", "gone", "a link", "a folder"])
def test_a_file_that_is_not_as_written_fails(bundle: Path, name: str, change: str) -> None:
    path = bundle / name
    content = path.read_bytes()
    path.unlink()
    if change == "altered":
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    elif change == "a link":
        path.symlink_to("/dev/zero")
    elif change == "a folder":
        path.mkdir()
    found = verify(bundle)
    assert failed(found) == ["files"]
    with pytest.raises(ArtifactError, match="does not keep") as caught:
        found.require()
    assert name in str(caught.value)


def test_a_stray_file_is_told(bundle: Path) -> None:
    (bundle / "notes.txt").write_text("hello")
    found = verify(bundle)
    assert found.verified
    assert "not checked: notes.txt" in found.checks[0].found


@pytest.mark.parametrize("change", ["altered", "gone"])
def test_a_compiled_file_that_is_not_as_written_fails(tmp_path: Path, models: Models, change: str) -> None:
    bundle = make_bundle(tmp_path / "b", models("int8"), compiled=True)
    assert verify(bundle).checks[0].found == "4 files as the manifest says"
    path = bundle / "compiled" / "ethosu-u55-256.tflite"
    path.write_bytes(path.read_bytes()[::-1]) if change == "altered" else path.unlink()
    found = verify(bundle)
    assert failed(found) == ["files"]
    assert "compiled/ethosu-u55-256.tflite" in found.checks[0].found


def test_a_stray_compiled_file_is_told(tmp_path: Path, models: Models) -> None:
    bundle = make_bundle(tmp_path / "b", models("int8"), compiled=True)
    (bundle / "compiled" / "other.tflite").write_bytes(b"x")
    found = verify(bundle)
    assert found.verified
    assert found.checks[0].found.endswith("not checked: compiled/other.tflite")


def test_a_manifest_that_names_files_elsewhere_fails(bundle: Path) -> None:
    files = open_bundle(bundle).manifest.files
    change_manifest(bundle, files={**files, "../../secret": "0" * 64})
    assert failed(verify(bundle)) == ["files"]


def test_a_manifest_that_leaves_a_file_out_fails(bundle: Path) -> None:
    files = {name: value for name, value in open_bundle(bundle).manifest.files.items() if name != GOLDEN}
    change_manifest(bundle, files=files)
    found = verify(bundle)
    assert failed(found) == ["files"]
    assert GOLDEN in found.checks[0].found


def test_another_preprocessing_fails(bundle: Path) -> None:
    contract = {"height": 16, "width": 16, "channels": "bgr"}
    change_manifest(bundle, preprocess=contract)
    assert failed(verify(bundle)) == ["preprocessing"]


def test_other_golden_outputs_fail_on_reference_at_two_steps_and_not_at_one(bundle: Path) -> None:
    golden = open_bundle(bundle).golden
    step = 1 / 256  # of an int8 softmax
    change_golden(bundle, outputs=golden.outputs + np.float32(step))
    assert verify(bundle).verified
    change_golden(bundle, outputs=golden.outputs + np.float32(2 * step))
    assert failed(verify(bundle)) == ["reference"]


def test_kernels_that_differ_by_more_than_the_tolerance_fail(bundle: Path) -> None:
    change_manifest(bundle, tolerance=-1.0)
    found = verify(bundle)
    assert failed(found) == ["cpu"]
    assert "accepted -1" in found.checks[-1].found


def test_another_model_fails_although_the_hashes_agree(bundle: Path, models: Models) -> None:
    (bundle / MODEL).write_bytes(models("float32")[:200])
    rehash(bundle)
    assert failed(verify(bundle)) == ["reference", "cpu"]


@pytest.mark.parametrize(
    "arrays",
    [
        {"outputs": np.zeros((4, 9), np.float32)},
        {"inputs": np.zeros((4, 8, 8, 3), np.float32)},
        {"inputs": np.zeros((0, 16, 16, 3), np.float32)},
        {"outputs": np.zeros((4, 4), np.float64)},
        {"image_2": np.zeros((5, 5), np.uint8)},
        {"outputs": np.full((4, 4), np.nan, np.float32)},
    ],
)
def test_golden_tensors_that_do_not_fit_fail(bundle: Path, arrays: dict[str, np.ndarray]) -> None:
    change_golden(bundle, **arrays)
    assert not verify(bundle).verified


def test_a_golden_file_that_is_none_fails(bundle: Path) -> None:
    (bundle / GOLDEN).write_bytes(b"not a zip")
    rehash(bundle)
    assert failed(verify(bundle)) == ["golden"]


def test_what_is_no_bundle_is_an_error(tmp_path: Path, bundle: Path) -> None:
    with pytest.raises(ModelError, match="does not exist"):
        verify(tmp_path / "absent")
    with pytest.raises(ArtifactError, match="not a bundle"):
        verify(tmp_path)
    (bundle / MANIFEST).write_text("{")
    with pytest.raises(ArtifactError, match="JSON"):
        verify(bundle)
