from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edgeres.errors import TargetError
from edgeres.report.throughput_table import energy_rows
from edgeres.results import ArtifactResult, Energy
from targets import energy
from targets.artifact import Artifact
from targets.further import Further
from targets.latency import Protocol
from targets.meter import Counter, UncountedError
from targets.profiling import profile
from tests.targets.conftest import Models
from tests.targets.double import DoubleSession
from tests.targets.sysfs import battery, rapl

QUICK = Protocol(warm_up_seconds=0, warm_up_limit=0.5)


class Meter:
    """A simulated machine of 10 W, and its clock; an inference takes 2 ms, and `took` lists who ran."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.s = self.j = 0.0
        self.took: list[str] = []
        monkeypatch.setattr("targets.energy.time.monotonic", lambda: self.s)
        monkeypatch.setattr("targets.energy.time.sleep", lambda seconds: self.passes("idle", seconds, 10))

    def passes(self, who: str, seconds: float, watts: float) -> None:
        self.took.append(who)
        self.s += seconds
        self.j += seconds * watts

    def model(self, name: str, watts: float) -> DoubleSession:
        meter = self

        class Busy(DoubleSession):
            def time(self, *, runs: int, seconds: float) -> list[float]:
                meter.passes(name, seconds, watts)
                return [2.0] * round(seconds / 0.002)

        return Busy()


def test_what_the_idle_machine_takes_is_taken_off(monkeypatch: pytest.MonkeyPatch) -> None:
    meter = Meter(monkeypatch)
    (found,) = energy.measure([meter.model("a", 30)], [Counter("meter", lambda: meter.j)], rounds=6)
    assert found.source == "meter"
    assert found.idle_w.value == pytest.approx(10)
    assert found.gross_mj.value == pytest.approx(60)
    assert found.inference_mj.value == pytest.approx(40)
    assert found.saving is None
    assert found == energy.summarize("meter", found.idle_watts, found.inferences_mj, found.inferences_ms)


def test_all_counters_add_up_and_the_slowest_says_how_long_to_run(monkeypatch: pytest.MonkeyPatch) -> None:
    meter = Meter(monkeypatch)
    counters = [Counter("one", lambda: meter.j), Counter("two", lambda: meter.j / 2, seconds=7.0)]
    (found,) = energy.measure([meter.model("a", 30)], counters, rounds=6)
    assert found.source == "one, two"
    assert found.gross_mj.value == pytest.approx(90)
    assert meter.s == pytest.approx(2 * 6 * 7)


def test_artifacts_and_idleness_take_turns_and_are_compared_round_by_round(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(seed: int) -> tuple[list[Energy], list[str]]:
        meter = Meter(monkeypatch)
        sessions = [meter.model("a", 30), meter.model("b", 15)]
        counter = Counter("meter", lambda: meter.j)
        return energy.measure(sessions, [counter], baseline=0, rounds=20, seed=seed), meter.took

    (one, two), took = run(0)
    rounds = [tuple(took[start : start + 3]) for start in range(0, 60, 3)]
    assert {tuple(sorted(each)) for each in rounds} == {("a", "b", "idle")}
    assert len(set(rounds)) > 3
    assert run(0)[1] == took
    assert run(1)[1] != took
    assert one.saving is None
    assert two.saving is not None
    assert (two.saving.low, two.saving.value, two.saving.high) == pytest.approx((2, 2, 2))


def test_a_gauge_that_does_not_move_in_a_round_leaves_no_ratio_and_one_that_never_does_is_an_error() -> None:
    watts, ms = (1.0,) * 6, (2.0,) * 6
    found = energy.summarize("c", watts, (0.0, 36.0, 0.0, 36.0, 0.0, 36.0), ms, baseline_mj=(36.0,) * 6)
    assert found.saving is None
    with pytest.raises(UncountedError, match="c: nothing was counted while models ran"):
        energy.measure([DoubleSession()], [Counter("c", lambda: 5.0, seconds=0.001)], rounds=6)


def test_the_table_gives_both_energies_and_the_saving() -> None:
    found = energy.summarize(
        "RAPL package-0", (10.0,) * 6, (60.0, 61, 59, 60, 62, 58), (2.0,) * 6, baseline_mj=(120.0,) * 6
    )
    (row,) = energy_rows([ArtifactResult("net", "net", "0" * 64, 1, "cpu", False, energy=found)])
    assert row[:4] == ("net", "40.0 mJ [38.0, 42.0]", "60.0 mJ [58.0, 62.0]", "2.00x [1.94, 2.07]")
    assert row[4:] == ("10.00 W [10.00, 10.00]", "RAPL package-0")


def artifacts(models: Models, *names: str) -> list[Artifact]:
    return [Artifact(name, f"{name}.tflite", "tflite", models(name)) for name in names]


def test_profile_goes_on_where_energy_is_not_counted_and_the_result_says_why(models: Models, tmp_path: Path) -> None:
    (row,) = profile(artifacts(models, "gray"), protocol=QUICK, further=Further(energy=True, sysfs=tmp_path)).artifacts
    assert row.latency is not None
    assert row.energy is None
    assert row.unmeasured is not None
    assert row.unmeasured["energy"].message.startswith("this machine does not say what energy it takes")
    assert row.unmeasured["energy"].fix


@contextmanager
def growing(file: Path, *, microjoules: int) -> Iterator[None]:
    """A counter that grows by so much every two milliseconds; each value is whole or not there yet."""
    end = threading.Event()

    def grow() -> None:
        for step in range(1, 10**9):
            fresh = file.with_name("next")
            fresh.write_text(f"{step * microjoules}\n")
            fresh.replace(file)
            if end.wait(0.002):
                return

    thread = threading.Thread(target=grow)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()


def test_profile_counts_energy_by_the_files_of_the_system(
    models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("targets.meter.RAPL_SECONDS", 0.05)
    zone = rapl(tmp_path, "intel-rapl:0", "package-0")
    with growing(zone / "energy_uj", microjoules=20_000):
        rows = profile(
            artifacts(models, "gray", "fifty"),
            baseline=0,
            protocol=QUICK,
            further=Further(energy=True, sysfs=tmp_path),
        ).artifacts
    for row in rows:
        assert row.unmeasured is None
        assert row.energy is not None
        assert row.energy.source == "RAPL package-0"
        assert row.energy.gross_mj.value > 0
        assert row.energy.idle_w.value > 0
        assert (row.energy.saving is None) == row.baseline


def test_a_charger_that_is_plugged_in_meanwhile_leaves_energy_out(
    models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    supply = battery(tmp_path, energy_now="40000000")

    def plug_in(_: float) -> None:
        (supply / "status").write_text("Charging\n")

    monkeypatch.setattr("targets.meter.BATTERY_SECONDS", 0.05)
    monkeypatch.setattr("targets.energy.time.sleep", plug_in)
    (row,) = profile(artifacts(models, "gray"), protocol=QUICK, further=Further(energy=True, sysfs=tmp_path)).artifacts
    assert row.energy is None
    assert row.unmeasured is not None
    assert "status: Charging" in row.unmeasured["energy"].message


def test_a_model_that_dies_meanwhile_is_an_error(models: Models, tmp_path: Path) -> None:
    class Dies(DoubleSession):
        def time(self, *, runs: int, seconds: float) -> list[float]:
            raise TargetError("the runtime's process was ended")

    with pytest.raises(TargetError, match="was ended"):
        energy.measure([Dies()], [Counter("c", time.monotonic, seconds=0.001)], rounds=6)
