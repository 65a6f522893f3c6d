"""An SSH connection, and a program at its other end with its input and output as pipes of this process.

One event loop in a thread of its own serves all connections. A host key that is not known is an error; nothing is ever
accepted on sight.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from collections.abc import Coroutine, Sequence
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any, TypeVar

from edgeres.errors import ConfigError, TargetError, require
from targets.devices.address import Address

if TYPE_CHECKING:
    import asyncssh

T = TypeVar("T")

KEEPALIVE_SECONDS = 5
KEEPALIVE_COUNT = 3
"""A server that leaves so many questions unanswered, one every so many seconds, is gone."""

_KEPT = 8192
_LINES = 8

_EXITS = {
    126: "what should be Python there cannot be executed",
    127: "there is no such Python there",
    137: "the runner was killed; where memory is short, by the system",
}


class Unreachable(TargetError):  # noqa: N818 - a state, which may pass
    """Nobody answers at the address; later somebody may."""


class Refused(TargetError):  # noqa: N818 - a state, which a password may end
    """The device does not let this user in."""


@dataclass(frozen=True)
class Login:
    """How to reach and enter a device. `known_hosts`: files of host keys. `seconds`: for all of it."""

    address: Address
    known_hosts: tuple[Path, ...]
    password: str | None = None
    seconds: float = 15.0


def usual_known_hosts() -> tuple[Path, ...]:
    """Where OpenSSH keeps the host keys that a user, and a system, knows."""
    return Path("~/.ssh/known_hosts").expanduser(), Path("/etc/ssh/ssh_known_hosts")


def library() -> Any:
    """The package asyncssh.

    Raises:
        MissingExtraError: it is not installed.
    """
    found = require("asyncssh", extra="ssh", purpose="a device over SSH")
    logging.getLogger("asyncssh").setLevel(logging.ERROR)
    return found


_starting = Lock()


def _loop() -> asyncio.AbstractEventLoop:
    """The one event loop; a cache alone would start several for threads that come at once."""
    with _starting:
        return _started()


@cache
def _started() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    Thread(target=loop.run_forever, name="ssh", daemon=True).start()
    return loop


def _run(work: Coroutine[Any, Any, T], *, seconds: float) -> T:
    """Do it in the event loop's thread.

    Raises:
        asyncio.TimeoutError: not done in time.
    """
    return asyncio.run_coroutine_threadsafe(asyncio.wait_for(work, seconds), _loop()).result()


class Connection:
    """An authenticated connection."""

    def __init__(self, login: Login) -> None:
        """Connect.

        Raises:
            Unreachable: nobody answers.
            TargetError: an unknown host key, a key or password that is refused, no SSH server.
            ConfigError: a configuration of SSH's that cannot be read.
        """
        self._login, self._lost = login, ""
        try:
            self._connection: asyncssh.SSHClientConnection = _run(self._connect(), seconds=login.seconds)
        except (asyncio.TimeoutError, FutureTimeout):
            problem = f"no answer from {login.address} within {login.seconds:g} s"
            raise Unreachable(problem, fix="check that the device is on, and in this network") from None

    async def _connect(self) -> asyncssh.SSHClientConnection:
        ssh, login = library(), self._login
        options: dict[str, Any] = {"port": login.address.port, "username": login.address.user}
        try:
            connection: asyncssh.SSHClientConnection = await ssh.connect(
                login.address.host,
                **{name: value for name, value in options.items() if value is not None},
                known_hosts=_known_hosts(login.known_hosts),
                password=login.password,
                client_factory=lambda: _watcher(self),
                keepalive_interval=KEEPALIVE_SECONDS,
                keepalive_count_max=KEEPALIVE_COUNT,
                connect_timeout=login.seconds,
                login_timeout=login.seconds,
            )
        except (ssh.Error, OSError, ValueError) as problem:
            raise await asyncio.to_thread(_explained, problem, login) from problem
        return connection

    def ended(self, problem: Exception | None) -> None:
        """Keep why the connection ended."""
        self._lost = _sentence(problem) if problem else "the other end closed the connection"

    @property
    def why(self) -> str:
        """Why it ended; empty while it has not."""
        return self._lost

    def program(self, command: str, *, seconds: float) -> Program:
        """Start a program: `command` is what the user's shell there gets.

        Raises:
            TargetError: the server does not start it, or not in time.
        """
        return Program(self, command, seconds=seconds)

    async def process(self, command: str, requests: int, replies: int) -> asyncssh.SSHClientProcess[bytes]:
        """Start it with two pipes: it reads what `requests` gives, and writes to `replies`."""
        return await self._connection.create_process(
            command, stdin=requests, stdout=replies, stderr=library().PIPE, encoding=None, request_pty=False
        )

    def close(self) -> None:
        """End it."""
        _loop().call_soon_threadsafe(self._connection.abort)


class Program:
    """A program on a device. `requests` is written and `replies` is read here; both belong to whoever uses them."""

    def __init__(self, connection: Connection, command: str, *, seconds: float) -> None:
        """Start it; see `Connection.program`."""
        self._connection, self._printed = connection, b""
        theirs, self.requests = os.pipe()
        self.replies, answers = os.pipe()
        try:
            self._process = _run(connection.process(command, theirs, answers), seconds=seconds)
        except (library().Error, OSError, asyncio.TimeoutError, FutureTimeout) as problem:
            for pipe in (theirs, self.requests, self.replies, answers):
                _close(pipe)
            late = isinstance(problem, (asyncio.TimeoutError, FutureTimeout))
            why = connection.why or ("no answer in time" if late else _sentence(problem))
            raise TargetError(f"the device starts no program: {why}", fix="try to log in there by hand") from problem
        self._ended = asyncio.run_coroutine_threadsafe(self._watch(), _loop())

    async def _watch(self) -> None:
        """Keep the end of what it prints until it ends."""
        try:
            while piece := await self._process.stderr.read(1 << 16):
                self._printed = (self._printed + piece)[-_KEPT:]
        finally:
            await self._process.wait_closed()

    def ending(self, *, seconds: float = 2.0) -> tuple[str, Sequence[str]]:
        """How it ended, for which it is waited a little, and the last lines that it printed."""
        deadline = time.monotonic() + seconds
        while not self._ended.done() and time.monotonic() < deadline:
            time.sleep(0.02)
        code, signal = self._process.exit_status, self._process.exit_signal
        if signal is not None:
            how = f"the runner was ended by SIG{signal[0]}"
        elif code is not None:
            how = _EXITS.get(code, f"the runner ended with exit code {code}")
        else:
            how = f"the connection was lost ({self._connection.why or 'the runner ended without an exit code'})"
        return how, self.last_lines()

    @property
    def exit_code(self) -> int | None:
        """Of the program, once it has ended; None where none came."""
        return self._process.exit_status

    def last_lines(self) -> tuple[str, ...]:
        """The last lines that it printed, without control characters."""
        text = "".join(c if c.isprintable() or c == "\n" else " " for c in self._printed.decode("utf-8", "replace"))
        lines = [line.strip()[:300] for line in text.splitlines()]
        return tuple(line for line in lines if line and not line.startswith("INFO:"))[-_LINES:]


def _close(pipe: int) -> None:
    try:
        os.close(pipe)
    except OSError:  # asyncssh has closed it
        return


def _watcher(connection: Connection) -> asyncssh.SSHClient:
    class Watcher(library().SSHClient):  # type: ignore[misc]
        """Hears of the end of a connection."""

        def connection_lost(self, exc: Exception | None) -> None:
            connection.ended(exc)

    watcher: asyncssh.SSHClient = Watcher()
    return watcher


def _known_hosts(files: Sequence[Path]) -> Any:
    """The host keys of all files that are there.

    Raises:
        ConfigError: a file that cannot be read.
    """
    try:
        text = "\n".join(file.read_text(encoding="utf-8", errors="replace") for file in files if file.exists())
    except OSError as problem:
        raise ConfigError(f"a file of host keys cannot be read: {problem}", fix="correct its permissions") from problem
    try:
        return library().import_known_hosts(text)
    except ValueError as problem:
        names = ", ".join(map(str, files))
        raise ConfigError(f"the host keys in {names} cannot be read: {problem}", fix="correct it there") from problem


def _explained(problem: Exception, login: Login) -> TargetError | ConfigError:
    """What the library raised, as what a user can mend."""
    ssh, address = library(), login.address
    if isinstance(problem, (TargetError, ConfigError)):
        return problem
    if isinstance(problem, ssh.HostKeyNotVerifiable):
        return _unverified(login)
    if isinstance(problem, ssh.PermissionDenied):
        fix = f"copy your key there: ssh-copy-id {address.command.removeprefix('ssh ')}"
        given = "neither your keys nor the password" if login.password else "none of your keys"
        return Refused(f"{address} accepts {given}: {_sentence(problem)}", fix=fix)
    if isinstance(problem, socket.gaierror):
        fix = "check the name, or give the IP address"
        return Unreachable(f"{address}: there is no host of that name ({problem.strerror})", fix=fix)
    if isinstance(problem, (OSError, ssh.ConnectionLost)):
        fix = "check that the device is on, and that an SSH server runs there"
        return Unreachable(f"{address} cannot be reached: {_sentence(problem)}", fix=fix)
    if isinstance(problem, ssh.Error):
        return TargetError(f"{address} does not speak SSH with us: {_sentence(problem)}", fix=f"try: {address.command}")
    return ConfigError(f"your configuration of SSH cannot be used: {problem}", fix="correct ~/.ssh/config, or the key")


def _unverified(login: Login) -> TargetError:
    address = login.address
    host = f"[{address.host}]:{address.port}" if address.port not in (None, 22) else address.host
    known = library().match_known_hosts(_known_hosts(login.known_hosts), address.host, address.host, address.port or 22)
    file = login.known_hosts[0]
    if known[0]:
        problem = f"the host key of {address} is not the one in {file}: the device was set up anew, or is another"
        remove = f"ssh-keygen -f {file} -R '{host}'"
        return TargetError(problem, fix=f"if it was set up anew: {remove}; then {address.command}, and compare the key")
    problem = f"the host key of {address} is not known: {file} does not have it"
    where = "on the device, `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` shows its fingerprint"
    fix = f"{address.command}, compare the fingerprint that it shows, and answer yes"
    return TargetError(problem, details=(where,), fix=fix)


def _sentence(problem: BaseException) -> str:
    if isinstance(problem, OSError) and problem.strerror:
        return problem.strerror
    return " ".join(str(getattr(problem, "reason", "") or problem).split())[:200] or type(problem).__name__
