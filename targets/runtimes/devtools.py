"""A browser's debugging pipe: messages of JSON, each ended by a zero byte, on its descriptors 3 and 4.

No library is needed for that, and no port is open. See https://chromedevtools.github.io/devtools-protocol.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import shutil
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from edgeres.errors import TargetError

EXECUTABLES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
NAMED = "EDGERES_CHROMIUM"
"""The environment variable with the path of another one."""

_SWITCHES = (
    "--headless",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-breakpad",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-quic",
    "--disable-sync",
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
    "--remote-debugging-pipe",
)
_COMMANDS, _ANSWERS = 3, 4
"""The descriptors on which the browser reads and writes."""

_FAR = 20
_MEND = f"start it by hand, or name another: {NAMED}=PATH"

Event = Callable[[dict[str, Any]], None]
"""Told of each message that is no answer: its `method`, `params` and `sessionId`."""


def executable() -> str | None:
    """The browser that is used here."""
    named = os.environ.get(NAMED)
    return next(filter(None, map(shutil.which, [named] if named else EXECUTABLES)), None)


class PageLeftError(TargetError):
    """The page was left while it was asked something."""


class DevTools:
    """A headless browser. It stays in this process' group, and ends with it.

    `profile`: an empty folder for what it keeps. `heard`: told of events. `log`: a file for what it prints. `seconds`:
    how long it may be silent while an answer is awaited; None for as long as it takes.
    """

    def __init__(
        self,
        path: str,
        profile: str,
        switches: Sequence[str] = (),
        *,
        heard: Event = lambda _: None,
        log: Path | None = None,
        seconds: float | None = None,
    ) -> None:
        self._heard, self._seconds = heard, seconds
        self._buffer, self._number = b"", 0
        commands, self._out = _pipe()
        self._in, answers = _pipe()
        root = ("--no-sandbox",) if os.geteuid() == 0 else ()  # it refuses to run as root with its own
        arguments = [path, *_SWITCHES, *root, *switches, f"--user-data-dir={profile}", "about:blank"]
        actions: list[Any] = [(os.POSIX_SPAWN_CLOSE, number) for number in _inheritable() if number > _ANSWERS]
        if log is not None:
            actions.append((os.POSIX_SPAWN_OPEN, 2, str(log), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
        actions += [(os.POSIX_SPAWN_DUP2, commands, _COMMANDS), (os.POSIX_SPAWN_DUP2, answers, _ANSWERS)]
        try:
            self._process = os.posix_spawn(path, arguments, os.environ, file_actions=actions)
        except OSError as problem:
            raise TargetError(f"{path} cannot be started: {problem.strerror}") from problem
        finally:
            os.close(commands)
            os.close(answers)

    def page(self) -> str:
        """A new page: the session to call methods in."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        return str(self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"])

    def call(self, method: str, *, session: str | None = None, **parameters: Any) -> Any:
        """The result of a method of the debugging protocol.

        Raises:
            PageLeftError: the page of the session was left meanwhile.
            TargetError: the browser has ended, is silent, or refuses the method.
        """
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        try:
            os.write(self._out, json.dumps(message).encode() + b"\0")
        except BrokenPipeError as problem:
            raise TargetError("Chromium has ended", fix=_MEND) from problem
        while True:
            answer = self.receive()
            if answer.get("id") == self._number:
                if "error" in answer:
                    kind = PageLeftError if "context was destroyed" in str(answer["error"]) else TargetError
                    raise kind(f"Chromium refuses {method}: {answer['error'].get('message')}")
                return answer["result"]

    def receive(self) -> dict[str, Any]:
        """The next message, of which `heard` is told where it is an event.

        Raises:
            TargetError: the browser has ended, or is silent.
        """
        while b"\0" not in self._buffer:
            if not select.select([self._in], [], [], self._seconds)[0]:
                raise TargetError(f"Chromium said nothing for {self._seconds:g} s", fix=_MEND)
            piece = os.read(self._in, 1 << 20)
            if not piece:
                raise TargetError("Chromium has ended", fix=_MEND)
            self._buffer += piece
        line, _, self._buffer = self._buffer.partition(b"\0")
        found: dict[str, Any] = json.loads(line)
        if "method" in found:
            self._heard(found)
        return found

    def close(self) -> None:
        """End it."""
        with suppress(ProcessLookupError):
            os.kill(self._process, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(self._process, 0)
        os.close(self._out)
        os.close(self._in)


def _pipe() -> tuple[int, int]:
    """A pipe whose ends are far from the numbers that the browser wants."""
    ends = os.pipe()
    moved = tuple(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, _FAR) for end in ends)
    for end in ends:
        os.close(end)
    return moved[0], moved[1]


def _inheritable() -> list[int]:
    """What a new process would take over: the pipes to this one's parent must end with this one."""
    found = []
    for path in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            if os.get_inheritable(int(path.name)):
                found.append(int(path.name))
    return found
