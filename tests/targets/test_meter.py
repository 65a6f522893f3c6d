from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from targets.meter import BATTERY_SECONDS, Counter, UncountedError, find_counters
from tests.targets.sysfs import battery, rapl


def test_packages_and_their_memory_count_and_nothing_twice(tmp_path: Path) -> None:
    zone = rapl(tmp_path, "intel-rapl:0", "package-0", microjoules=5_000_000)
    rapl(tmp_path, "intel-rapl:0:0", "core", microjoules=3_000_000)
    rapl(tmp_path, "intel-rapl:0:2", "dram", microjoules=1_000_000)
    rapl(tmp_path, "intel-rapl:1", "psys", microjoules=9_000_000)
    rapl(tmp_path, "intel-rapl:2", "package-1", microjoules=2_000_000)
    rapl(tmp_path, "intel-rapl-mmio:0", "package-0", microjoules=5_000_000)
    (tmp_path / "powercap" / "intel-rapl").mkdir()
    found = find_counters(tmp_path)
    assert [counter.name for counter in found] == ["RAPL package-0", "RAPL dram of package-0", "RAPL package-1"]
    assert [counter.joules() for counter in found] == [5.0, 1.0, 2.0]
    (zone / "energy_uj").write_text("7500000\n")
    assert found[0].joules() == 7.5
    assert found[0].wraps_j == 262143.32885


def test_a_counter_that_begins_anew_loses_nothing() -> None:
    counter = Counter("c", lambda: 0.0, wraps_j=262.0)
    assert counter.between(260.0, 3.0) == 5.0
    assert counter.between(3.0, 5.0) == 2.0


def test_a_battery_that_discharges_counts_down(tmp_path: Path) -> None:
    supply = battery(tmp_path, energy_now="40000000")
    (counter,) = find_counters(tmp_path)
    assert (counter.name, counter.seconds) == ("battery BAT0", BATTERY_SECONDS)
    before = counter.joules()
    (supply / "energy_now").write_text("39999000\n")
    assert counter.between(before, counter.joules()) == pytest.approx(3.6)  # a milliwatt-hour


def test_a_gauge_of_charge_counts_at_one_voltage_however_much_it_sags(tmp_path: Path) -> None:
    supply = battery(tmp_path, charge_now="3000000", voltage_now="12000000")
    (counter,) = find_counters(tmp_path)
    before = counter.joules()
    (supply / "charge_now").write_text("2999000\n")
    (supply / "voltage_now").write_text("11500000\n")
    assert counter.between(before, counter.joules()) == pytest.approx(43.2)  # a milliampere-hour of 12 V


def test_a_battery_that_is_charged_meanwhile_is_an_error(tmp_path: Path) -> None:
    supply = battery(tmp_path, energy_now="40000000")
    (counter,) = find_counters(tmp_path)
    (supply / "status").write_text("Charging\n")
    with pytest.raises(UncountedError, match=r"BAT0 does not run the machine any more \(status: Charging\)"):
        counter.joules()


@pytest.mark.parametrize(
    "changed",
    [{"status": "Charging"}, {"status": "Full"}, {"type": "Mains"}, {"scope": "Device"}, {"energy_now": ""}],
)
def test_chargers_mice_and_batteries_that_rest_do_not_count(tmp_path: Path, changed: dict[str, str]) -> None:
    battery(tmp_path, **{"energy_now": "40000000", **changed})
    with pytest.raises(UncountedError, match="no battery that discharges") as caught:
        find_counters(tmp_path)
    assert "laptop" in str(caught.value.fix)


def test_a_machine_without_any_counter_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UncountedError, match="does not say what energy it takes: no processor package under") as caught:
        find_counters(tmp_path)
    assert "virtual machines" in str(caught.value.fix)


@contextmanager
def as_a_user() -> Iterator[Path]:
    """A folder that anyone may read, and no rights of root until the end."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        root = os.geteuid() == 0
        try:
            yield Path(folder)
        finally:
            if root:
                os.seteuid(0)


def give_up_root() -> None:
    if os.geteuid() == 0:
        os.seteuid(65534)


def test_a_counter_that_only_root_may_read_says_how_to_mend_it() -> None:
    with as_a_user() as sysfs:
        (rapl(sysfs, "intel-rapl:0", "package-0") / "energy_uj").chmod(0o400 if os.geteuid() == 0 else 0)
        give_up_root()
        with pytest.raises(UncountedError, match="energy_uj may not be read") as caught:
            find_counters(sysfs)
    assert caught.value.fix is not None
    assert f"sudo chmod a+r {sysfs}/powercap/intel-rapl:*/energy_uj" in caught.value.fix


def test_a_battery_counts_where_the_processors_counter_may_not_be_read() -> None:
    with as_a_user() as sysfs:
        (rapl(sysfs, "intel-rapl:0", "package-0") / "energy_uj").chmod(0o400 if os.geteuid() == 0 else 0)
        battery(sysfs, energy_now="40000000")
        give_up_root()
        assert [counter.name for counter in find_counters(sysfs)] == ["battery BAT0"]


@pytest.mark.parametrize("text", ["", "many\n", "\x80"])
def test_a_counter_that_holds_no_number_is_an_error(tmp_path: Path, text: str) -> None:
    (rapl(tmp_path, "intel-rapl:0", "package-0") / "energy_uj").write_text(text, encoding="latin-1")
    with pytest.raises(UncountedError, match="holds no number"):
        find_counters(tmp_path)


def test_a_counter_that_vanishes_is_an_error(tmp_path: Path) -> None:
    zone = rapl(tmp_path, "intel-rapl:0", "package-0")
    (counter,) = find_counters(tmp_path)
    (zone / "energy_uj").unlink()
    with pytest.raises(UncountedError, match="cannot be read: No such file"):
        counter.joules()
