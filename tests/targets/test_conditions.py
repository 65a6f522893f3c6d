from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from edgeres.results import Trend
from targets import conditions
from targets.conditions import Counters, Evidence, Watch, flags, read_counters, reference_ms

STEADY, SLOWER = Trend(0.0, 0.0, 1.0), Trend(0.01, 0.2, 1e-6)
QUIET = Evidence(STEADY, STEADY, pressure=0.01, steal=0.0, switches=1.0, throttled=0)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (QUIET, ()),
        (Evidence(STEADY, STEADY), ()),
        (replace(QUIET, own=SLOWER), ("drift",)),
        (replace(QUIET, pressure=0.5), ("contention",)),
        (replace(QUIET, steal=0.05), ("contention",)),
        (replace(QUIET, switches=200), ("contention",)),
        (replace(QUIET, throttled=1), ("throttling",)),
        (replace(QUIET, reference=SLOWER), ("drift", "throttling")),
        (replace(QUIET, reference=SLOWER, pressure=0.5), ("drift", "contention")),
        (replace(QUIET, reference=Trend(-0.01, -0.2, 1e-6)), ("drift",)),
    ],
)
def test_flags_say_what_the_evidence_supports(found: Evidence, expected: tuple[str, ...]) -> None:
    assert flags(found) == expected


def test_a_watch_gives_what_was_counted_between_its_beginning_and_its_end() -> None:
    counted = iter(
        [
            Counters(10, waited_s=1, stolen=100, ticks=1000, throttled=2, switches=(5, None)),
            Counters(20, waited_s=6, stolen=110, ticks=2000, throttled=3, switches=(25, None)),
        ]
    )
    watch = Watch([7, None], kernel=lambda: 1.23456789, counters=lambda _: next(counted))
    watch.begin()
    for _ in range(8):
        watch.each_round()
    one, two = watch.end([[[100.0, 150.0]] * 8, [[1.0]] * 8])
    assert (one.pressure, one.steal, one.throttled) == (0.5, 0.01, 1)
    assert one.switches_per_s == 6.0  # of 20 in 2 s, without one for each of the 8 rounds
    assert two.switches_per_s is None
    assert one.reference_ms == (1.23457,) * 8
    assert one.flags == ("contention", "throttling")


def test_what_a_system_does_not_count_is_left_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("_PRESSURE", "_STAT", "_CPUS", "_GROUP"):
        monkeypatch.setattr(conditions, name, tmp_path / "absent")
    found = read_counters([None])
    assert found == Counters(found.clock_s, None, None, None, None, (None,))


def test_counters_are_read_as_linux_writes_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pressure, stat, group, cpus = (tmp_path / name for name in ("pressure", "stat", "group", "cpus"))
    pressure.write_text("some avg10=89.16 avg60=77.83 avg300=76.84 total=1594501989\nfull avg10=0.00 total=0\n")
    stat.write_text("cpu  10 20 30 40 50 60 70 80 5 5\ncpu0 1 2 3 4 5 6 7 8 0 0\n")
    group.write_text("usage_usec 1\nnr_throttled 4\n")
    for cpu in ("cpu0", "cpu1"):
        folder = cpus / cpu / "thermal_throttle"
        folder.mkdir(parents=True)
        (folder / "core_throttle_count").write_text("3\n")
    unreadable = cpus / "cpu2" / "thermal_throttle" / "core_throttle_count"
    unreadable.mkdir(parents=True)
    for name, path in {"_PRESSURE": pressure, "_STAT": stat, "_GROUP": group, "_CPUS": cpus}.items():
        monkeypatch.setattr(conditions, name, path)
    found = read_counters([])
    assert (found.waited_s, found.stolen, found.ticks, found.throttled) == (1594.501989, 80, 360, 10)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux only")
def test_a_process_that_shares_its_cpu_is_seen_to_lose_it_and_one_that_is_gone_counts_nothing() -> None:
    busy = [sys.executable, "-c", "import os,sys;os.sched_setaffinity(0,{int(sys.argv[1])})\nwhile True: pass"]
    core = str(min(os.sched_getaffinity(0)))
    processes = [subprocess.Popen([*busy, core]) for _ in range(2)]
    try:
        first = processes[0].pid
        while (found := read_counters([first, None]).switches)[0] is None or found[0] < 5:
            assert processes[0].poll() is None
        assert found[1] is None
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert read_counters([first]).switches == (None,)


def test_the_reference_kernel_computes_the_same_every_time() -> None:
    before = conditions._KERNEL.copy()
    assert reference_ms() > 0
    assert (before == conditions._KERNEL).all()


def test_a_watch_reads_the_processes_that_it_was_given() -> None:
    asked: list[Sequence[int | None]] = []

    def counters(processes: Sequence[int | None]) -> Counters:
        asked.append(processes)
        return Counters(len(asked), None, None, None, None, (None,) * len(processes))

    watch = Watch([3, None], kernel=lambda: 1.0, counters=counters)
    watch.begin()
    for _ in range(8):
        watch.each_round()
    watch.end([[[1.0]] * 8] * 2)
    assert asked == [[3, None]] * 2


def test_the_switches_of_processes_that_take_turns_are_added_up() -> None:
    counted = iter([(0, 0, 0, None), (30, 7, 8, 9)])
    watch = Watch(
        [1, 2, 3, 4], kernel=lambda: 1.0, counters=lambda _: Counters(0, None, None, None, None, next(counted))
    )
    watch.begin()
    for _ in range(8):
        watch.each_round()
    one, two = watch.end([[[1000.0]] * 8] * 2)
    assert one.switches_per_s == (30 + 8 - 8) / 8
    assert two.switches_per_s is None  # one of its processes is none of this machine
