from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from edgeres.results import Result
from targets.comparison import Comparison, Row, compare
from tests.targets import measured
from tests.targets.measured import compared


def row(found: Comparison, figure: str, artifact: str = "int8") -> Row:
    return next(one for one in found.rows if (one.artifact, one.figure) == (artifact, figure))


def elsewhere(found: Result, **environment: Any) -> Result:
    return replace(found, environment=found.environment | environment)


def test_a_result_does_not_differ_from_itself() -> None:
    found = compare(compared(), compared())
    assert found.environment == found.data == found.models == found.only_before == found.only_after == ()
    assert row(found, "size").before == row(found, "size").after == 1000
    change = row(found, "top-1").change
    assert change is not None
    assert (change.value, row(found, "top-1").p) == (0, 1)


def test_accuracy_on_the_same_images_is_paired() -> None:
    found = row(compare(compared(lost=2), compared(lost=30)), "top-1")
    assert found.basis == "paired"
    assert found.change is not None
    assert found.change.value == pytest.approx(2.8)
    assert found.change.low > 0
    assert found.p is not None
    assert found.p < 1e-6


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ({"sha256": "e" * 64}, "other images"),
        ({"truth": None}, "no answers"),
    ],
)
def test_accuracy_on_other_images_is_not_comparable(data: dict[str, Any], why: str) -> None:
    one, two = compared(), compared()
    assert one.data is not None
    one, two = (
        (replace(each, data=replace(one.data, **data)) for each in (one, two))
        if "truth" in data
        else (
            one,
            replace(two, data=replace(one.data, **data)),
        )
    )
    found = compare(one, two)
    assert row(found, "top-1").basis == "not comparable"
    assert why in (row(found, "top-1").why or "")
    assert row(found, "top-1").change is None
    if "sha256" in data:
        assert [change.what for change in found.data] == ["sha256"]


def test_times_of_one_machine_are_side_by_side_and_have_no_ratio() -> None:
    found = compare(compared(), elsewhere(compared(ms=(2.0, 0.5)), load=5.0, versions={"edgeres": "0.2.0"}))
    assert row(found, "p50").basis == row(found, "speed-up").basis == "side by side"
    assert row(found, "p50").change is None
    assert [(change.what, change.before, change.after) for change in found.environment] == [
        ("versions.edgeres", "0.1.0", "0.2.0")
    ]


@pytest.mark.parametrize("environment", [{"cpu": "B"}, {"cores": 8}, {"governor": "powersave"}])
def test_times_of_two_machines_are_not_comparable(environment: dict[str, Any]) -> None:
    found = compare(compared(), elsewhere(compared(), **environment))
    for figure in ("p50", "speed-up", "peak memory"):
        assert row(found, figure).basis == "not comparable"
        assert next(iter(environment)) in (row(found, figure).why or "")
    assert row(found, "arena").basis == row(found, "size").basis == "exact"
    assert row(found, "top-1").basis == "paired"


def test_times_with_other_threads_are_not_comparable() -> None:
    one = compared()
    two = [
        replace(artifact, latency=replace(artifact.latency, threads=4))  # type: ignore[arg-type]
        for artifact in one.artifacts
    ]
    assert row(compare(one, replace(one, artifacts=tuple(two))), "p50").why == "1 and 4 threads"


def test_other_models_and_artifacts_of_one_result_are_named() -> None:
    one, two = compared(), compared()
    changed = replace(two.artifacts[1], sha256="0" * 64, size_bytes=500)
    found = compare(one, replace(two, artifacts=(changed, measured.artifact("new"))))
    assert [change.what for change in found.models] == ["int8 on cpu"]
    assert (found.only_before, found.only_after) == (("float32 on cpu",), ("new on cpu",))
    assert (row(found, "size").before, row(found, "size").after) == (1000, 500)
