"""Android's `adb` client: one program run for each step, with a time limit, and never through a shell on this side.

`adb` says neither that a connection ended nor, on old devices, how a command ended: its exit code is 0 then. So every
command on a device prints a word that nobody else knows behind its own output, and its exit code; without it the
output is not whole. What is looked at, or tidied up, after something has failed has a short time limit of its own: the
failure is told within its time limit and five seconds.
"""

from __future__ import annotations

import re
import secrets
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgeres.errors import ConfigError, TargetError
from edgeres.storage import sha256_bytes
from targets.devices.deadline import Deadline
from targets.devices.device import ConnectionLost
from targets.devices.inventory import shown

PROGRAM = "adb"
INSTALL = "apt-get install adb, or Android's platform tools, with adb on the PATH"

_LOOK_SECONDS = 2.0
"""How long the device's state is waited for once something has failed."""

_PUSH_BYTES_PER_SECOND = 1e6
_MOST_OUTPUT = 16 << 20

_SERIAL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._:-]{0,126}[A-Za-z0-9])?")
_NETWORK = re.compile(r"[A-Za-z0-9.-]+:\d{1,5}")
_SELECTORS = ("usb:", "product:", "model:", "device:", "transport:", "tcp:", "udp:")
"""What `adb -s` takes for something else than a serial number."""

_STATES = {
    "unauthorized": "unlock it, and allow debugging from this computer in the dialog that it shows",
    "authorizing": "unlock it, and allow debugging from this computer in the dialog that it shows",
    "offline": "plug it in again, or: adb reconnect offline",
    "no permissions": "add the udev rules of Android devices, and plug it in again (adb devices -l says which)",
    "recovery": "start its system",
    "sideload": "start its system",
    "bootloader": "start its system",
}
_ABSENT, _MUTE = "not attached any more", "nothing"
_LOST = ("device", "offline", "authorizing", "connecting", _ABSENT, _MUTE)
"""States after a command that did not end of which another cable, or another attempt, may make a good one."""

_NO_ROOM = ("No space left on device", "Disk quota exceeded", "File too large")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_CODE = re.compile(r"\s*([0-9]{1,3})\s*")


@dataclass(frozen=True)
class Patience:
    """Seconds: until a device is ready; for a command there; for a run of a model there.

    A file may take as long as a command, and what its size takes.
    """

    connect: float = 20.0
    command: float = 30.0
    run: float = 120.0


PATIENCE = Patience()


class TimedOut(TargetError):  # noqa: N818 - an event, after which nothing is known of what runs on the device
    """A step has not ended within its time."""


@dataclass(frozen=True)
class Finished:
    """What a command on a device printed, both outputs together, and its exit code."""

    code: int
    text: str

    @property
    def lines(self) -> tuple[str, ...]:
        """The last lines, as an error can print them."""
        found = [shown(line.strip()) for line in self.text.splitlines()]
        return tuple(line for line in found if line)[-8:]


def parse_serial(url: str) -> str:
    """The serial number in `adb://SERIAL`.

    Raises:
        ConfigError: it is none: nothing that comes through here can be an option, a path or a command.
    """
    serial = url.removeprefix("adb://")
    if not url.startswith("adb://") or not _SERIAL.fullmatch(serial) or serial.startswith(_SELECTORS):
        fix = "take SERIAL from the first column of: adb devices"
        raise ConfigError(f"expected adb://SERIAL, found {shown(url)!r}", fix=fix)
    return serial


