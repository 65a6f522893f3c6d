from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edgeres.errors import ArtifactError
from edgeres.results import Energy, Estimate, Operators, OperatorTime, OperatorTimes, Result, Start
from targets import energy, operator_times, startup, throughput
from targets.conditions import Counters, Watch
from targets.recomputation import Recomputed, recompute
from targets.stats import quantile
from targets.throughput import FIRST, Way
from tests.targets import measured
from tests.targets.measured import compared


@pytest.fixture(scope="module")
def sound() -> Result:
    return compared(600, lost=12, won=5)


def changed(found: Result, part: str, **fields: Any) -> Result:
    """The result with fields of the artifact's part replaced."""
    baseline, own = found.artifacts
    return replace(found, artifacts=(baseline, replace(own, **{part: replace(getattr(own, part), **fields)})))


def figures(found: Recomputed) -> list[str]:
    return [difference.figure for difference in found.differences]


def test_what_was_measured_follows_from_its_raw_data(sound: Result) -> None:
    found = recompute(sound)
    assert found.differences == ()
    assert found.without_raw_data == ()
    assert found.figures > 50
    found.require("r.json")


@pytest.mark.parametrize(
    ("part", "name"),
    [
        ("accuracy", "top1"),
        ("accuracy", "top1_drop_points"),
        ("accuracy", "top1_drop_bounds_points"),
        ("accuracy", "agreement"),
        ("latency", "p50_ms"),
        ("latency", "p90_ms"),
        ("latency", "speedup"),
    ],
)
@pytest.mark.parametrize("end", ["value", "low", "high"])
def test_every_altered_end_of_an_estimate_is_found(sound: Result, part: str, name: str, end: str) -> None:
    estimate = getattr(getattr(sound.artifacts[1], part), name)
    bent = replace(estimate, **{end: getattr(estimate, end) * 1.0001 + 1e-6})
    found = recompute(changed(sound, part, **{name: bent}))
    assert figures(found) == [f"int8 on cpu: {part}.{name}.{end}"]
    with pytest.raises(ArtifactError, match="1 figures do not follow") as caught:
        found.require("r.json")
    assert f"{name}.{end}: stored" in str(caught.value)


@pytest.mark.parametrize(
    ("part", "fields", "place"),
    [
        ("accuracy", {"verdict": "pass"}, "accuracy.verdict"),
        ("accuracy", {"lost": 11}, "accuracy.lost"),
        ("accuracy", {"mcnemar_p": 0.9}, "accuracy.mcnemar_p"),
        ("accuracy", {"images_needed": 3}, "accuracy.images_needed"),
        ("latency", {"verdict": "equivalent"}, "latency.verdict"),
        ("accuracy", {"class_drops_points": (None, None, None)}, "accuracy.class_drops_points"),
    ],
)
def test_an_altered_count_or_verdict_is_found(sound: Result, part: str, fields: dict[str, Any], place: str) -> None:
    assert f"int8 on cpu: {place}" in figures(recompute(changed(sound, part, **fields)))


def test_altered_raw_data_change_the_figures(sound: Result) -> None:
    accuracy, latency = sound.artifacts[1].accuracy, sound.artifacts[1].latency
    assert accuracy is not None
    assert latency is not None
    kept = accuracy.calibration
    assert kept is not None
    bent = replace(kept, confidences=(0.5, *kept.confidences[1:]))
    assert "int8 on cpu: accuracy.calibration.ece.value" in figures(
        recompute(changed(sound, "accuracy", calibration=bent))
    )
    rounds = tuple(tuple(2 * time for time in block) for block in latency.rounds)
    assert "int8 on cpu: latency.speedup.value" in figures(recompute(changed(sound, "latency", rounds=rounds)))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"predictions": (0, 1)}, "2 predictions for 600 images"),
        ({"missed_top5": (700,)}, "missed_top5"),
        ({"missed_top5": (5, 5)}, "missed_top5"),
        ({"flips": ()}, "the flips are not those"),
    ],
)
def test_raw_data_that_do_not_fit_together_are_found(sound: Result, fields: dict[str, Any], message: str) -> None:
    (difference,) = recompute(changed(sound, "accuracy", **fields)).differences
    assert message in difference.computed


