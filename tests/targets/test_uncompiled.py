"""A compiled file stands beside the one that it was compiled from, which the reference kernels run."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from edgeres.errors import TargetError
from targets.artifact import Artifact
from targets.catalogue import find_target, open_session
from targets.profiling import profile
from targets.uncompiled import reference_model
from tests.targets.conftest import Models
from tests.targets.forge import forge
from tests.targets.test_profiling import QUICK


@pytest.fixture
def compiled(models: Models, tmp_path: Path) -> Artifact:
    """Its addition is an operator of a device's own; what it was compiled from is beside it."""

    def rename(model: object) -> None:
        for code in model.operatorCodes:  # type: ignore[attr-defined]
            if code.builtinCode == 0:
                code.builtinCode, code.deprecatedBuiltinCode, code.customCode = 32, 32, b"edgetpu-custom-op"

    path = tmp_path / "cat_edgetpu.tflite"
    path.write_bytes(forge(models("float32"), rename))
    path.with_name("cat.tflite").write_bytes(models("float32"))
    return Artifact("cat_edgetpu", str(path), "tflite", path.read_bytes())


def test_a_compiled_file_is_held_against_what_it_was_compiled_from(
    compiled: Artifact, models: Models, delegate: str
) -> None:
    assert reference_model(compiled) == models("float32")
    names = [f"external:{delegate}", f"external:{delegate}?activation_limit=-1000"]
    right, wrong = profile([compiled], targets=names, protocol=QUICK).artifacts
    assert right.operators is not None
    assert right.operators.delegated == 1
    assert right.latency is not None
    assert right.proof is not None
    assert right.proof.passed
    assert wrong.proof is not None
    assert not wrong.proof.passed


def test_without_that_file_nothing_is_measured(compiled: Artifact, delegate: str) -> None:
    Path(compiled.path).with_name("cat.tflite").unlink()
    with pytest.raises(TargetError, match="have no edgetpu-custom-op: nothing could tell") as caught:
        open_session(compiled, find_target(f"external:{delegate}"))
    assert "NAME_edgetpu.tflite" in str(caught.value.fix)


def test_a_file_of_another_model_is_no_match(compiled: Artifact, model_folder: Path) -> None:
    shutil.copy(model_folder / "fifty_int8.tflite", Path(compiled.path).with_name("cat.tflite"))
    with pytest.raises(TargetError, match="its input or output is another"):
        reference_model(compiled)


def test_a_damaged_file_is_no_match(compiled: Artifact) -> None:
    Path(compiled.path).with_name("cat.tflite").write_bytes(b"damaged")
    with pytest.raises(TargetError, match="what it was compiled from is unusable"):
        reference_model(compiled)


def test_a_model_that_is_not_compiled_is_its_own_reference(models: Models) -> None:
    assert reference_model(Artifact("m", "m.tflite", "tflite", models("int8"))) == models("int8")
