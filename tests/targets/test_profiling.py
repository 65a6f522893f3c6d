from __future__ import annotations

from dataclasses import replace

import pytest

from edgeres.errors import ModelError, TargetError
from targets import TARGETS
from targets.artifact import Artifact
from targets.latency import Block, Protocol
from targets.pinning import cores_for
from targets.profiling import profile
from tests.targets.conftest import Models
from tests.targets.double import DoubleSession, DoubleTarget

QUICK = Protocol(block=Block(runs=3, seconds=0), warm_up=Block(runs=2, seconds=0), warm_up_limit=0, warm_up_runs=2)


def artifact(models: Models, name: str) -> Artifact:
    return Artifact(name, f"{name}.tflite", "tflite", models(name))


def test_every_artifact_is_measured_on_every_target_against_its_baseline_there(models: Models) -> None:
    result = profile(
        [artifact(models, "float32"), artifact(models, "int8")],
        baseline=0,
        targets=("cpu", "reference", "cpu"),
        protocol=QUICK,
    )
    rows = [(row.name, row.target, row.baseline) for row in result.artifacts]
    assert rows == [
        ("float32", "cpu", True),
        ("int8", "cpu", False),
        ("float32", "reference", True),
        ("int8", "reference", False),
    ]
    for row in result.artifacts:
        assert row.latency is not None
        assert (row.latency.verdict is None) == row.baseline
        assert (row.latency.speedup is None) == row.baseline
        assert len(row.latency.rounds) == 30
        assert row.latency.threads == 1
        assert row.memory is not None
        assert row.memory.arena_bytes > 0
        assert row.operators is not None
        assert row.operators.kinds
        assert row.accuracy is None
    assert {row.latency.cores for row in result.artifacts if row.latency} == {None}
    delegated = [row.operators.delegated for row in result.artifacts if row.operators]
    assert delegated[0] > 0
    assert delegated[2:] == [0, 0]
    assert result.data is None


def test_pinned_the_cores_are_written_down(models: Models) -> None:
    (row,) = profile([artifact(models, "int8")], protocol=replace(QUICK, pin=True)).artifacts
    assert row.latency is not None
    assert row.latency.cores == cores_for(1)


def test_one_artifact_has_nothing_to_compare_with(models: Models) -> None:
    (row,) = profile([artifact(models, "int8")], protocol=QUICK).artifacts
    assert not row.baseline
    assert row.latency is not None
    assert row.latency.speedup is None


def test_a_target_without_a_latency_gives_its_memory_and_is_not_timed(
    models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = DoubleTarget(lambda _: DoubleSession(), timed=False)
    monkeypatch.setitem(TARGETS, "double", f"{__name__}:DOUBLE")
    monkeypatch.setattr(f"{__name__}.DOUBLE", target, raising=False)
    first, second = profile([artifact(models, "int8")] * 2, baseline=0, targets=["double"], protocol=QUICK).artifacts
    assert first.latency is second.latency is None
    assert second.memory == DoubleSession().memory()
    assert second.operators is not None
    assert [session.calls for session in target.opened] == [["double close"]] * 2


def test_nothing_is_opened_where_one_target_is_unknown(models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    target = DoubleTarget(lambda _: DoubleSession())
    monkeypatch.setitem(TARGETS, "double", f"{__name__}:DOUBLE")
    monkeypatch.setattr(f"{__name__}.DOUBLE", target, raising=False)
    with pytest.raises(TargetError, match="unknown target"):
        profile([artifact(models, "int8")], targets=("double", "quantum"), protocol=QUICK)
    assert target.opened == []


DOUBLE: DoubleTarget


def test_sessions_are_closed_when_one_fails(models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    target = DoubleTarget(lambda _: DoubleSession(milliseconds=iter([1.0] * 20)))
    monkeypatch.setitem(TARGETS, "double", f"{__name__}:DOUBLE")
    monkeypatch.setattr(f"{__name__}.DOUBLE", target, raising=False)
    with pytest.raises(RuntimeError, match="StopIteration"):
        profile([artifact(models, "int8")] * 3, targets=["double"], protocol=QUICK)
    assert [session.calls[-1] for session in target.opened] == ["double close"] * 9


def test_what_a_target_refuses_has_a_row_that_says_why_and_the_others_are_measured(models: Models) -> None:
    """The float file is the baseline on `cpu`, and nothing for the NPU; the browser is what takes no integers."""
    given = [artifact(models, name) for name in ("float32", "fifty_int8")]
    rows = profile(given, baseline=0, targets=("cpu", "ethosu:u55-256"), protocol=QUICK).artifacts
    assert [(row.name, row.target, row.baseline) for row in rows] == [
        ("float32", "cpu", True),
        ("fifty_int8", "cpu", False),
        ("float32", "ethosu:u55-256", True),
        ("fifty_int8", "ethosu:u55-256", False),
    ]
    assert [row.failure is None for row in rows] == [True, True, False, True]
    assert rows[1].latency is not None
    assert rows[1].latency.speedup is not None
    assert rows[2].failure is not None
    assert rows[2].failure.message == "float32.tflite: the Ethos-U55-256 runs no operator of this model"
    assert rows[3].estimate is not None


def test_without_its_baseline_an_artifact_is_measured_and_compared_with_nothing(
    models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(model: bytes) -> DoubleSession:
        if model == models("float32"):
            raise TargetError("no floats", fix="convert with the recipe int8")
        return DoubleSession()

    monkeypatch.setitem(TARGETS, "double", f"{__name__}:DOUBLE")
    monkeypatch.setattr(f"{__name__}.DOUBLE", DoubleTarget(refuse, timed=False), raising=False)
    given = [artifact(models, name) for name in ("float32", "int8")]
    refused, measured = profile(given, baseline=0, targets=["double"], protocol=QUICK).artifacts
    assert refused.failure is not None
    assert (refused.failure.message, refused.failure.fix) == (
        "float32.tflite: no floats",
        "convert with the recipe int8",
    )
    assert measured.memory is not None
    with pytest.raises(TargetError, match=r"float32\.tflite: no floats"):  # where nothing is left to measure
        profile(given[:1] * 2, targets=["double"], protocol=QUICK)


def test_a_model_that_is_refused_is_named(models: Models) -> None:
    with pytest.raises(ModelError, match=r"two_inputs\.tflite: expected a model with one input"):
        profile([artifact(models, "int8"), artifact(models, "two_inputs")], protocol=QUICK)
