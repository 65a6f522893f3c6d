"""A headless Chromium driven through its debugging pipe: messages of JSON, each ended by a zero byte.

No library is needed for that, and no port is open. It stays in this process' group, and ends with it.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
from collections.abc import Sequence
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
"""The descriptors on which Chromium reads and writes."""

_FAR = 20


def executable() -> str | None:
    """The browser that is used here."""
    named = os.environ.get(NAMED)
    return next(filter(None, map(shutil.which, [named] if named else EXECUTABLES)), None)


class Chromium:
    """A browser with one page. `profile`: an empty folder for what it keeps."""

    def __init__(self, path: str, profile: str, switches: Sequence[str] = ()) -> None:
        commands, self._out = _pipe()
        self._in, answers = _pipe()
        root = ("--no-sandbox",) if os.geteuid() == 0 else ()  # it refuses to run as root with its own
        arguments = [path, *_SWITCHES, *root, *switches, f"--user-data-dir={profile}", "about:blank"]
        actions: list[Any] = [(os.POSIX_SPAWN_DUP2, commands, _COMMANDS), (os.POSIX_SPAWN_DUP2, answers, _ANSWERS)]
        inherited = [descriptor for descriptor in _inheritable() if descriptor > _ANSWERS]
        actions[:0] = [(os.POSIX_SPAWN_CLOSE, descriptor) for descriptor in inherited]
        try:
            self._process = os.posix_spawn(path, arguments, os.environ, file_actions=actions)
        except OSError as problem:
            raise TargetError(f"{path} cannot be started: {problem.strerror}") from problem
        for descriptor in (commands, answers):
            os.close(descriptor)
        self._buffer, self._number = b"", 0
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = str(self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"])

    @property
    def version(self) -> str:
        """Its name and version."""
        return str(self.call("Browser.getVersion")["product"])

    def renderers(self) -> list[int]:
        """The ids of the processes that run pages, those that have used the processor most first."""
        found = self.call("SystemInfo.getProcessInfo")["processInfo"]
        pages = sorted((each["cpuTime"], each["id"]) for each in found if each["type"] == "renderer")
        return [int(number) for _, number in reversed(pages)]

    def open(self, address: str, *, ready: str) -> None:
        """Go to an address, and wait until an expression is true there."""
        self._in_page("Page.enable")
        self._in_page("Page.navigate", url=address)
        waiting = (
            f"new Promise(done => {{ const look = () => ({ready}) ? done(true) : setTimeout(look, 20); look(); }})"
        )
        self.evaluate(waiting)

    def evaluate(self, expression: str) -> Any:
        """The value of an expression in the page, once its promise is kept.

        Raises:
            TargetError: it throws.
        """
        for _ in range(100):
            answer = self._in_page("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
            if answer is not None:
                break
        else:
            raise TargetError("the page was loaded anew again and again")
        if "exceptionDetails" in answer:
            thrown = answer["exceptionDetails"]
            text = thrown.get("exception", {}).get("description") or thrown.get("text", "")
            raise TargetError(f"the page failed: {' '.join(str(text).split())[:500]}")
        return answer["result"].get("value")

    def _in_page(self, method: str, **parameters: Any) -> Any:
        return self.call(method, session=self._session, **parameters)

    def call(self, method: str, *, session: str | None = None, **parameters: Any) -> Any:
        """The result of a method of the debugging protocol; None where the page was left meanwhile.

        Raises:
            TargetError: Chromium has ended, or refuses the method.
        """
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        try:
            os.write(self._out, json.dumps(message).encode() + b"\0")
        except BrokenPipeError as problem:
            raise TargetError("Chromium has ended", fix=f"start it by hand, or name another: {NAMED}=PATH") from problem
        while True:
            answer = self._receive()
            if answer.get("id") == self._number:
                if "error" in answer:
                    if "context was destroyed" in str(answer["error"]):
                        return None
                    raise TargetError(f"Chromium refuses {method}: {answer['error'].get('message')}")
                return answer["result"]

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            piece = os.read(self._in, 1 << 20)
            if not piece:
                raise TargetError("Chromium has ended", fix=f"start it by hand, or name another: {NAMED}=PATH")
            self._buffer += piece
        line, _, self._buffer = self._buffer.partition(b"\0")
        found: dict[str, Any] = json.loads(line)
        return found

    def close(self) -> None:
        """End it."""
        with suppress(ProcessLookupError):
            os.kill(self._process, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(self._process, 0)


def _pipe() -> tuple[int, int]:
    """A pipe whose ends are far from the numbers that Chromium wants."""
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
