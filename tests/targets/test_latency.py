from __future__ import annotations

import json
import logging
import math
import os
import signal
import statistics
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from edgeres.errors import TargetError
from edgeres.records import encode
from targets import latency
from targets.artifact import Artifact
from targets.catalogue import open_session
from targets.conditions import Watch
from targets.latency import Block, Protocol
from targets.runtimes.cpu import CPU
from tests.targets.conftest import Models
from tests.targets.double import DoubleSession, watch

QUICK = Protocol(block=Block(runs=3, seconds=0), warm_up=Block(runs=2, seconds=0), warm_up_runs=4, warm_up_seconds=0)


def noise(median: float, *, seed: int, spread: float = 0.01) -> Iterator[float]:
    random = np.random.default_rng(seed)
    while True:
        yield float(median * random.lognormal(sigma=spread))


def session(median: float, seed: int, **arguments: float) -> DoubleSession:
    return DoubleSession(milliseconds=noise(median, seed=seed, **arguments), name=f"{median} ms")


def test_a_model_twice_as_fast_is_faster_and_the_other_way_round_slower() -> None:
    slow, fast = latency.measure([session(2, 1), session(1, 2)], QUICK, baseline=0, watch=watch(2))
    assert slow.speedup is None
    assert slow.verdict is None
    assert fast.verdict == "faster"
    assert fast.speedup is not None
    assert fast.speedup.low < 2 < fast.speedup.high
    assert fast.speedup.n == 30
    _, slower = latency.measure([session(1, 1), session(2, 2)], QUICK, baseline=0, watch=watch(2))
    assert slower.verdict == "slower"


def test_a_model_against_itself_is_equivalent_and_never_faster_or_slower() -> None:
    verdicts = [
        latency.measure([session(1, 2 * i), session(1, 2 * i + 1)], QUICK, baseline=0, watch=watch(2))[1].verdict
        for i in range(40)
    ]
    assert set(verdicts) <= {"equivalent", "inconclusive"}
    assert verdicts.count("equivalent") > 35


def test_a_machine_that_slows_down_meanwhile_changes_no_verdict() -> None:
    def drifting() -> Iterator[float]:
        for step in range(10**6):
            yield 1 + step / 100  # both slow down alike, by far more than the band

    _, other = latency.measure(
        [DoubleSession(milliseconds=drifting()), DoubleSession(milliseconds=drifting())],
        QUICK,
        baseline=0,
        watch=watch(2),
    )
    assert other.verdict == "equivalent"


def test_every_figure_can_be_recomputed_from_the_rounds_that_are_kept() -> None:
    slow, fast = latency.measure([session(2.123456789, 1), session(1, 2)], QUICK, baseline=0, watch=watch(2))
    stored = [json.loads(json.dumps(encode(one)))["rounds"] for one in (slow, fast)]
    ratios = [statistics.median(a) / statistics.median(b) for a, b in zip(*stored, strict=True)]
    assert fast.speedup is not None
    assert fast.speedup.value == pytest.approx(statistics.median(ratios))
    again = latency.summarize(tuple(map(tuple, stored[1])), threads=1, baseline=tuple(map(tuple, stored[0])))
    assert again == replace(fast, conditions=None)
    assert all(len(repr(time).replace(".", "")) <= 7 for block in stored[0] for time in block)


def test_a_clear_speed_up_ends_after_the_first_look_and_an_unclear_one_at_the_limit() -> None:
    protocol = replace(QUICK, max_rounds=120)
    clear, unclear = (
        latency.measure([session(2, 1), session(median, 2)], protocol, baseline=0, watch=watch(2))[1]
        for median in (1, 2 / 1.02)
    )
    assert (clear.verdict, len(clear.rounds), clear.looks) == ("faster", 30, 3)
    assert (unclear.verdict, len(unclear.rounds), unclear.looks) == ("inconclusive", 120, 3)
    assert clear.speedup is not None
    assert "3 looks" in clear.speedup.method


def test_it_goes_on_for_the_noisiest_of_all_artifacts() -> None:
    sessions = [session(2, 1), session(1, 2), session(1, 3, spread=0.3)]
    found = latency.measure(sessions, replace(QUICK, max_rounds=60), baseline=0, watch=watch(3))
    assert [len(each.rounds) for each in found] == [60] * 3


def test_without_a_comparison_the_first_look_is_the_last() -> None:
    (found,) = latency.measure([session(1, 1, spread=0.5)], replace(QUICK, max_rounds=120), watch=watch(1))
    assert len(found.rounds) == 30


def test_percentiles_are_ordered_and_no_run_is_dropped() -> None:
    (found,) = latency.measure([session(1, 3, spread=0.5)], QUICK)
    assert found.p50_ms.low <= found.p50_ms.value <= found.p50_ms.high <= found.p90_ms.high
    assert found.p50_ms.value < found.p90_ms.value
    assert [len(block) for block in found.rounds] == [3] * 30


def test_every_round_runs_every_artifact_once_in_an_order_fixed_by_the_seed() -> None:
    def order(seed: int) -> list[str]:
        calls: list[str] = []
        sessions = [DoubleSession(name=name, calls=calls) for name in "abc"]
        latency.run_rounds(sessions, Protocol(seed=seed, block=QUICK.block))
        return [call[0] for call in calls]

    first = order(0)
    rounds = ["".join(first[i : i + 3]) for i in range(0, 90, 3)]
    assert all(sorted(each) == ["a", "b", "c"] for each in rounds)
    assert len(set(rounds)) > 3
    assert order(0) == first
    assert order(1) != first


