from __future__ import annotations

import numpy as np
import pytest

from edgeres.preprocess import Preprocess
from edgeres.report.terminal import print_result
from targets import TARGETS
from targets.artifact import Artifact
from targets.profiling import profile
from targets.proof import prove
from targets.runtimes.cpu import BUILTIN, CPU, REFERENCE
from targets.target import Tolerance
from tests.targets.conftest import Models
from tests.targets.double import DoubleSession, DoubleTarget, signature
from tests.targets.test_profiling import QUICK

DOUBLE: DoubleTarget


def artifact(models: Models, name: str, contract: Preprocess | None = None) -> Artifact:
    return Artifact(name, f"{name}.tflite", "tflite", models(name), contract)


def wrong(_: bytes) -> DoubleSession:
    """Always the first class."""
    scores = np.eye(1, 4, dtype=np.float32)
    return DoubleSession(lambda inputs: np.repeat(scores, len(inputs), axis=0), signature=signature((16, 16, 3), 4))


@pytest.mark.parametrize("name", ["int8", "float32"])
@pytest.mark.parametrize("contract", [None, Preprocess(16, 16)])
def test_kernels_that_compute_the_same_pass(models: Models, name: str, contract: Preprocess | None) -> None:
    made = artifact(models, name, contract)
    with BUILTIN.open(made.model) as session:
        found = prove(made, session, BUILTIN)
    assert found is not None
    assert found.passed
    assert (found.images, found.flips) == (4, 0)
    assert found.largest <= found.accepted
    assert found.accepted == 8 if name == "int8" else found.accepted < 1e-3


def test_the_kernels_that_others_are_checked_with_have_no_proof(models: Models) -> None:
    for target in (CPU, REFERENCE):
        with target.open(models("int8")) as session:
            assert prove(artifact(models, "int8"), session, target) is None


def test_another_answer_fails_is_said_first_and_is_not_faster(
    models: Models, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pair = [artifact(models, "float32"), artifact(models, "int8")]

    def make(model: bytes) -> DoubleSession:
        session, pace = wrong(model), 2.0 if model == pair[0].model else 1.0
        session.milliseconds = iter(lambda: pace, 0.0)
        return session

    target = DoubleTarget(make, tolerance=Tolerance(steps=8, share=1e-3))
    monkeypatch.setitem(TARGETS, "double", f"{__name__}:DOUBLE")
    monkeypatch.setattr(f"{__name__}.DOUBLE", target, raising=False)
    result = profile(pair, baseline=0, targets=["double"], protocol=QUICK)
    for row in result.artifacts:
        assert row.proof is not None
        assert not row.proof.passed
        assert row.proof.largest > row.proof.accepted
    latency = result.artifacts[1].latency
    assert latency is not None
    assert latency.speedup is not None
    assert latency.speedup.low == 2
    assert latency.verdict == "inconclusive"
    print_result(result)
    assert capsys.readouterr().out.startswith("NOT PROVED: float32 on double differs from the reference kernels by")
