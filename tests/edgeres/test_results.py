from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from edgeres.errors import ArtifactError
from edgeres.results import (
    Accuracy,
    ArtifactResult,
    Conditions,
    DataRecord,
    Estimate,
    Latency,
    Operators,
    OperatorTimes,
    Proof,
    Result,
    Start,
    Startup,
    Trend,
    merged,
    read_result,
)

E = Estimate(0.5, 0.4, 0.6, 0.95, "given", 10)
PLAIN = ArtifactResult("m", "m.tflite", "0" * 64, 10, "cpu", True)
SCORED = replace(PLAIN, accuracy=Accuracy(10, E, predictions=(0, 1)))
STEADY = Trend(0.0, 0.01, 0.5)
WATCHED = Conditions(("drift", "contention"), STEADY, STEADY, (1.0, 1.1), pressure=0.4, throttled=0)
TIMED = replace(
    PLAIN,
    latency=Latency(1, E, E, ((1.0, 2.0), (1.5,)), p99_ms=E, speedup_bca=E, looks=3, cores=(1,), conditions=WATCHED),
    startup=Startup(E, E, E, E, (Start(1.5, 0.5, 10, 20),)),
)
DATA = DataRecord("digits", "test", 2, "f" * 64, truth=(0, 1))


def test_a_result_survives_its_file(tmp_path: Path) -> None:
    result = Result({"cpu": "x"}, (replace(SCORED, latency=TIMED.latency, startup=TIMED.startup),), data=DATA)
    result.write(tmp_path / "r.json")
    assert read_result(tmp_path / "r.json") == result


def test_another_schema_is_refused(tmp_path: Path) -> None:
    Result({}, (PLAIN,)).write(tmp_path / "r.json")
    content = json.loads((tmp_path / "r.json").read_text())
    (tmp_path / "r.json").write_text(json.dumps({**content, "schema": "edgeres.result/2"}))
    with pytest.raises(ArtifactError, match=r"edgeres\.result/2"):
        read_result(tmp_path / "r.json")


def test_accuracy_and_latency_merge_into_one() -> None:
    other = replace(TIMED, target="reference")
    found = merged(Result({"a": 1}, (SCORED,), data=DATA), Result({"a": 2}, (TIMED, other)))
    assert found.artifacts == (replace(SCORED, latency=TIMED.latency, startup=TIMED.startup), other)
    assert found.data == DATA
    assert found.environment == {"a": 1}


def test_both_know_what_ran_where_and_whether_it_was_right() -> None:
    """The times of operators stay, and a proof that failed."""
    plain, right = Operators(2, 1, "XNNPACK"), Proof(True, 4, 0.0, 8.0, 0)
    timed = replace(plain, time_ms={"ADD": 1.0}, timed=OperatorTimes(3, E, E, ()))
    one = replace(SCORED, operators=plain, proof=right)
    two = replace(TIMED, operators=timed, proof=replace(right, passed=False))
    for first, second in ((one, two), (two, one)):
        (found,) = merged(Result({}, (first,)), Result({}, (second,))).artifacts
        assert found.operators == timed
        assert found.proof == two.proof
    with pytest.raises(ValueError, match="ran elsewhere"):
        merged(Result({}, (one,)), Result({}, (replace(two, operators=replace(plain, delegated=0)),)))


@pytest.mark.parametrize(
    ("other", "match"),
    [
        (Result({}, (SCORED,)), "both results hold the accuracy"),
        (Result({}, (replace(TIMED, baseline=False),)), "baseline of only one"),
        (Result({}, (TIMED,), data=replace(DATA, split="train")), "different images"),
    ],
)
def test_results_that_contradict_each_other_do_not_merge(other: Result, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        merged(Result({}, (SCORED,), data=DATA), other)


def test_the_json_is_the_documented_one(tmp_path: Path) -> None:
    Result({"cpu": "x"}, (replace(SCORED, latency=TIMED.latency, startup=TIMED.startup),), data=DATA).write(
        tmp_path / "r.json"
    )
    content = json.loads((tmp_path / "r.json").read_text())
    estimate = {"value": 0.5, "low": 0.4, "high": 0.6, "level": 0.95, "method": "given", "n": 10}
    steady = {"slope": 0.0, "change": 0.01, "p": 0.5}
    assert content.pop("created").startswith("20")
    assert content == {
        "schema": "edgeres.result/1",
        "environment": {"cpu": "x"},
        "data": {"source": "digits", "split": "test", "images": 2, "sha256": "f" * 64, "seed": 0, "truth": [0, 1]},
        "artifacts": [
            {
                "name": "m",
                "path": "m.tflite",
                "sha256": "0" * 64,
                "size_bytes": 10,
                "target": "cpu",
                "baseline": True,
                "accuracy": {"images": 10, "top1": estimate, "predictions": [0, 1]},
                "latency": {
                    "threads": 1,
                    "p50_ms": estimate,
                    "p90_ms": estimate,
                    "rounds": [[1.0, 2.0], [1.5]],
                    "p99_ms": estimate,
                    "speedup_bca": estimate,
                    "looks": 3,
                    "cores": [1],
                    "processes": 1,
                    "conditions": {
                        "flags": ["drift", "contention"],
                        "trend": steady,
                        "reference": steady,
                        "reference_ms": [1.0, 1.1],
                        "pressure": 0.4,
                        "throttled": 0,
                    },
                },
                "startup": {
                    **dict.fromkeys(("initialization_ms", "first_ms", "load_bytes", "peak_bytes"), estimate),
                    "starts": [{"initialization_ms": 1.5, "first_ms": 0.5, "load_bytes": 10, "peak_bytes": 20}],
                },
            }
        ],
    }


@pytest.mark.parametrize(
    ("field", "value", "match"),
    [
        ("size_bytes", "10", r"artifacts\[0\].size_bytes: expected int"),
        ("target", None, r"artifacts\[0\].target: expected str"),
        ("accuracy", {"images": 1}, r"accuracy: the key 'top1' is missing"),
        ("latancy", {}, r"unknown key 'latancy'"),
    ],
)
def test_a_field_that_does_not_fit_is_named(tmp_path: Path, field: str, value: object, match: str) -> None:
    Result({}, (PLAIN,)).write(tmp_path / "r.json")
    content = json.loads((tmp_path / "r.json").read_text())
    content["artifacts"][0][field] = value
    (tmp_path / "r.json").write_text(json.dumps(content))
    with pytest.raises(ArtifactError, match=match):
        read_result(tmp_path / "r.json")


@pytest.mark.parametrize("content", ["[]", "{}", "1", "{"])
def test_what_is_no_result_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "r.json").write_text(content)
    with pytest.raises(ArtifactError, match=r"r\.json"):
        read_result(tmp_path / "r.json")