def test_several_processes_of_an_artifact_take_turns_across_the_looks() -> None:
    calls: list[str] = []
    sets = [[DoubleSession(name=f"{name}{number}", calls=calls) for name in "ab"] for number in range(3)]
    measured = latency.run_rounds(sets[0], Protocol(max_rounds=60, block=QUICK.block), others=sets[1:])
    assert [len(each) for each in measured] == [60, 60]
    turns = [{call[1] for call in calls[place : place + 2]} for place in range(0, 120, 2)]
    assert turns == [{"0"}, {"1"}, {"2"}] * 20


def test_one_odd_process_of_three_decides_nothing() -> None:
    sets = [[session(2, 3 * n), session(0.94 if n == 1 else 1, 3 * n + 1)] for n in range(3)]
    _, fast = latency.measure(sets[0], QUICK, others=sets[1:], baseline=0, watch=watch(6))
    assert fast.processes == 3
    assert fast.speedup is not None
    assert fast.speedup.value == pytest.approx(2, rel=0.02)
    assert fast.speedup.high > 2.1  # the interval knows of it


def test_blocks_last_as_long_as_the_protocol_says() -> None:
    (rounds,) = latency.run_rounds([DoubleSession()], Protocol())
    assert {len(block) for block in rounds} == {10}  # 10 ms of 1 ms runs


def test_warm_up_goes_on_until_times_settle() -> None:
    times = iter([9.0, 8.0, 6.0, 4.0, 3.0, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 50.0])
    assert latency.warm_up(DoubleSession(milliseconds=times), QUICK)
    assert list(times) == [1.0, 1.0, 50.0]  # blocks of two: (1, 1) and then (1, 1) agree


def test_warm_up_gives_up_at_its_limit_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    never = iter(float(1 + i % 4 * 10) for i in range(10**6))
    protocol = Protocol(block=QUICK.block, warm_up=QUICK.warm_up, warm_up_limit=1)
    with caplog.at_level(logging.WARNING):
        latency.measure([DoubleSession(milliseconds=never)], protocol)
    assert "not settled" in caplog.text


@pytest.mark.parametrize("wrong", [{"rounds": 29}, {"threads": 0}, {"rounds": 60, "max_rounds": 59}])
def test_too_few_rounds_or_threads_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="rounds >= "):
        Protocol(**wrong)


def test_rounds_that_do_not_pair_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        latency.summarize(((1.0,),) * 30, threads=1, baseline=((1.0,),) * 31)


def test_speedup_is_baseline_over_artifact() -> None:
    rounds = [((4.0,),) * 30, ((1.0,),) * 30]
    found = latency.summarize(rounds[1], threads=1, baseline=rounds[0])
    assert found.speedup is not None
    assert math.isclose(found.speedup.value, 4)


def slowing(*, seed: int, slow_down: float) -> tuple[list[DoubleSession], Watch]:
    """Two sessions and a reference kernel on one machine that is slower by a share from the 15th round on."""
    rounds = 0

    def times(median: float, stream: int) -> Iterator[float]:
        for time in noise(median, seed=10 * seed + stream, spread=0.05):
            yield time * (1 + slow_down * (rounds > 16))  # the kernel runs once before the first round

    kernel = times(1.0, 0)

    def reference() -> float:
        nonlocal rounds
        rounds += 1
        return next(kernel)

    sessions = [DoubleSession(milliseconds=times(median, stream)) for median, stream in ((2.0, 1), (1.0, 2))]
    return sessions, watch(2, kernel=reference)


def test_a_slow_down_halfway_is_flagged_in_95_of_100_measurements_and_a_steady_machine_in_5_at_most() -> None:
    def flagged(slow_down: float) -> int:
        found = 0
        for seed in range(100):
            sessions, observer = slowing(seed=seed, slow_down=slow_down)
            _, other = latency.measure(sessions, QUICK, baseline=0, watch=observer)
            assert other.verdict == "faster"
            assert len(other.rounds) == len(other.conditions.reference_ms) == 30
            found += "drift" in other.conditions.flags
        return found

    assert flagged(0.15) >= 95
    assert flagged(0.0) <= 5


def test_a_process_that_dies_in_the_middle_of_a_round_is_one_error_that_names_the_artifact(models: Models) -> None:
    artifacts = [Artifact(name, f"{name}.tflite", "tflite", models(name)) for name in ("float32", "int8")]
    with open_session(artifacts[0], CPU) as kept, open_session(artifacts[1], CPU) as killed:
        observer = Watch([kept.process_id, killed.process_id], kernel=Death(killed.process_id, at=5))
        with pytest.raises(TargetError, match=r"int8\.tflite: the runtime's process was ended by SIGKILL.* 'time'"):
            latency.measure([kept, killed], QUICK, baseline=0, watch=observer)
        assert len(kept.time(runs=3, seconds=0)) >= 3


class Death:
    """A reference kernel at whose n-th run a process is killed."""

    def __init__(self, process: int | None, *, at: int) -> None:
        self._process, self._left = process, at

    def __call__(self) -> float:
        self._left -= 1
        if self._left == 0 and self._process:
            os.kill(self._process, signal.SIGKILL)
        return 1.0