def test_a_comparison_without_its_baseline_does_not_follow(sound: Result) -> None:
    found = recompute(replace(sound, artifacts=sound.artifacts[1:]))
    assert {difference.computed for difference in found.differences} == {"the baseline is not in the result"}


def test_rounds_that_are_too_few_are_found(sound: Result) -> None:
    (difference,) = recompute(changed(sound, "latency", rounds=((1.0,),) * 3)).differences
    assert difference.figure == "int8 on cpu: latency"


def test_what_has_no_raw_data_is_said(sound: Result) -> None:
    found = recompute(replace(sound, data=None))
    assert found.without_raw_data == ("float32 on cpu: accuracy", "int8 on cpu: accuracy")
    assert found.differences == ()


def test_a_result_from_before_scores_were_kept_still_follows(sound: Result) -> None:
    later = dict.fromkeys(("calibration", "divergence", "flips", "class_drops_points"))
    bounds = dict.fromkeys(("top1_drop_bounds_points", "lost", "won", "mcnemar_p"))
    old = changed(sound, "accuracy", **later, **bounds)
    assert recompute(old).differences == ()


def test_each_artifact_is_held_against_the_baseline_of_its_target(sound: Result) -> None:
    slow = measured.latencies(8.0, 2.0)
    rows = tuple(
        replace(row, target="reference", accuracy=None, latency=one)
        for row, one in zip(sound.artifacts, slow, strict=True)
    )
    assert recompute(replace(sound, artifacts=(*sound.artifacts, *rows))).differences == ()


RATES = ((100.0, 102.0, 98.0, 101.0, 99.0, 100.5), (190.0, 200.0, 195.0, 192.0, 198.0, 196.0))
TIMES = np.abs(np.random.default_rng(0).normal(1, 0.1, (30, 4))).round(4)
"""Milliseconds of 30 runs: of the whole, and of three operators."""


def counted(mj: tuple[float, ...], baseline: tuple[float, ...] | None = None) -> Energy:
    return energy.summarize("RAPL", (10.0, 11.0, 9.0, 10.5, 9.5, 10.0), mj, (2.0,) * 6, baseline_mj=baseline)


@pytest.fixture(scope="module")
def further() -> Result:
    """What is measured beside latency, of a baseline and another artifact."""
    rates = (
        throughput.summarize(FIRST, RATES[0], first=None),
        throughput.summarize(Way(processes=2), RATES[1], first=RATES[0]),
    )
    each = tuple(
        OperatorTime(place, "ADD", "add", False, quantile([1.0] * 6, 0.5), 1, 1, runs_ms=tuple(column.tolist()))
        for place, column in enumerate(TIMES[:, 1:].T)
    )
    one = quantile([1.0] * 6, 0.5)
    timed = operator_times.again(OperatorTimes(30, one, one, each, tuple(TIMES[:, 0].tolist())))
    mj = (60.0, 61.0, 59.0, 60.0, 62.0, 58.0), (30.0, 30.0, 31.0, 29.0, 30.0, 30.0)
    parts = {"throughput": rates, "operators": Operators(3, 0, timed=timed)}
    return measured.result(
        measured.artifact("float32", baseline=True, energy=counted(mj[0]), **parts),
        measured.artifact("int8", energy=counted(mj[1], mj[0]), **parts),
    )


def test_throughput_energy_and_times_of_operators_follow_from_their_rounds(further: Result) -> None:
    found = recompute(further)
    assert (found.differences, found.without_raw_data) == ((), ())
    assert found.figures > 50


def bent(estimate: Estimate) -> Estimate:
    return replace(estimate, high=estimate.high * 1.01)


