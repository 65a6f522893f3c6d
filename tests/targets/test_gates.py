from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from edgeres.errors import ConfigError, GateError
from edgeres.results import Estimate, Proof, Result
from targets.gates import Checked, Limits, check
from tests.targets import measured
from tests.targets.measured import compared


def held(found: Result, **limits: float) -> Checked:
    return check([(Path("r.json"), found)], Limits(**limits))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("gate", "good", "between", "bad"),
    [
        ("max_drop", 1.5, 0.6, 0.05),  # 6 of 1,000 images lost
        ("min_speedup", 1.8, 2.0, 2.2),  # 2 ms against 1 ms, in noise
        ("max_latency_ratio", 0.55, 0.5, 0.45),
        ("max_latency_ms", 1.1, 1.0, 0.9),
    ],
)
def test_a_gate_needs_the_whole_interval_on_the_good_side(gate: str, good: float, between: float, bad: float) -> None:
    found = compared(lost=6)
    for limit, outcome in ((good, "passed"), (between, "inconclusive"), (bad, "missed")):
        checked = held(found, **{gate: limit})
        (only,) = checked.gates
        assert (only.gate, only.artifact, only.target) == (gate.replace("_", "-"), "int8", "cpu")
        assert only.outcome == outcome, limit
        assert checked.passed == (outcome == "passed")
        assert isinstance(only.found, Estimate)
        assert (only.decide is None) == (outcome != "inconclusive")


@pytest.mark.parametrize(("gate", "edge"), [("max_size", 1000), ("max_memory", 5000)])
def test_a_figure_without_interval_is_at_most_its_limit_or_not(gate: str, edge: int) -> None:
    assert held(compared(), **{gate: edge}).passed
    assert held(compared(), **{gate: edge - 1}).gates[0].outcome == "missed"


def test_what_would_decide_is_a_number_of_images_or_rounds() -> None:
    gates = held(compared(lost=6), max_drop=1.0, min_speedup=1.99).gates
    images, rounds = (re.findall(r"about ([\d,]+) \w+ instead of ([\d,]+)", gate.decide or "")[0] for gate in gates)
    assert int(images[0].replace(",", "")) > int(images[1].replace(",", "")) == 1000
    assert int(rounds[0].replace(",", "")) > int(rounds[1].rstrip(",")) == 30


def test_so_many_rounds_do_decide() -> None:
    few = held(measured.result(*_timed(30)), min_speedup=1.6)
    assert few.gates[0].outcome == "inconclusive"
    needed = int(re.findall(r"about ([\d,]+)", few.gates[0].decide or "")[0].replace(",", ""))
    assert 30 < needed < 3000
    assert held(measured.result(*_timed(4 * needed)), min_speedup=1.6).gates[0].outcome != "inconclusive"


def _timed(rounds: int) -> list:
    timed = measured.latencies(2.0, 1.0, spread=0.8, rounds=rounds)
    return [measured.artifact(str(place), baseline=not place, latency=one) for place, one in enumerate(timed)]


def test_a_limit_that_is_the_drop_itself_is_never_decided() -> None:
    gate = held(compared(lost=10), max_drop=1.0).gates[0]
    assert gate.outcome == "inconclusive"
    assert "no number of images" in (gate.decide or "")


@pytest.mark.parametrize("gate", ["max_drop", "min_speedup", "max_latency_ratio", "max_latency_ms", "max_memory"])
def test_what_was_not_measured_is_inconclusive(gate: str) -> None:
    checked = held(measured.result(measured.artifact("a")), **{gate: 1})
    assert [(one.outcome, one.found, one.result) for one in checked.gates] == [("inconclusive", None, None)]
    with pytest.raises(GateError, match="1 of 1 gates not passed: 0 missed, 1 inconclusive") as caught:
        checked.require()
    assert "edgeres" in str(caught.value)


@pytest.mark.parametrize("wrong", ["int8", "float32"])
@pytest.mark.parametrize("gate", ["max_drop", "min_speedup", "max_latency_ratio", "max_latency_ms", "max_memory"])
def test_what_a_target_computes_wrong_passes_no_gate(wrong: str, gate: str) -> None:
    """Also where the baseline is what is wrong."""
    generous = 1.0 if gate == "min_speedup" else 1e9
    assert held(compared(), **{gate: generous}).passed
    proof = Proof(passed=False, images=4, largest=90.0, accepted=8.0, flips=1)
    rows = [replace(row, proof=proof) if row.name == wrong else row for row in compared().artifacts]
    (only,) = held(replace(compared(), artifacts=tuple(rows)), **{gate: generous}).gates
    assert only.outcome == "inconclusive"
    assert only.decide == f"not proved: '{wrong}' is computed wrong on cpu"


def test_accuracy_and_latency_of_one_artifact_may_come_from_two_files() -> None:
    whole = compared()
    parts = [
        replace(whole, artifacts=tuple(replace(one, **{gone: None}) for one in whole.artifacts))
        for gone in ("accuracy", "latency")
    ]
    results = [(Path(f"{place}.json"), part) for place, part in enumerate(parts)]
    checked = check(results, Limits(max_drop=1.0, min_speedup=1.5, max_size=1000, max_memory=9000))
    assert checked.passed
    found = [(gate.gate, gate.result) for gate in checked.gates]
    assert found == [
        ("max-drop", "1.json"),
        ("min-speedup", "0.json"),
        ("max-size", "0.json"),
        ("max-memory", "0.json"),
        ("max-memory", "1.json"),
    ]


def test_another_model_of_the_same_name_is_not_merged() -> None:
    one, two = compared(), compared()
    other = replace(two.artifacts[1], sha256="0" * 64, accuracy=None)
    checked = check([(Path("a.json"), one), (Path("b.json"), replace(two, artifacts=(other,)))], Limits(max_drop=1.0))
    assert [gate.outcome for gate in checked.gates] == ["passed", "inconclusive"]
    assert len({gate.artifact for gate in checked.gates}) == 2


def test_gates_leave_the_baseline_out_unless_it_is_named() -> None:
    found = [(Path("r.json"), compared())]
    assert [gate.artifact for gate in check(found, Limits(max_size=1)).gates] == ["int8"]
    assert [gate.artifact for gate in check(found, Limits(max_size=1), artifact="float32").gates] == ["float32"]
    with pytest.raises(ConfigError, match=r"called 'int9'") as caught:
        check(found, Limits(max_size=1), artifact="int9")
    assert caught.value.fix == "did you mean 'int8'?"


def test_a_result_of_baselines_alone_is_an_error() -> None:
    found = measured.result(measured.artifact("a", baseline=True))
    with pytest.raises(ConfigError, match="no artifact but baselines"):
        held(found, max_size=10)
