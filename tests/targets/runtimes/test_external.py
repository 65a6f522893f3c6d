from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgeres.console import run
from edgeres.errors import TargetError
from targets.artifact import Artifact
from targets.catalogue import find_target
from targets.exactness import exactness
from targets.profiling import profile
from targets.runtimes.cpu import BUILTIN
from targets.target import Family
from tests.targets.conftest import Models
from tests.targets.test_profiling import QUICK

IMAGES = np.random.default_rng(5).uniform(0, 255, (6, 16, 16, 3)).astype(np.float32)


def test_the_nodes_that_the_delegate_took_are_counted_and_computed_by_it(models: Models, delegate: str) -> None:
    target = find_target(f"external:{delegate}")
    with target.open(models("float32")) as session:
        found = session.operators()
        assert (found.nodes, found.delegated, found.delegate) == (9, 1, "the external delegate")
        assert found.left == {"CONV_2D": 4, "FULLY_CONNECTED": 2, "MEAN": 1, "SOFTMAX": 1}
        assert len(session.time(runs=3, seconds=0)) >= 3
        assert session.memory().peak_bytes > 0
    agreement = exactness(models("float32"), IMAGES, target=target)
    assert agreement.largest < 1e-5
    assert not agreement.flips


def test_options_reach_the_delegate(models: Models, delegate: str) -> None:
    with find_target(f"external:{delegate}?activation_limit=0").open(models("float32")) as session:
        scores = session.infer(IMAGES)
    assert np.ptp(scores, axis=0).max() == 0  # every sum is cut off at 0: the images are all alike behind it


def test_a_delegate_that_computes_something_else_fails_its_proof(models: Models, delegate: str) -> None:
    given = Artifact("m", "m.tflite", "tflite", models("float32"))
    names = [f"external:{delegate}", f"external:{delegate}?activation_limit=-1000"]
    right, wrong = profile([given], targets=names, protocol=QUICK).artifacts
    assert right.proof is not None
    assert right.proof.passed
    assert wrong.proof is not None
    assert not wrong.proof.passed


def test_a_delegate_that_takes_nothing_is_an_error_and_no_silent_measurement(models: Models, delegate: str) -> None:
    with pytest.raises(TargetError, match="takes none of the model's 9 operators") as caught:
        find_target(f"external:{delegate}").open(models("int8"))
    assert "builtin" in str(caught.value.fix)


def test_an_option_that_the_delegate_does_not_know_is_its_error(models: Models, delegate: str) -> None:
    with pytest.raises(TargetError, match="unknown option speed"):
        find_target(f"external:{delegate}?speed=11").open(models("float32"))


@pytest.mark.parametrize(("name", "problem"), [("external", "needs the path"), ("external:x.so?fast", "key=value")])
def test_a_name_that_says_too_little_is_an_error(name: str, problem: str) -> None:
    with pytest.raises(TargetError, match=problem) as caught:
        find_target(name)
    assert "external:PATH" in str(caught.value.fix)


def test_a_path_where_nothing_is_ends_the_command_with_6(
    models: Models, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "m.tflite").write_bytes(models("float32"))
    assert run(["profile", str(tmp_path / "m.tflite"), "--target", f"external:{tmp_path / 'absent.so'}"]) == 6
    assert "there is no file" in capsys.readouterr().err


def test_a_file_that_is_no_delegate_is_a_target_error(models: Models, tmp_path: Path) -> None:
    (tmp_path / "text.so").write_text("no library")
    with pytest.raises(TargetError, match="cannot be loaded"):
        find_target(f"external:{tmp_path / 'text.so'}").open(models("float32"))


def test_without_a_delegate_the_built_in_kernels_run_everything(models: Models) -> None:
    assert not isinstance(BUILTIN, Family)
    with BUILTIN.open(models("int8")) as session:
        found = session.operators()
    assert (found.nodes, found.delegated) == (9, 0)
    assert not exactness(models("int8"), IMAGES, target=BUILTIN).flips
