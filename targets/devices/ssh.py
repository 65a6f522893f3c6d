"""A device behind SSH (`ssh://USER@HOST:PORT`): this project's own sources run there, and numpy and a runtime.

Nothing of edgeres has to be installed there, and nothing stays: see `runner.py`. A connection that drops is made again,
and what can be repeated is; a measurement of latency begins anew.
"""

from __future__ import annotations

import getpass
import importlib.util
import os
import shlex
import sys
import threading
import time
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from edgeres.errors import ConfigError, EdgeresError, TargetError
from edgeres.storage import sha256_bytes
from targets.devices.address import parse_address
from targets.devices.connection import Connection, Login, Program, Refused, Unreachable, library, usual_known_hosts
from targets.devices.deadline import Deadline
from targets.devices.device import ConnectionLost, Device, Entry, Finding
from targets.devices.link import Answered, Link
from targets.devices.patience import Patience, entry_patience
from targets.devices.remote import RemoteTarget, remote_target
from targets.devices.remote_machine import RemoteMachine
from targets.devices.sources import DAMAGED, OLDEST, RECEIVER, TOO_OLD, packed
from targets.target import Availability

OPTIONS = ("python", "password_env", "known_hosts", "connect_s", "timeout_s")
"""Keys of an entry: the Python to run there, the environment variable with the password, a file of host keys; seconds
for a connection, and for one call of a runtime there."""

PYTHON = "python3"
_NEEDED_BYTES = 64 << 20


class NotStarted(TargetError):  # noqa: N818 - a state of a device
    """The device lets us in, and what should be Python there does not run what it gets."""


