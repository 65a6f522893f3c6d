from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from edgeres.errors import TargetError
from targets import energy
from targets.artifact import Artifact
from targets.energy import Counter, find_counters
from targets.further import Further
from targets.latency import Protocol
from targets.profiling import profile
from tests.targets.conftest import Models
from tests.targets.double import DoubleSession

QUICK = Protocol(warm_up_seconds=0, warm_up_limit=0.5)


def package(sysfs: Path, number: int, *, name: str = "package-0", microjoules: int = 5_000_000) -> Path:
    zone = sysfs / "powercap" / f"intel-rapl:{number}"
    zone.mkdir(parents=True)
    (zone / "name").write_text(f"{name}\n")
    (zone / "energy_uj").write_text(f"{microjoules}\n")
    (zone / "max_energy_range_uj").write_text("262143328850\n")
    return zone


def test_the_counters_are_those_of_the_packages(tmp_path: Path) -> None:
    zone = package(tmp_path, 0)
    package(tmp_path, 1, name="psys")
    package(tmp_path, 2, name="package-1")
    found = find_counters(tmp_path)
    assert [counter.name for counter in found] == ["RAPL package-0", "RAPL package-1"]
    assert found[0].joules() == 5.0
    (zone / "energy_uj").write_text("7500000\n")
    assert found[0].joules() == 7.5


def test_a_counter_that_begins_anew_loses_nothing() -> None:
    counter = Counter("c", lambda: 0.0, wraps_j=262.0)
    assert counter.between(260.0, 3.0) == 5.0
    assert counter.between(3.0, 5.0) == 2.0


def test_a_battery_that_discharges_counts_down(tmp_path: Path) -> None:
    battery = tmp_path / "power_supply" / "BAT0"
    battery.mkdir(parents=True)
    (battery / "status").write_text("Discharging\n")
    (battery / "energy_now").write_text("40000000\n")
    (counter,) = find_counters(tmp_path)
    before = counter.joules()
    (battery / "energy_now").write_text("39999000\n")
    assert counter.between(before, counter.joules()) == pytest.approx(3.6)  # a milliwatt-hour
    (battery / "status").write_text("Charging\n")
    with pytest.raises(TargetError, match="no battery that discharges"):
        find_counters(tmp_path)


def test_a_machine_without_counters_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="does not say what energy") as caught:
        find_counters(tmp_path)
    assert caught.value.fix


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_counter_that_may_not_be_read_says_how_to_mend_it(tmp_path: Path) -> None:
    (package(tmp_path, 0) / "energy_uj").chmod(0)
    with pytest.raises(TargetError, match="cannot be read") as caught:
        find_counters(tmp_path)
    assert "chmod a+r" in str(caught.value.fix)


def test_what_the_idle_machine_takes_is_taken_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """A simulated machine of 10 W that takes 30 W while a model runs, 2 ms an inference."""
    now = {"s": 0.0, "j": 0.0}

    def passes(seconds: float, watts: float) -> None:
        now["s"] += seconds
        now["j"] += seconds * watts

    class Busy(DoubleSession):
        def time(self, *, runs: int, seconds: float) -> list[float]:
            passes(seconds, 30)
            return [2.0] * round(seconds / 0.002)

    monkeypatch.setattr("targets.energy.time.monotonic", lambda: now["s"])
    monkeypatch.setattr("targets.energy.time.sleep", lambda seconds: passes(seconds, 10))
    (found,) = energy.measure([Busy()], [Counter("meter", lambda: now["j"])], rounds=6)
    assert found.source == "meter"
    assert found.idle_w.value == pytest.approx(10)
    assert found.gross_mj.value == pytest.approx(60)
    assert found.inference_mj.value == pytest.approx(40)


def test_profile_goes_on_where_energy_is_not_counted(
    models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("targets.further.energy.find_counters", lambda: find_counters(tmp_path))
    model = Artifact("m", "m.tflite", "tflite", models("gray"))
    (row,) = profile([model], protocol=QUICK, further=Further(energy=True)).artifacts
    assert row.latency is not None
    assert row.energy is None
    assert "energy is left out" in caplog.text


def test_profile_counts_energy_where_there_is_a_counter(models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    grows = iter(np.arange(1.0, 1e6))
    monkeypatch.setattr(
        "targets.further.energy.find_counters", lambda: (Counter("c", lambda: next(grows), seconds=0.01),)
    )
    model = Artifact("m", "m.tflite", "tflite", models("gray"))
    (row,) = profile([model], protocol=QUICK, further=Further(energy=True)).artifacts
    assert row.energy is not None
    assert row.energy.gross_mj.value > 0
