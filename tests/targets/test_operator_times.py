from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgeres.console import run
from edgeres.errors import ConfigError, TargetError
from edgeres.results import Failure, read_result
from targets.artifact import Artifact
from targets.flatbuffer import walk
from targets.further import Further
from targets.latency import Protocol
from targets.operator_times import again, by_kind, summarize, time_operators
from targets.profiling import profile
from targets.runtimes.cpu import BUILTIN, REFERENCE, CpuTarget
from targets.runtimes.profiler_engine import Event
from targets.sandbox import Sandbox
from tests.targets.conftest import Models

QUICK = Protocol(warm_up_seconds=0, warm_up_limit=0.5)


@pytest.mark.parametrize("name", ["float32", "int8", "dynamic_int8", "int16"])
def test_every_operator_of_a_real_model_has_its_time(models: Models, name: str) -> None:
    graph = walk(models(name)).main
    found = time_operators(models(name))
    assert [each.kind for each in found.each] == [operator.kind for operator in graph.operators]
    assert [each.index for each in found.each] == list(range(len(graph.operators)))
    assert found.runs >= 30
    convolutions = [each for each in found.each if each.kind == "CONV_2D"]
    assert convolutions
    assert all(each.weight_bytes > 0 and each.activation_bytes > 0 for each in convolutions)
    assert max(each.time_ms.value for each in convolutions) > 0  # the clock counts microseconds
    assert all(each.time_ms.low <= each.time_ms.value <= each.time_ms.high for each in found.each)
    assert again(found) == found
    # No time is lost or counted twice; what it says of the whole is a benchmark's business.
    assert sum(by_kind(found).values()) == pytest.approx(sum(each.time_ms.value for each in found.each))


@pytest.mark.parametrize("target", [BUILTIN, REFERENCE], ids=lambda target: target.name)
def test_kernels_without_a_delegate_are_timed_as_the_file_has_them(models: Models, target: CpuTarget) -> None:
    model = Artifact("m", "m.tflite", "tflite", models("int8"))
    further = Further(operators=True)
    (row,) = profile([model], targets=[target.name], protocol=QUICK, further=further).artifacts
    assert row.operators is not None
    assert row.operators.timed is not None
    assert not any(each.delegated for each in row.operators.timed.each)


def test_the_times_of_a_run_go_to_the_operators_that_they_belong_to(models: Models) -> None:
    graph = walk(models("float32")).main
    nodes = [Event(operator.kind, place) for place, operator in enumerate(graph.operators)]
    times = np.tile(np.arange(len(nodes) + 1, dtype=np.float64), (30, 1))
    found = summarize(graph, nodes, times)
    assert [each.time_ms.value for each in found.each] == list(range(1, len(nodes) + 1))
    assert [round(each.time_ms.high - each.time_ms.low, 6) for each in found.each] == [0.001] * len(
        nodes
    )  # the clock's
    assert not any(each.delegated for each in found.each)
    assert found.total_ms.value == 0
    assert found.sum_ms.value == sum(range(1, len(nodes) + 1))


def test_operators_that_the_file_does_not_have_are_an_error(models: Models) -> None:
    graph = walk(models("float32")).main
    with pytest.raises(TargetError, match="does not have"):
        summarize(graph, [Event("CONV_2D", 10_000)], np.ones((30, 2)))
    everything = [Event(operator.kind, place) for place, operator in enumerate(graph.operators)]
    with pytest.raises(TargetError, match="took none"):
        summarize(graph, [*everything, Event("Add (ND)", -1)], np.ones((30, 2 + len(everything))))


def test_a_model_that_the_runtime_refuses_is_an_error_and_no_crash() -> None:
    with Sandbox("targets.runtimes.profiler_engine:Engine") as sandbox, pytest.raises(TargetError):
        sandbox.call("load", b"no model", arguments={"resolver": "AUTO", "threads": 1})


def test_operators_of_control_flow_are_not_guessed(models: Models) -> None:
    with pytest.raises(TargetError, match="WHILE, runs others"):
        time_operators(models("while_loop"))


def test_profile_goes_on_where_operators_cannot_be_timed(models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(model: bytes, *, target: CpuTarget, threads: int) -> object:
        raise TargetError("no profiler")

    monkeypatch.setattr("targets.further.time_operators", refuses)
    model = Artifact("m", "m.tflite", "tflite", models("float32"))
    (row,) = profile([model], protocol=QUICK, further=Further(operators=True)).artifacts
    assert row.latency is not None
    assert row.operators is not None
    assert row.operators.timed is None
    assert row.unmeasured == {"operators.timed": Failure("no profiler")}


def test_profile_measures_operators_where_they_are_asked_for(models: Models) -> None:
    model = Artifact("m", "m.tflite", "tflite", models("float32"))
    plain, timed = (
        profile([model], protocol=QUICK, further=Further(operators=asked)).artifacts[0].operators
        for asked in (False, True)
    )
    assert plain is not None
    assert timed is not None
    assert plain.timed is None
    assert timed.timed is not None
    assert timed.time_ms == by_kind(timed.timed)
    assert replace(timed, timed=None, time_ms=None) == plain


def test_a_target_that_cannot_tell_is_an_error(models: Models) -> None:
    model = Artifact("m", "m.tflite", "tflite", models("float32"))
    with pytest.raises(ConfigError, match="time of each operator is measured on this machine's kernels alone"):
        profile([model], targets=("micro",), protocol=QUICK, further=Further(operators=True))


def test_the_command_prints_the_slowest_and_writes_all(
    models: Models, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, report = tmp_path / "m.tflite", tmp_path / "r.json"
    path.write_bytes(models("int8"))
    assert run(["profile", str(path), "--operators", "--rounds", "30", "--json", str(report)]) == 0
    out = capsys.readouterr().out
    assert "all operators" in out
    assert "CONV_2D" in out
    written = json.loads(report.read_text())["artifacts"][0]["operators"]["timed"]
    assert set(written["each"][0]) >= {
        "index",
        "kind",
        "layer",
        "delegated",
        "time_ms",
        "activation_bytes",
        "weight_bytes",
    }
    (row,) = read_result(report).artifacts
    assert row.operators is not None
    assert row.operators.timed is not None
