from __future__ import annotations

from dataclasses import replace

from edgeres.report.conditions import remarks
from edgeres.results import ArtifactResult, Conditions, Estimate, Failure, Latency, Trend

E = Estimate(1.0, 0.9, 1.1, 0.95, "given", 30)
SLOWER, FASTER = Trend(0.01, 0.124, 1e-6), Trend(-0.01, -0.08, 1e-6)
CALM = Conditions((), SLOWER, FASTER, (1.0,) * 30)


def artifacts(*found: Conditions | None) -> list[ArtifactResult]:
    return [
        ArtifactResult(f"model{place}", "p", "0" * 64, 1, "cpu", False, latency=Latency(1, E, E, (), conditions=each))
        for place, each in enumerate(found)
    ]


def test_nothing_is_said_of_a_quiet_machine_nor_where_nothing_was_watched() -> None:
    assert remarks(artifacts(CALM, None)) == []


def test_drift_says_how_much_and_whether_the_reference_kernel_saw_it() -> None:
    (text,) = remarks(artifacts(CALM, replace(CALM, flags=("drift",))))
    drift = "12 % slower in the last quarter of the rounds than in the first"
    assert text == f"model1: drift: {drift}; the reference kernel 8 % faster"


def test_what_holds_of_several_artifacts_is_said_once() -> None:
    busy = replace(CALM, flags=("contention", "throttling"), pressure=0.431, steal=0.02)
    contention, throttling = remarks(artifacts(busy, busy))
    assert contention.startswith("model0, model1: contention: programs waited for a CPU 43 % of the time, the hyper")
    assert "2.0 %" in contention
    assert throttling.startswith("model0, model1: throttling")


def test_how_often_a_model_lost_its_cpu_is_said_of_each() -> None:
    one, two = (replace(CALM, flags=("contention",), switches_per_s=often) for often in (100.0, 2000.0))
    assert [text.split(";")[0] for text in remarks(artifacts(one, two))] == [
        "model0: contention: the model lost its CPU 100 times a second",
        "model1: contention: the model lost its CPU 2,000 times a second",
    ]


def test_what_was_asked_for_and_could_not_be_measured_is_said_with_what_to_do() -> None:
    missing = {"energy": Failure("nothing counts", fix="buy a meter"), "operators.timed": Failure("no profiler")}
    assert remarks([replace(artifacts(None)[0], unmeasured=missing)]) == [
        "model0: energy not measured: nothing counts; buy a meter",
        "model0: times of operators not measured: no profiler",
    ]