class SshDevice:
    """See `targets.devices.device.Device`."""

    def __init__(self, entry: Entry, *, patience: Patience | None = None, extra: tuple[str, ...] = ()) -> None:
        """Nothing is connected to; `extra`: modules to send along.

        Raises:
            ConfigError: a URL or key that does not fit.
        """
        entry.require_options(*OPTIONS)
        self._entry, self._address = entry, parse_address(entry.url)
        self._python = entry.options.get("python", PYTHON)
        if self._python.startswith("-") or not self._python.isprintable() or not self._python:
            raise ConfigError(
                f"{entry.name}: expected the path of a Python, found {self._python!r}", fix="python = PATH"
            )
        self.patience, self._sources = patience or entry_patience(entry), packed(extra)
        self._guard = threading.RLock()
        self._connection: Connection | None = None
        self._link: Link | None = None
        self._asked: str | None = None
        self.reconnects = 0
        self._machine = RemoteMachine(self)

    @property
    def name(self) -> str:
        """See `Device.name`."""
        return self._entry.name

    @property
    def machine(self) -> RemoteMachine:
        """See `Device.machine`."""
        return self._machine

    @property
    def call_seconds(self) -> float:
        """See `Served.call_seconds`."""
        return self.patience.call

    def target(self, name: str) -> RemoteTarget:
        """See `Device.target`."""
        return remote_target(self, name)

    def call(
        self, method: str, *blobs: bytes | memoryview, arguments: dict[str, Any] | None = None, seconds: float = 60.0
    ) -> Answered:
        """Call a method of the runner, connecting first where that is needed.

        Raises:
            EdgeresError: see `Link.call`, and `Connection`.
        """
        return self.linked().call(method, *blobs, arguments=arguments, seconds=seconds)

    def linked(self) -> Link:
        """The present link; made where there is none, and made again where it was lost.

        Raises:
            TargetError: see `Connection`; the runner does not start there.
        """
        with self._guard:
            if self._link is not None and self._link.closed:
                self.restore(self._link)
            if self._link is None:
                self._link = self._connect(self.patience.connect)
            return self._link

    def restore(self, lost: Link) -> None:
        """Connect again after a loss, as soon as the device can be reached.

        Raises:
            TargetError: it cannot for too long, or does not let us in any more.
        """
        with self._guard:
            if self._link is not lost:  # another thread has done so
                return
            self._disconnect()
            deadline = Deadline(self.patience.reconnect)
            while (link := self._connected_again(deadline)) is None:
                time.sleep(self.patience.pause)
            self._link = link
            self.reconnects += 1

    def _connected_again(self, deadline: Deadline) -> Link | None:
        """None where the device cannot be reached, and there is time left to try again."""
        try:
            return self._connect(min(self.patience.connect, deadline.left))
        except (Unreachable, ConnectionLost) as problem:
            if deadline.left > self.patience.pause:
                return None
            text = f"the connection to {self.name} was lost, and cannot be made again: {problem.message}"
            raise TargetError(text, details=problem.details, fix=problem.fix) from problem

    def _connect(self, seconds: float) -> Link:
        """Log in with a key or the given password; where neither does, with one that whoever sits here is asked for."""
        library()
        self._disconnect()
        try:
            return self._begun(Deadline(seconds))
        except Refused:
            at_terminal = sys.stdin.isatty() and threading.current_thread() is threading.main_thread()
            if self._password() is not None or not at_terminal:
                raise
            self._asked = getpass.getpass(f"password of {self._address}: ")
            return self._begun(Deadline(seconds))

    def _begun(self, deadline: Deadline) -> Link:
        listed = self._entry.options.get("known_hosts")
        files = (Path(listed).expanduser(),) if listed else usual_known_hosts()
        self._connection = Connection(Login(self._address, files, self._password(), deadline.seconds))
        sources = self._sources
        words = [self._python, "-c", RECEIVER, str(len(sources)), sha256_bytes(sources)]
        program = self._connection.program(" ".join(map(shlex.quote, words)), seconds=deadline.left)
        link = Link(program.requests, program.replies, name=self.name, ending=program.ending)
        try:
            link.begin(sources, deadline)
        except TargetError as problem:
            link.close()
            raise self._not_started(program, problem) from problem
        return link

    def _password(self) -> str | None:
        variable = self._entry.options.get("password_env")
        password = self._asked or (os.environ.get(variable) if variable else None)
        if variable and password is None:
            raise ConfigError(f"{self.name}: the variable {variable} has no password", fix=f"export {variable}=…")
        return password

    def _not_started(self, program: Program, problem: TargetError) -> TargetError:
        """Why the runner did not start, as far as its last words tell."""
        how, lines = program.ending()
        last = lines[-1] if lines else ""
        if last.startswith(TOO_OLD):
            found = last.removeprefix(TOO_OLD).strip()
            oldest = ".".join(map(str, OLDEST))
            text = f"{self.name}: {self._python} is Python {found}, expected {oldest} or newer"
            return NotStarted(text, fix="install a newer one there, and give its path: python = PATH in the inventory")
        if last.startswith(DAMAGED):
            return ConnectionLost(f"{self.name}: the sources arrived damaged", fix="try again")
        if program.exit_code in (126, 127):
            text = f"{self.name}: {how} ({self._python})"
            return NotStarted(
                text, details=lines, fix="install python3 there, or give its path: python = PATH in the inventory"
            )
        if any(word in last for word in ("No space left", "File too large", "Disk quota")):
            return NotStarted(f"{self.name}: there is no room for the runner: {last}", fix="free some memory there")
        if program.exit_code is None and not isinstance(problem, ConnectionLost):
            return problem
        text = f"{self.name}: {how} before the runner began"
        kind = ConnectionLost if program.exit_code is None else NotStarted
        return kind(text, details=lines, fix=f"look at what `{self._address.command} {self._python} --version` prints")

    def examine(self) -> list[Finding]:
        """See `Device.examine`."""
        try:
            found, _ = self.call("describe")
        except EdgeresError as problem:
            text = "; ".join((problem.message, *problem.details))
            what = "python" if isinstance(problem, NotStarted) else "connection"
            return [Finding(what, text, problem.fix, problem=True)]
        environment, versions = found["environment"], found["environment"]["versions"]
        cores, memory = environment.get("cores"), environment.get("memory_bytes", 0)
        return [
            Finding("connection", str(self._address)),
            Finding("processor", f"{environment.get('cpu')}, {cores} cores, {environment.get('machine')}"),
            Finding("memory", f"{memory / 1e9:.1f} GB"),
            Finding("system", f"{environment.get('os')}, {environment.get('kernel')}"),
            Finding("governor", environment.get("governor", "not told"), *_governor(environment.get("governor"))),
            Finding("python", f"{environment.get('python')} ({found['executable']})"),
            self._numpy(versions, found["executable"]),
            self._runtime(versions, found["executable"]),
            self._room(found["free_bytes"]),
        ]

    def _numpy(self, versions: dict[str, str], python: str) -> Finding:
        if "numpy" in versions:
            return Finding("numpy", versions["numpy"])
        return Finding("numpy", "not installed", f"there: {python} -m pip install numpy", problem=True)

    def _runtime(self, versions: dict[str, str], python: str) -> Finding:
        found = self.available() if "numpy" in versions else Availability(False, why="numpy is missing")
        if found.available:
            return Finding("runtime", str(found.version))
        fix = f"there: {python} -m pip install ai-edge-litert"
        return Finding("runtime", str(found.why), found.fix or fix, problem=True)

    def _room(self, free_bytes: int) -> Finding:
        text = f"{free_bytes / 1e6:,.0f} MB free for temporary files"
        return Finding("storage", text, None if free_bytes >= _NEEDED_BYTES else "free some there")

    def available(self, path: str = "") -> Availability:
        """Whether a model can run there, and the file `path` exists there, where one is given; never raises."""
        try:
            described, _ = self.call("describe")
            if "numpy" not in described["environment"]["versions"]:
                fix = f"there: {described['executable']} -m pip install numpy ai-edge-litert"
                return Availability(False, why=f"numpy is not installed on {self.name}", fix=fix)
            found, _ = self.call("available", arguments={"path": path})
        except EdgeresError as problem:
            return Availability(False, why="; ".join((problem.message, *problem.details)), fix=problem.fix)
        if not found["available"]:
            fix = f"there: {described['executable']} -m pip install ai-edge-litert"
            return Availability(False, found["version"], f"{found['why']} on {self.name}", fix)
        if not found["exists"]:
            fix = "give the path of the delegate's shared object there"
            return Availability(False, why=f"there is no file {path} on {self.name}", fix=fix)
        return Availability(True, version=found["version"])

    def witnessed(self) -> dict[str, Any]:
        """See `Device.witnessed`: everything that a runner notes is in the results."""
        return {}

    def close(self) -> None:
        """See `Device.close`."""
        with self._guard:
            self._disconnect()
            self._link = None

    def _disconnect(self) -> None:
        """End what there is; a link that is lost stays known as such until there is a new one."""
        with self._guard:
            link = self._link
            connection, self._connection = self._connection, None
            if link is not None:
                link.close()
            if connection is not None:
                connection.close()


def _governor(name: str | None) -> tuple[str | None, bool]:
    """What to do for steadier times, which is no problem."""
    if name in (None, "performance"):
        return None, False
    command = "echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"
    return f"for steadier times, there: {command}", False


@dataclass(frozen=True)
class SshScheme:
    """See `targets.devices.device.Scheme`."""

    usage: str = "ssh://USER@HOST/TARGET"

    def check(self) -> Availability:
        """Whether the client is there."""
        if importlib.util.find_spec("asyncssh") is None:
            why = "the package asyncssh is not installed"
            return Availability(available=False, why=why, fix="pip install 'edgeres[ssh]'")
        return Availability(available=True, version=f"asyncssh {metadata.version('asyncssh')}")

    def open(self, entry: Entry) -> Device:
        """The device of an entry."""
        return SshDevice(entry)


SSH = SshScheme()
