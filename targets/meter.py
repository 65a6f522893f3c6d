"""What counts the energy of this machine: RAPL of its processor packages and their memory, else a battery's gauge.

A counter is the machine's, not a process'. Reference: Linux, Documentation/power/powercap/powercap.rst (microjoules
that begin anew at `max_energy_range_uj`) and Documentation/ABI/testing/sysfs-class-power (microwatt-hours,
microampere-hours).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edgeres.errors import TargetError

SYSFS = Path("/sys/class")

RAPL_SECONDS, BATTERY_SECONDS = 1.0, 30.0
"""How long a reading must last: RAPL counts anew every millisecond, a battery's gauge every few seconds."""

_JOULES_PER_MICROWATT_HOUR = 3600 / 1e6


class UncountedError(TargetError):
    """This machine does not count its energy, does not let it be read, or has stopped to count."""


@dataclass(frozen=True)
class Counter:
    """A counter of energy that only grows: `joules` reads it; at `wraps_j` it begins anew, where it does.

    `seconds`: how far apart two readings must be for the counter to tell. Reading raises `UncountedError`.
    """

    name: str
    joules: Callable[[], float]
    wraps_j: float | None = None
    seconds: float = RAPL_SECONDS

    def between(self, before: float, after: float) -> float:
        """Joules from one reading to a later one."""
        return after - before if after >= before or self.wraps_j is None else after - before + self.wraps_j


def find_counters(sysfs: Path = SYSFS) -> tuple[Counter, ...]:
    """The counters of all processor packages and their memory, else of the batteries that discharge.

    `sysfs`: the folder that holds `powercap` and `power_supply`.

    Raises:
        UncountedError: there is none, or none that may be read; says why, and what to do.
    """
    batteries = tuple(map(_battery, filter(_discharges, sorted((sysfs / "power_supply").glob("*")))))
    try:
        found = tuple(map(_rapl, filter(_counts, sorted((sysfs / "powercap").glob("intel-rapl:*")))))
    except UncountedError:
        if not batteries:
            raise
        found = ()
    if not found and not batteries:
        raise UncountedError(
            f"this machine does not say what energy it takes: no processor package under {sysfs}/powercap, and no "
            f"battery that discharges under {sysfs}/power_supply",
            fix="measure outside of containers and virtual machines, on a processor with RAPL (most x86 ones); or on a "
            "laptop without its charger",
        )
    return found or batteries


def _counts(zone: Path) -> bool:
    """Whether a zone is a package, or its memory, which is not within it, as cores and graphics are."""
    return _text(zone / "name").startswith("package") or _text(zone / "name") == "dram"


def _rapl(zone: Path) -> Counter:
    name, file = _text(zone / "name"), zone / "energy_uj"
    if name == "dram":
        name = f"dram of {_text(zone.parent / zone.name.rpartition(':')[0] / 'name')}"
    _number(file)
    wraps = _number(zone / "max_energy_range_uj") / 1e6
    return Counter(f"RAPL {name}", lambda: _number(file) / 1e6, wraps or None, RAPL_SECONDS)


def _discharges(supply: Path) -> bool:
    """Whether a power supply is a battery of the machine, not of a mouse, and runs it now."""
    machine = _text(supply / "type") == "Battery" and _text(supply / "scope") != "Device"
    counts = (supply / "energy_now").exists() or (supply / "charge_now").exists()
    return machine and counts and _text(supply / "status") == "Discharging"


def _battery(supply: Path) -> Counter:
    """What it has given. Charge counts at the voltage of the beginning: by what it sags, much would seem gone."""
    file, joules = supply / "energy_now", _JOULES_PER_MICROWATT_HOUR
    if not file.exists():
        file = supply / "charge_now"
        joules *= _number(supply / "voltage_now") / 1e6

    def given() -> float:
        if (status := _text(supply / "status")) != "Discharging":
            problem = f"the battery {supply.name} does not run the machine any more (status: {status or 'unknown'})"
            raise UncountedError(problem, fix="leave the charger unplugged until the end")
        return -_number(file) * joules

    return Counter(f"battery {supply.name}", given, seconds=BATTERY_SECONDS)


def _number(file: Path) -> int:
    try:
        return int(file.read_text(encoding="ascii"))
    except PermissionError as problem:
        raise UncountedError(
            f"{file} may not be read: Linux keeps the counter from users, for power tells secrets (CVE-2020-8694)",
            fix=f"let it be read until the next start: sudo chmod a+r {file.parent.parent}/intel-rapl:*/energy_uj",
        ) from problem
    except OSError as problem:
        raise UncountedError(
            f"{file} cannot be read: {problem.strerror}", fix="measure on another machine"
        ) from problem
    except ValueError as problem:
        raise UncountedError(f"{file} holds no number", fix="measure on another machine") from problem


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
