"""The devices that are in use: one object, and so one connection, for each, however often it is asked for."""

from __future__ import annotations

from threading import Lock

from targets.devices.device import Device
from targets.devices.inventory import find_entry, open_entry

_devices: dict[tuple[str, str, tuple[tuple[str, str], ...]], Device] = {}
_guard = Lock()


def device_named(name: str) -> Device:
    """The device of a name of the inventory, or of a URL; connects to nothing.

    Raises:
        ConfigError: unknown, or an entry that does not fit.
    """
    entry = find_entry(name)
    key = entry.name, entry.url, tuple(sorted(entry.options.items()))
    with _guard:
        if key not in _devices:
            _devices[key] = open_entry(entry)
        return _devices[key]


def close_devices() -> None:
    """End all connections; each is made anew when its device is used again."""
    with _guard:
        devices = list(_devices.values())
    for device in devices:
        device.close()
