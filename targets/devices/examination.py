"""Looking at devices before anything is measured on them: what is there, what is missing, and how to mend it."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from edgeres.errors import ConfigError
from targets.devices.device import Device, Finding
from targets.devices.fleet import unexpected
from targets.devices.inventory import inventory_path, read_inventory
from targets.devices.opened import device_named


def examine(names: Sequence[str]) -> dict[str, list[Finding]]:
    """Look at these devices side by side, or at all of the inventory.

    Raises:
        ConfigError: the inventory has no such name, or is empty.
    """
    chosen = list(dict.fromkeys(names)) or list(read_inventory())
    if not chosen:
        problem = f"the inventory {inventory_path()} has no devices"
        raise ConfigError(problem, fix="add one: edgeres devices add NAME ssh://USER@HOST")
    devices = [device_named(name) for name in chosen]
    if len(devices) == 1:  # in this thread, where somebody can be asked for a password
        return {chosen[0]: devices[0].examine()}
    with ThreadPoolExecutor(len(devices)) as threads:
        return dict(zip(chosen, threads.map(_examined, devices), strict=True))


def _examined(device: Device) -> list[Finding]:
    """What is found; of a device that answers what nobody expected, that: the others' findings are not lost with it."""
    try:
        return device.examine()
    except Exception as bug:  # noqa: BLE001 - whatever it is
        error = unexpected(bug)
        return [Finding("connection", error.message, error.fix, problem=True)]
