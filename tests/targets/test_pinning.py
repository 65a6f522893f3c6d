from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from targets import pinning
from targets.catalogue import available_target
from targets.pinning import cores_for, pinned
from tests.targets.conftest import Models

pytestmark = pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="Linux only")


@pytest.fixture
def cpus(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty description of eight cores that this process may use."""
    monkeypatch.setattr(pinning, "_CPUS", tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    return tmp_path


def describe(cpus: Path, core: int, name: str, text: str) -> None:
    path = cpus / f"cpu{core}" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{text}\n")


def test_the_last_cores_are_taken_where_nothing_tells_them_apart(cpus: Path) -> None:
    assert cores_for(1) == (7,)
    assert cores_for(3) == (5, 6, 7)


@pytest.mark.parametrize("name", ["cpu_capacity", "cpufreq/cpuinfo_max_freq"])
def test_the_fastest_cores_are_taken(cpus: Path, name: str) -> None:
    for core in range(8):
        describe(cpus, core, name, "1024" if core in (1, 2) else "446")
    assert cores_for(1) == (2,)
    assert cores_for(3) == (1, 2, 7)


def test_hardware_threads_of_one_core_are_taken_last(cpus: Path) -> None:
    for core in range(8):
        first = core // 2 * 2
        describe(cpus, core, "topology/thread_siblings_list", f"{first}-{first + 1}")
    assert cores_for(2) == (5, 7)
    assert cores_for(5) == (1, 3, 5, 6, 7)


def test_nothing_is_pinned_where_every_core_is_needed_or_the_system_has_no_affinity(
    cpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cores_for(8) is None
    monkeypatch.delattr(os, "sched_getaffinity")
    assert cores_for(1) is None
    with pinned([None], None):
        pass


def test_all_threads_of_a_session_and_the_caller_are_kept_on_the_cores_and_the_caller_is_freed(models: Models) -> None:
    before = os.sched_getaffinity(0)
    core = min(before)
    with (
        available_target("cpu").open(models("float32"), threads=2) as session,
        pinned([session.process_id, None], (core,)),
    ):
        tasks = [int(task.name) for task in Path(f"/proc/{session.process_id}/task").iterdir()]
        assert len(tasks) > 1
        assert all(os.sched_getaffinity(task) == {core} for task in tasks)
        assert os.sched_getaffinity(0) == {core}
        assert all(time > 0 for time in session.time(runs=3, seconds=0))
    assert os.sched_getaffinity(0) == before


def test_the_caller_is_freed_after_an_error_and_its_other_threads_are_never_bound() -> None:
    before = os.sched_getaffinity(0)
    seen: list[set[int]] = []
    enter, leave = threading.Event(), threading.Event()

    def other() -> None:
        enter.wait()
        seen.append(os.sched_getaffinity(0))
        leave.set()

    thread = threading.Thread(target=other)
    thread.start()

    def fail() -> None:
        enter.set()
        leave.wait()
        raise RuntimeError

    with pytest.raises(RuntimeError), pinned([], (min(before),)):
        fail()
    thread.join()
    assert seen == [before]
    assert os.sched_getaffinity(0) == before


def test_a_process_that_is_gone_is_no_error() -> None:
    with pinned([2**22 + 1], (min(os.sched_getaffinity(0)),)):
        pass
