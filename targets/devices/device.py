"""The protocol of a device: what there is behind a URL, what its machine is like, and the targets that run there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from edgeres.errors import ConfigError, TargetError, suggestion
from targets.machine import Machine
from targets.target import Availability, Target

MOST_SECONDS = 86400
"""The longest time limit that an entry can set: a day."""


@dataclass(frozen=True)
class Entry:
    """A device as the inventory has it, or as a command line names it, where `name` is the URL itself.

    `url`: `SCHEME://…`, without the target. `options`: the other keys of its table, all of them texts.
    """

    name: str
    url: str
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def scheme(self) -> str:
        """What stands before `://`: a key of `targets.devices.DEVICES`."""
        return self.url.partition("://")[0]

    def require_options(self, *known: str) -> None:
        """Refuse a key that this kind of device does not know.

        Raises:
            ConfigError: names it, with the nearest match.
        """
        for name in self.options:
            if name not in known:
                problem = f"the device '{self.name}' has an unknown key '{name}' ({self.scheme}:// devices)"
                raise ConfigError(problem, fix=suggestion(name, known))

    def seconds(self, key: str, usual: float) -> float:
        """The time limit under a key, `usual` where there is none.

        Raises:
            ConfigError: it is no number of seconds, or out of range.
        """
        text = self.options.get(key)
        if text is None:
            return usual
        found = float(text) if re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,6})?", text) else 0.0
        if not 1 <= found <= MOST_SECONDS:
            problem = f"{self.name}: expected {key} in 1…{MOST_SECONDS} seconds, found {text[:40]!r}"
            raise ConfigError(problem, fix=f'{key} = "{usual:g}" is the usual')
        return found


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at on a device: what was found, and how to mend it where it is a problem."""

    what: str
    found: str
    fix: str | None = None
    problem: bool = False


class ConnectionLost(TargetError):  # noqa: N818 - an event, after which a measurement begins anew
    """The connection to a device ended; what was measured in a row has to be measured anew."""


class Device(Protocol):
    """A machine behind a connection, which is made when it is first needed."""

    @property
    def name(self) -> str:
        """Its name in the inventory, or its URL."""

    @property
    def reconnects(self) -> int:
        """How often the connection was lost, and made again."""

    @property
    def machine(self) -> Machine:
        """What a measurement asks of it besides running models: its lock, its conditions, its description."""

    def target(self, name: str) -> Target:
        """The target of that name on this device, a `DeviceTarget`; the device's usual one where the name is empty.

        Connects to nothing.

        Raises:
            TargetError: there is none of that name; says which there are.
        """

    def examine(self) -> list[Finding]:
        """Connect and look at everything that a measurement needs there: each problem is a finding with its fix."""

    def witnessed(self) -> dict[str, Any]:
        """What was noted while something was measured, since this was last asked for, as JSON values; may be empty."""

    def close(self) -> None:
        """End the connection, and whatever runs on the device. It is made anew when it is needed again."""


class Scheme(Protocol):
    """A kind of device: what `DEVICES` names."""

    @property
    def usage(self) -> str:
        """As targets on its devices are asked for: `ssh://USER@HOST/TARGET`."""

    def check(self) -> Availability:
        """Whether what it takes on this machine to reach one is there; connects to nothing, imports nothing of it."""

    def open(self, entry: Entry) -> Device:
        """The device of an entry; connects to nothing.

        Raises:
            ConfigError: a URL or a key that does not fit.
        """


@runtime_checkable
class DeviceTarget(Target, Protocol):
    """A target that runs on a device; its `name` is `DEVICE/TARGET`."""

    @property
    def device(self) -> Device:
        """Where it runs."""
