"""`ssh://USER@HOST:PORT`, read strictly: what comes through here can be no option, no path and no command."""

from __future__ import annotations

import re
from dataclasses import dataclass

from edgeres.errors import ConfigError
from targets.devices.inventory import shown

_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?"
_IP6 = r"\[[0-9A-Fa-f:.]{2,45}(?:%[A-Za-z0-9_.-]{1,32})?\]"
_URL = re.compile(
    rf"ssh://(?:(?P<user>[A-Za-z0-9_][A-Za-z0-9_.-]{{0,31}})@)?(?P<host>{_NAME}|{_IP6})(?::(?P<port>\d{{1,5}}))?"
)


@dataclass(frozen=True)
class Address:
    """Where an SSH server is; what is None comes from `~/.ssh/config`, or is the usual."""

    host: str
    user: str | None = None
    port: int | None = None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.user + '@' if self.user else ''}{host}{f':{self.port}' if self.port else ''}"

    @property
    def command(self) -> str:
        """What a user types to connect by hand."""
        return " ".join(
            ["ssh", *([f"-p {self.port}"] if self.port else []), f"{self.user + '@' if self.user else ''}{self.host}"]
        )


def parse_address(url: str) -> Address:
    """The address in a URL.

    Raises:
        ConfigError: it is no `ssh://USER@HOST:PORT`, or holds a password.
    """
    if re.match(r"ssh://[^/@]*:[^/@]*@", url):
        problem = "a password does not belong on a command line, where others can read it"
        raise ConfigError(problem, fix='use a key (ssh-copy-id), or password_env = "VARIABLE" in the inventory')
    found = _URL.fullmatch(url)
    port = int(found["port"]) if found and found["port"] else None
    if found is None or (port is not None and not 0 < port < 65536):
        raise ConfigError(f"expected ssh://USER@HOST:PORT, found {shown(url)!r}", fix="USER and PORT may be left out")
    return Address(found["host"].strip("[]"), found["user"], port)
