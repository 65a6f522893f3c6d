"""How long a device behind SSH is waited for."""

from __future__ import annotations

from dataclasses import dataclass

from targets.devices.device import Entry
from targets.sandbox import Limits


@dataclass(frozen=True)
class Patience:
    """Seconds: for a connection with the start of the runner on it; for connecting again after a loss; for a call."""

    connect: float = 15.0
    reconnect: float = 30.0
    pause: float = 1.0
    call: float = Limits.seconds


def entry_patience(entry: Entry) -> Patience:
    """The time limits of an entry; a device that connects slowly does so after a loss, too."""
    usual = Patience()
    connect = entry.seconds("connect_s", usual.connect)
    call = entry.seconds("timeout_s", usual.call)
    return Patience(connect=connect, reconnect=max(usual.reconnect, 2 * connect), call=call)
