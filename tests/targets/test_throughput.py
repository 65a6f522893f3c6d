from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from edgeres.errors import ArtifactError, ConfigError
from edgeres.progress import silent
from edgeres.records import decode, encode
from edgeres.report.throughput_table import rate_rows
from edgeres.results import ArtifactResult, Result
from targets import throughput
from targets.artifact import Artifact
from targets.further import Further, _throughput
from targets.latency import Protocol
from targets.profiling import profile
from targets.throughput import FIRST, Way, ways
from tests.targets.conftest import Models

QUICK = Protocol(warm_up_seconds=0, warm_up_limit=0.5)


@pytest.mark.parametrize(("cores", "counts"), [(1, []), (2, [2]), (4, [2, 4]), (6, [2, 4, 6]), (8, [2, 4, 8])])
def test_threads_and_processes_go_by_powers_of_two_up_to_all_cores(cores: int, counts: list[int]) -> None:
    found = ways(cores)
    assert found[0] == FIRST
    assert [way.threads for way in found if way.threads > 1] == counts
    assert [way.processes for way in found if way.processes > 1] == counts
    assert len(set(found)) == len(found) == 1 + 2 * len(counts)


def test_batches_run_on_one_thread_and_on_all_cores() -> None:
    found = [(way.batch, way.threads) for way in ways(8, open_batch=True) if way.batch > 1]
    assert found == [(4, 1), (4, 8), (16, 1), (16, 8)]
    assert [(way.batch, way.threads) for way in ways(1, open_batch=True)] == [(1, 1), (4, 1), (16, 1)]


def test_no_more_processes_than_memory_holds(models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [way.processes for way in ways(8, processes=5)] == [1, 1, 1, 1, 2, 4]
    monkeypatch.setattr("targets.throughput.usable_cores", lambda: 2)
    monkeypatch.setattr("targets.throughput.physical_memory", lambda: 0)
    found = throughput.measure(models("gray"), rounds=6, seconds=0.01)
    assert [(rate.threads, rate.processes) for rate in found] == [(1, 1), (2, 1)]


def test_every_way_is_measured_and_compared_with_the_first_in_the_same_rounds(models: Models) -> None:
    first, *others = throughput.measure(models("float32"), rounds=6, seconds=0.01)
    assert (first.threads, first.processes, first.batch, first.scaling) == (1, 1, 1, None)
    assert {rate.batch for rate in others} == {1, 4, 16}
    for rate in (first, *others):
        assert 0 < rate.images_per_s.low <= rate.images_per_s.value <= rate.images_per_s.high
        assert len(rate.rates) == 6
    for rate in others:
        assert rate.scaling is not None
        ratios = sorted(own / one for own, one in zip(rate.rates, first.rates, strict=True))
        assert (rate.scaling.low, rate.scaling.high) == pytest.approx((ratios[0], ratios[-1]))


def test_a_fixed_batch_stays_one(models: Models) -> None:
    assert {rate.batch for rate in throughput.measure(models("gray"), rounds=6, seconds=0.01)} == {1}


def test_a_batch_that_the_model_does_not_keep_apart_is_left_out(
    models: Models, caplog: pytest.LogCaptureFixture
) -> None:
    found = throughput.measure(models("one_row"), rounds=6, seconds=0.01)
    assert {rate.batch for rate in found} == {1}
    assert "for a batch of 4 the model gives 1 rows" in caplog.text


class Turns:
    """A child that runs alone while the others wait: a run takes a millisecond of the clock that all share."""

    def __init__(self, clock: list[float]) -> None:
        self._clock, self._lock = clock, threading.Lock()

    def call(self, method: str, *, arguments: dict[str, float]) -> tuple[dict[str, int], tuple[bytes, ...]]:
        runs = max(1, round(arguments["seconds"] * 1000))
        with self._lock:
            self._clock[0] += runs / 1000
        return {}, (np.ones(runs).tobytes(),)


def test_processes_that_wait_for_each_other_are_no_faster_than_one(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("targets.throughput.time.perf_counter", lambda: clock[0])
    with ThreadPoolExecutor(2) as pool:
        alone = throughput._rate([Turns(clock)], 1, pool, 0.01)
        two = throughput._rate([Turns(clock), Turns(clock)], 1, pool, 0.01)
    assert alone == two == 1000


def test_a_model_that_the_runtime_refuses_is_an_error_that_names_it() -> None:
    model = Artifact("m", "bad.tflite", "tflite", b"no model")
    with pytest.raises(ArtifactError, match=r"bad\.tflite"):
        _throughput(model, 0, silent)


@pytest.mark.slow
def test_profile_measures_it_where_it_is_asked_for(models: Models) -> None:
    model = Artifact("m", "m.tflite", "tflite", models("gray"))
    result = profile([model], protocol=QUICK, further=Further(throughput=True))
    (row,) = result.artifacts
    assert row.throughput is not None
    assert row.throughput[0].processes == row.throughput[0].threads == 1
    assert decode(Result, json.loads(json.dumps(encode(result))), where="result") == result
    with pytest.raises(ConfigError, match="throughput is measured on this machine's target 'cpu' alone"):
        profile([model], targets=("reference",), protocol=QUICK, further=Further(throughput=True))


def test_the_table_gives_every_way_with_its_intervals() -> None:
    rates = [[100.0, 102, 98, 101, 99, 100], [190.0, 200, 195, 192, 198, 196]]
    found = (
        throughput.summarize(FIRST, rates[0], first=None),
        throughput.summarize(Way(processes=2), rates[1], first=rates[0]),
    )
    one, two = rate_rows([ArtifactResult("net", "net", "0" * 64, 1, "cpu", False, throughput=found)])
    assert one == ("net", "1", "1", "1", "100.0 [98.0, 102.0]", "–")
    assert two == ("net", "2", "1", "1", "196 [190, 200]", "1.96x [1.90, 2.00]")