class Adb:
    """The client, for one device. Everything that goes wrong is a TargetError within the time limit.

    `answers`: whether the device's last step ended in time.
    """

    def __init__(self, serial: str, *, name: str, patience: Patience | None = None) -> None:
        self.serial, self._name = serial, name
        self.patience, self.answers = patience or PATIENCE, True

    def require_ready(self, deadline: Deadline | None = None) -> None:
        """Find the device, connecting to it first where it is in the network.

        Raises:
            TargetError: no adb, no such device, or one that is not ready: says in which state it is.
        """
        deadline = deadline or Deadline(self.patience.connect)
        self._client("start-server", deadline=deadline)
        states = self.states(deadline)
        if _NETWORK.fullmatch(self.serial) and states.get(self.serial) in (None, "offline"):
            self._client("disconnect", self.serial, deadline=deadline)
            self._client("connect", self.serial, deadline=deadline)
            states = self.states(deadline)
        state = states.get(self.serial)
        if state is None:
            known = ", ".join(states) or "none"
            problem = f"{self._name}: adb knows no device with the serial number {self.serial}"
            raise TargetError(problem, details=[f"attached: {known}"], fix="plug it in; see: adb devices")
        if state != "device":
            raise self._unready(state)

    def _unready(self, state: str) -> TargetError:
        fix = next((fix for word, fix in _STATES.items() if word in state), "see: adb devices -l")
        return TargetError(f"{self._name}: the device {self.serial} is {state}", fix=fix)

    def states(self, deadline: Deadline) -> dict[str, str]:
        """Serial number -> state of every device that adb knows."""
        text = self._client("devices", deadline=deadline).stdout
        rows = [line.split("\t", 1) for line in text.splitlines() if "\t" in line]
        return {serial.strip(): shown(state.strip()) for serial, state in rows}

    def shell(self, *words: str, deadline: Deadline | None = None) -> Finished:
        """Run a program there; its words reach it as they are."""
        return self.script(" ".join(map(shlex.quote, words)), deadline=deadline)

    def script(self, text: str, *, deadline: Deadline | None = None) -> Finished:
        """Run a script in the device's shell. Whatever is not this project's own in it has to be quoted.

        Raises:
            ConnectionLost: the output ended before the script did.
            TargetError: no answer in time.
        """
        word = secrets.token_hex(8)
        done = self._client(
            "-s",
            self.serial,
            "shell",
            f"( {text}\n) 2>&1; printf '\\n%s %d\\n' {word} $?",
            deadline=deadline or Deadline(self.patience.command),
        )
        output, mark, ending = done.stdout.replace("\r\n", "\n").rpartition(f"\n{word} ")
        code = _CODE.fullmatch(ending)
        if not mark or code is None:
            raise self._lost(done)
        return Finished(int(code[1]), output)

    def push(self, content: bytes, path: str, *, executable: bool = False) -> None:
        """Write a file there, and have the device hash it.

        Raises:
            ConnectionLost: the connection ended meanwhile.
            TargetError: no room; or what arrived is something else.
        """
        deadline = Deadline(self.patience.command + len(content) / _PUSH_BYTES_PER_SECOND)
        with tempfile.TemporaryDirectory(prefix="edgeres-") as folder:
            local = Path(folder) / "file"
            local.write_bytes(content)
            done = self._client("-s", self.serial, "push", str(local), path, deadline=deadline)
        if done.returncode:
            raise self._file_problem(done)
        there, mode = shlex.quote(path), 700 if executable else 600
        found = self.script(f"sha256sum {there} && chmod {mode} {there}", deadline=deadline)
        if found.code or found.text.split()[:1] != [sha256_bytes(content)]:
            problem = f"{self._name}: a file arrived on the device as other bytes"
            raise TargetError(problem, details=found.lines, fix="try again, with another cable; or look at its storage")

    def pull(self, paths: Sequence[str]) -> list[bytes]:
        """Read files of the device, in their order.

        Raises:
            ConnectionLost: the connection ended meanwhile.
            TargetError: a file that is not there.
        """
        deadline = Deadline(self.patience.command + 2 * len(paths))
        with tempfile.TemporaryDirectory(prefix="edgeres-") as folder:
            done = self._client("-s", self.serial, "pull", *paths, folder, deadline=deadline)
            if done.returncode:
                raise self._file_problem(done)
            try:
                return [(Path(folder) / path.rpartition("/")[2]).read_bytes() for path in paths]
            except OSError:  # adb says that all is well
                raise self._file_problem(done) from None

    def open(self, text: str) -> subprocess.Popen[str]:
        """Start a script in the device's shell, which ends when its input does."""
        return subprocess.Popen(
            [_program(), "-s", self.serial, "shell", text],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,  # an interruption of this program does not end it before the device is cleaned up
        )

    def _client(self, *words: str, deadline: Deadline) -> subprocess.CompletedProcess[str]:
        """Run `adb`.

        Raises:
            TargetError: it is not installed, or has not ended in time.
        """
        with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
            # Files: a server that `adb` starts inherits its outputs, and would keep pipes open.
            try:
                done = subprocess.run(
                    [_program(), *words],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=errors,
                    timeout=deadline.left,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                self.answers = False
                what = next(word for word in words if word not in ("-s", self.serial))
                problem = f"{self._name}: adb {what} has not ended within {deadline.seconds:g} s"
                raise TimedOut(problem, fix="see whether the device hangs; plug it in again") from None
            texts = []
            for file in (output, errors):
                file.seek(0)
                texts.append(file.read(_MOST_OUTPUT).decode("utf-8", "replace"))
        if words[0] == "-s":  # the others are answered by adb's server
            self.answers = True
        return subprocess.CompletedProcess(done.args, done.returncode, *texts)

    def _lost(self, done: subprocess.CompletedProcess[str]) -> TargetError:
        """Why a command's output is not whole."""
        details = _said(done)
        state = self._state_now()
        if state not in _LOST:
            return self._unready(state)
        how = f"adb now says: {state}" if state != "device" else "neither its exit code nor the end of its output came"
        problem = f"{self._name}: the connection ended during a command ({how})"
        return ConnectionLost(problem, details=details, fix="see to the cable, and measure again")

    def _state_now(self) -> str:
        """The device's state after something has failed, for which it is not waited long."""
        try:
            return self.states(Deadline(_LOOK_SECONDS)).get(self.serial, _ABSENT)
        except TimedOut:
            return _MUTE

    def _file_problem(self, done: subprocess.CompletedProcess[str]) -> TargetError:
        details = _said(done)
        text = " ".join(details)
        if any(words in text for words in _NO_ROOM):
            fix = "free some storage there (/data/local/tmp)"
            return TargetError(f"{self._name}: there is no room for a file on the device", details=details, fix=fix)
        if self._state_now() != "device" or any(word in text for word in ("closed", "EOF", "eof", "protocol")):
            problem = f"{self._name}: the connection ended while a file was on its way"
            return ConnectionLost(problem, details=details, fix="see to the cable, and measure again")
        return TargetError(f"{self._name}: a file cannot be passed on", details=details, fix="see what it says")


def _said(done: subprocess.CompletedProcess[str]) -> list[str]:
    text = _CONTROL.sub(" ", done.stderr or done.stdout)
    return [line.strip()[:300] for line in text.splitlines() if line.strip()][-4:]


def _program() -> str:
    found = shutil.which(PROGRAM)
    if found is None:
        raise TargetError("adb, Android's debugging client, is not installed", fix=INSTALL)
    return found
