from __future__ import annotations

import pytest

from edgeres.errors import ConfigError
from targets import throughput
from targets.artifact import Artifact
from targets.further import Further
from targets.latency import Protocol
from targets.profiling import profile
from targets.throughput import Way, ways
from tests.targets.conftest import Models

QUICK = Protocol(warm_up_seconds=0, warm_up_limit=0.5)


@pytest.mark.parametrize(("cores", "counts"), [(1, []), (2, [2]), (4, [2, 4]), (6, [2, 4, 6]), (8, [2, 4, 8])])
def test_threads_and_processes_go_by_powers_of_two_up_to_all_cores(cores: int, counts: list[int]) -> None:
    found = ways(cores, open_batch=False)
    assert found[0] == Way(1, 1, 1)
    assert [way.threads for way in found if way.threads > 1] == counts
    assert [way.processes for way in found if way.processes > 1] == counts


def test_batches_are_run_where_the_model_leaves_them_open(models: Models) -> None:
    open_batch = throughput.measure(models("float32"), rounds=6, seconds=0.01)
    assert [rate.batch for rate in open_batch if rate.batch > 1] == [4, 16]
    fixed = throughput.measure(models("gray"), rounds=6, seconds=0.01)
    assert {rate.batch for rate in fixed} == {1}
    for rate in (*open_batch, *fixed):
        assert 0 < rate.images_per_s.low <= rate.images_per_s.value <= rate.images_per_s.high
        assert rate.images_per_s.n == 6


def test_profile_measures_it_where_it_is_asked_for(models: Models) -> None:
    model = Artifact("m", "m.tflite", "tflite", models("gray"))
    (row,) = profile([model], protocol=QUICK, further=Further(throughput=True)).artifacts
    assert row.throughput is not None
    assert row.throughput[0].processes == row.throughput[0].threads == 1
    with pytest.raises(ConfigError, match="throughput is measured on this machine's target 'cpu' alone"):
        profile([model], targets=("reference",), protocol=QUICK, further=Further(throughput=True))
