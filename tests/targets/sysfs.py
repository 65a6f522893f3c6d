"""Folders like those in which Linux tells what energy a machine takes: real files, for the real code to read."""

from __future__ import annotations

from pathlib import Path


def rapl(sysfs: Path, zone: str, name: str, *, microjoules: int = 0) -> Path:
    """A zone of RAPL, e.g. `intel-rapl:0`."""
    folder = sysfs / "powercap" / zone
    folder.mkdir(parents=True)
    (folder / "name").write_text(f"{name}\n")
    (folder / "energy_uj").write_text(f"{microjoules}\n")
    (folder / "max_energy_range_uj").write_text("262143328850\n")
    return folder


def battery(sysfs: Path, **files: str) -> Path:
    """A battery that discharges, with these files beside, and without those that are empty."""
    folder = sysfs / "power_supply" / "BAT0"
    folder.mkdir(parents=True)
    for name, text in {"type": "Battery", "status": "Discharging", **files}.items():
        if text:
            (folder / name).write_text(f"{text}\n")
    return folder
