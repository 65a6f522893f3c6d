from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgeres.preprocess import Preprocess
from edgeres.report.terminal import print_result
from targets import TARGETS
from targets.artifact import Artifact, open_artifact
from targets.flatbuffer import walk
from targets.profiling import profile
from targets.proof import output_step, prove
from targets.runtimes.cpu import BUILTIN, CPU, REFERENCE, CpuTarget
from targets.target import Tolerance
from tests.targets.bundles import make_bundle
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


@pytest.mark.parametrize("target", [CPU, BUILTIN], ids=lambda target: target.name)
@pytest.mark.parametrize("name", ["int8", "float32"])
@pytest.mark.parametrize("contract", [None, Preprocess(16, 16)])
def test_kernels_that_compute_the_same_pass(
    models: Models, name: str, contract: Preprocess | None, target: CpuTarget
) -> None:
    made = artifact(models, name, contract)
    with target.open(made.model) as session:
        found = prove(made, session, target)
    assert found is not None
    assert found.passed
    assert (found.images, found.flips) == (4, 0)
    assert found.largest <= found.accepted
    assert found.accepted == 8 if name == "int8" else found.accepted < 1e-3


def test_float_scores_that_are_made_of_integers_are_told_apart_in_their_steps(models: Models) -> None:
    """One step is 1/256 of a probability: more than the thousandth that is accepted of floats."""
    from converters.quantization.post_training import quantize

    random = np.random.default_rng(7)
    images = [random.uniform(0, 255, (1, 16, 16, 3)).astype(np.float32) for _ in range(8)]
    model = quantize(models("float32"), "int8", images=images, io="float32")
    made = Artifact("m", "m.tflite", "tflite", model)
    with BUILTIN.open(model) as session:
        assert session.signature.output_scale == 0
        assert output_step(walk(model), session.signature) == pytest.approx(1 / 256)
        found = prove(made, session, BUILTIN)
    assert found is not None
    assert found.accepted == 8
    assert found.passed
    with DoubleSession() as other:
        assert output_step(walk(models("float32")), other.signature) == 0


def test_where_correct_kernels_are_far_apart_a_target_may_be_too_and_no_further(models: Models) -> None:
    """Twice as far as XNNPACK or the built-in kernels are: rounding grows in deep networks of integers."""
    made = artifact(models, "int8")
    strict = Tolerance(steps=0, share=0)
    with REFERENCE.open(made.model) as session:
        step, shape = session.signature.output_scale, session.signature.input_shape[1:]
    for steps, passed in ((0, True), (100, False)):
        double = DoubleTarget(lambda _, steps=steps: shifted(made.model, steps * step, shape), tolerance=strict)
        found = prove(made, double.open(made.model), double)
        assert found is not None
        assert found.passed == passed
        assert (found.rounding is None) == passed
        assert found.accepted == (0 if passed else pytest.approx(2 * (found.rounding or 0)))


def shifted(model: bytes, by: float, shape: tuple[int, ...]) -> DoubleSession:
    """The reference kernels' scores, all off by as much."""

    def infer(inputs: np.ndarray) -> np.ndarray:
        with REFERENCE.open(model) as session:
            return session.infer(inputs) + np.float32(by)

    return DoubleSession(infer, signature=signature(shape, 4))


def test_hybrids_have_no_proof_on_cpu_whose_kernels_quantize_activations_otherwise(models: Models) -> None:
    with CPU.open(models("dynamic_int8")) as session:
        assert prove(artifact(models, "dynamic_int8"), session, CPU) is None


def test_a_bundle_is_proved_on_its_golden_inputs(models: Models, tmp_path: Path) -> None:
    made = open_artifact(make_bundle(tmp_path / "b", models("int8")))
    with BUILTIN.open(made.model) as session:
        found = prove(made, session, BUILTIN)
    assert found is not None
    assert found.golden
    assert found.passed


def test_the_kernels_that_others_are_checked_with_have_no_proof(models: Models) -> None:
    with REFERENCE.open(models("int8")) as session:
        assert prove(artifact(models, "int8"), session, REFERENCE) is None


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
