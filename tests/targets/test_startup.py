from __future__ import annotations

import os
import signal
import statistics

import pytest

from edgeres.errors import TargetError
from edgeres.results import Start
from targets import startup
from targets.artifact import Artifact
from targets.catalogue import available_target
from targets.further import Further
from targets.profiling import profile
from targets.runtimes.cpu import CPU
from targets.runtimes.session import EngineSession
from tests.targets.conftest import Models
from tests.targets.double import DoubleSession, DoubleTarget
from tests.targets.test_profiling import QUICK


def artifacts(*names: str) -> list[Artifact]:
    return [Artifact(name, f"{name}.tflite", "tflite", name.encode()) for name in names]


def test_every_start_has_a_process_of_its_own_that_does_nothing_else_and_is_closed() -> None:
    target = DoubleTarget(lambda _: DoubleSession(milliseconds=iter([9.0, 2.0])))
    first, second = startup.measure(artifacts("a", "b"), target, starts=7)
    assert [session.calls for session in target.opened] == [["double start", "double close"]] * 14
    assert first.starts == second.starts == (Start(9.0, 2.0, 1000, 2000),) * 7


def test_artifacts_take_turns_in_an_order_fixed_by_the_seed() -> None:
    def order(seed: int) -> list[str]:
        opened: list[str] = []

        def make(model: bytes) -> DoubleSession:
            opened.append(model.decode())
            return DoubleSession()

        startup.measure(artifacts("a", "b"), DoubleTarget(make), starts=20, seed=seed)
        return ["".join(opened[place : place + 2]) for place in range(0, 40, 2)]

    assert set(order(0)) == {"ab", "ba"}
    assert order(0) == order(0)
    assert order(0) != order(1)


def test_figures_are_medians_of_all_starts_with_their_intervals() -> None:
    starts = [Start(float(number), 10.0 * number, number, 2 * number) for number in (3, 1, 2, 6, 5, 4, 9)]
    found = startup.summarize(starts)
    assert found.initialization_ms.value == statistics.median(start.initialization_ms for start in starts)
    assert (found.first_ms.low, found.first_ms.value, found.first_ms.high, found.first_ms.n) == (10.0, 40.0, 90.0, 7)
    assert (found.load_bytes.value, found.peak_bytes.value) == (4, 8)
    assert found.starts == tuple(starts)


def test_too_few_starts_are_refused() -> None:
    with pytest.raises(ValueError, match="starts >= 6"):
        startup.measure(artifacts("a"), DoubleTarget(lambda _: DoubleSession()), starts=5)


def test_a_real_model_is_started_anew_and_its_memory_is_that_of_a_fresh_process(models: Models) -> None:
    model = Artifact("float32", "float32.tflite", "tflite", models("float32"))
    (row,) = profile([model], protocol=QUICK, further=Further(starts=6)).artifacts
    assert row.startup is not None
    assert len(row.startup.starts) == 6
    assert all(start.initialization_ms > 0 and start.first_ms > 0 for start in row.startup.starts)
    assert 0 < row.startup.load_bytes.value <= row.startup.peak_bytes.value


def test_a_first_run_cannot_be_timed_twice(models: Models) -> None:
    with CPU.open(models("int8")) as session:
        started = session.start()
        assert session.time(runs=3, seconds=0)
        assert started.first_ms > 0
        with pytest.raises(TargetError, match="before any other"):
            session.start()


def test_a_process_that_dies_before_its_first_run_is_one_error_that_names_the_artifact(
    models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = EngineSession.start

    def killed(session: EngineSession) -> Start:
        os.kill(session.process_id, signal.SIGKILL)
        return start(session)

    monkeypatch.setattr(EngineSession, "start", killed)
    model = Artifact("int8", "int8.tflite", "tflite", models("int8"))
    with pytest.raises(TargetError, match=r"int8\.tflite: the runtime's process was ended by SIGKILL"):
        startup.measure([model], available_target("cpu"), starts=6)