def test_an_altered_figure_of_them_is_found(further: Result) -> None:
    own = further.artifacts[1]
    assert own.energy is not None
    assert own.energy.saving is not None
    assert own.throughput is not None
    assert own.throughput[1].scaling is not None
    assert own.operators is not None
    assert own.operators.timed is not None
    one, two = own.throughput
    first, *rest = own.operators.timed.each
    timed = replace(own.operators.timed, each=(replace(first, time_ms=bent(first.time_ms)), *rest))
    altered = replace(
        own,
        energy=replace(own.energy, saving=bent(own.energy.saving), gross_mj=bent(own.energy.gross_mj)),
        throughput=(one, replace(two, scaling=bent(own.throughput[1].scaling))),
        operators=replace(own.operators, timed=timed),
    )
    found = recompute(replace(further, artifacts=(further.artifacts[0], altered)))
    assert figures(found) == [
        "int8 on cpu: throughput[1].scaling.high",
        "int8 on cpu: energy.gross_mj.high",
        "int8 on cpu: energy.saving.high",
        "int8 on cpu: operators.timed.each[0].time_ms.high",
    ]


def test_a_saving_without_its_baseline_and_rounds_that_do_not_fit_do_not_follow(further: Result) -> None:
    own = further.artifacts[1]
    assert own.throughput is not None
    short = (own.throughput[0], replace(own.throughput[1], rates=(1.0,) * 7))
    found = recompute(replace(further, artifacts=(replace(own, throughput=short),)))
    assert figures(found) == ["int8 on cpu: throughput", "int8 on cpu: energy"]
    assert found.differences[1].computed == "the baseline is not in the result"


def test_those_of_a_result_that_kept_no_rounds_are_said(further: Result) -> None:
    own = further.artifacts[0]
    assert own.throughput is not None
    assert own.energy is not None
    bare = replace(
        own,
        throughput=tuple(replace(rate, rates=()) for rate in own.throughput),
        energy=replace(own.energy, idle_watts=()),
    )
    found = recompute(replace(further, artifacts=(bare,)))
    assert found.without_raw_data == ("float32 on cpu: throughput", "float32 on cpu: energy")
    assert found.differences == ()


def _watched(sound: Result) -> Result:
    """The result with the conditions of its rounds and with six starts of each artifact."""
    still = Counters(0.0, 0.0, 0, 0, 0, (0, 0))
    watch = Watch((1, 2), kernel=iter([1.0 + 0.001 * (n % 5) for n in range(99)]).__next__, counters=lambda _: still)
    rounds = [artifact.latency.rounds for artifact in sound.artifacts if artifact.latency]
    watch.begin()
    for _ in rounds[0]:
        watch.each_round()
    found = watch.end(rounds)
    begun = startup.summarize([Start(10.0 + n, 2.0 + n / 7, 4096 * n, 8192 * n) for n in range(6)])
    rows = tuple(
        replace(row, startup=begun, latency=replace(row.latency, conditions=each))  # type: ignore[type-var]  # timed
        for row, each in zip(sound.artifacts, found, strict=True)
    )
    return replace(sound, artifacts=rows)


def test_conditions_and_starts_follow_from_what_is_kept_of_them(sound: Result) -> None:
    found = recompute(_watched(sound))
    assert found.differences == ()
    assert found.figures > recompute(sound).figures + 12


def test_altered_starts_and_trends_are_found(sound: Result) -> None:
    watched = _watched(sound)
    own = watched.artifacts[1]
    assert own.startup is not None
    assert own.latency is not None
    assert own.latency.conditions is not None
    late = replace(own.startup.first_ms, value=own.startup.first_ms.value * 2)
    assert figures(recompute(changed(watched, "startup", first_ms=late))) == ["int8 on cpu: startup.first_ms.value"]
    (few,) = figures(recompute(changed(watched, "startup", starts=own.startup.starts[:3])))
    assert few == "int8 on cpu: startup"
    for part, fields, place in (
        ("reference", {"change": 0.5}, "reference.change"),
        ("trend", {"p": 0.0}, "trend.p"),
    ):
        bent = replace(own.latency.conditions, **{part: replace(getattr(own.latency.conditions, part), **fields)})
        found = recompute(changed(watched, "latency", conditions=bent))
        assert figures(found) == [f"int8 on cpu: latency.conditions.{place}"]
    flagged = replace(own.latency.conditions, flags=("drift",))
    assert figures(recompute(changed(watched, "latency", conditions=flagged))) == [
        "int8 on cpu: latency.conditions.flags"
    ]
