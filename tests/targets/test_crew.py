from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import ExitStack
from dataclasses import replace

import pytest

from edgeres.errors import TargetError
from targets.artifact import Artifact
from targets.crew import open_sessions, processes_each, sessions_each
from tests.targets.double import DoubleSession, DoubleTarget

SMALL = Artifact("m", "m.tflite", "tflite", b"x" * 1000)
CPU = DoubleTarget(lambda _: DoubleSession(), kind="cpu")


@pytest.mark.parametrize(
    ("models", "images", "cores", "expected"),
    [
        (1, 10_000, 2, 3),  # one for each core, and one more
        (2, 10_000, 2, 2),
        (3, 10_000, 2, 2),
        (4, 10_000, 2, 1),
        (9, 10_000, 2, 1),
        (1, 10_000, 16, 17),
        (1, 40, 16, 2),  # few images
        (1, 1, 16, 1),
    ],
)
def test_the_cores_are_kept_busy(
    models: int, images: int, cores: int, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("targets.crew.usable_cores", lambda: cores)
    assert sessions_each(CPU, [SMALL] * models, images=images) == expected


def test_large_models_are_not_opened_more_often_than_memory_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("targets.crew.usable_cores", lambda: 8)
    monkeypatch.setattr("targets.crew.physical_memory", lambda: 40_000)
    assert sessions_each(CPU, [SMALL], images=10_000) == 2
    assert sessions_each(CPU, [SMALL] * 3, images=10_000) == 1


def test_as_many_processes_take_turns_as_memory_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    assert processes_each(CPU, [SMALL]) == 3
    assert processes_each(replace(CPU, kind="npu"), [SMALL]) == 1
    assert processes_each(replace(CPU, timed=False), [SMALL]) == 1
    monkeypatch.setattr("targets.crew.physical_memory", lambda: 40_000)
    assert processes_each(CPU, [SMALL]) == 2
    assert processes_each(CPU, [SMALL] * 3) == 1


def test_an_accelerator_runs_one_session() -> None:
    assert sessions_each(replace(CPU, kind="npu"), [SMALL], images=10_000) == 1


@pytest.mark.parametrize("kind", ["cpu", "accelerator"])
def test_every_session_is_closed_when_one_cannot_be_opened(kind: str) -> None:
    def make(model: bytes) -> DoubleSession:
        if model == b"broken":
            raise TargetError("no such operator")
        return DoubleSession()

    target, broken = DoubleTarget(make, kind=kind), replace(SMALL, model=b"broken")
    with pytest.raises(TargetError, match="no such operator"), ExitStack() as stack:
        open_sessions([SMALL, broken], target, 2, stack)
    assert [session.calls for session in target.opened] == [["double close"]] * 2


def test_an_interruption_does_not_wait_for_a_session_that_hangs_while_it_opens() -> None:
    released = threading.Event()

    def hang(_: bytes) -> DoubleSession:
        released.wait(60)
        return DoubleSession()

    try:
        threading.Timer(0.2, os.kill, [os.getpid(), signal.SIGINT]).start()
        with pytest.raises(KeyboardInterrupt), ExitStack() as stack:
            open_sessions([SMALL], DoubleTarget(hang), 2, stack)
        assert not released.is_set()
    finally:
        released.set()


def test_no_more_are_opened_at_a_time_than_the_cores_bear(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("targets.crew.usable_cores", lambda: 2)
    lock, opening, most = threading.Lock(), 0, 0

    def make(_: bytes) -> DoubleSession:
        nonlocal opening, most
        with lock:
            opening += 1
            most = max(most, opening)
        time.sleep(0.02)
        with lock:
            opening -= 1
        return DoubleSession()

    with ExitStack() as stack:
        found = open_sessions([SMALL] * 20, DoubleTarget(make), 1, stack)
    assert len(found) == 20
    assert most <= 3
