"""A headless Chromium driven through its debugging pipe: what a page logs, requests, draws and measures."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import select
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

EXECUTABLE = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

_SWITCHES = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--disable-dev-shm-usage",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
    "--hide-scrollbars",
    "--use-fake-device-for-media-stream",  # a camera that shows a test picture
    "--use-fake-ui-for-media-stream",
    "--remote-debugging-pipe",
)
_SECONDS = 60


@dataclass
class Page:
    """A tab. `problems`: console errors, warnings and exceptions. `requests`: every address that was asked for."""

    chromium: Chromium
    session: str
    target: str
    problems: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def call(self, method: str, **parameters: Any) -> Any:
        return self.chromium.call(method, session=self.session, **parameters)

    def open(self, place: Path | str, *, width: int = 1280, height: int = 900, dark: bool = False) -> None:
        """Load a file or an address at a window size in CSS pixels and wait until its scripts have run."""
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500
        )
        self.prefer("dark" if dark else "light")
        self.call("Page.navigate", url=place.as_uri() if isinstance(place, Path) else place)
        self.chromium.wait("Page.loadEventFired", self.session)
        self.evaluate("new Promise(done => requestAnimationFrame(() => setTimeout(done, 100)))")

    def close(self) -> None:
        self.chromium.call("Target.closeTarget", targetId=self.target)

    def prefer(self, scheme: str) -> None:
        """Set `prefers-color-scheme`; only a tab in front is painted again."""
        self.call("Page.bringToFront")
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def evaluate(self, expression: str) -> Any:
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"])
        return answer["result"].get("value")

    def screenshot(self, path: Path, **clip: float) -> None:
        """Save the whole page, or a part of it (x, y, width, height), as PNG."""
        self.call("Page.bringToFront")
        area = {"clip": {**clip, "scale": 1}} if clip else {}
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=True, **area)
        path.write_bytes(base64.b64decode(shot["data"]))

    def note(self, method: str, values: dict[str, Any]) -> None:
        if method == "Runtime.consoleAPICalled" and values["type"] in ("error", "warning", "assert"):
            self.problems.append(str(values["args"]))
        elif method == "Runtime.exceptionThrown":
            self.problems.append(str(values["exceptionDetails"]))
        elif method == "Log.entryAdded" and values["entry"]["level"] in ("error", "warning"):
            self.problems.append(str(values["entry"]))
        elif method == "Network.requestWillBeSent":
            self.requests.append(values["request"]["url"])


class Chromium:
    """The browser process: JSON messages, each ended by a zero byte, on its file descriptors 3 and 4."""

    def __init__(self, profile: Path) -> None:
        commands, self._out = _pipe()
        self._in, answers = _pipe()
        log = os.open(profile.with_suffix(".log"), os.O_WRONLY | os.O_CREAT, 0o600)
        arguments = [str(EXECUTABLE), *_SWITCHES, f"--user-data-dir={profile}"]
        actions = [
            (os.POSIX_SPAWN_DUP2, log, 2),  # first: its own number may be 3 or 4
            (os.POSIX_SPAWN_DUP2, commands, 3),
            (os.POSIX_SPAWN_DUP2, answers, 4),
        ]
        self._process = os.posix_spawn(arguments[0], arguments, os.environ, file_actions=actions, setpgroup=0)
        for handle in (commands, answers, log):
            os.close(handle)
        self._buffer = b""
        self._number = 0
        self._events: list[tuple[str, str]] = []
        self._pages: dict[str, Page] = {}

    def page(self) -> Page:
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self._pages[session] = Page(self, session, target)
        return self._pages[session]

    def call(self, method: str, *, session: str | None = None, **parameters: Any) -> Any:
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]

    def wait(self, method: str, session: str) -> None:
        while (method, session) not in self._events:
            self._receive()
        self._events.remove((method, session))

    def close(self) -> None:
        with contextlib.suppress(OSError):
            os.killpg(self._process, signal.SIGKILL)
        os.waitpid(self._process, 0)
        os.close(self._out)
        os.close(self._in)

    def _receive(self) -> dict[str, Any]:
        end = time.monotonic() + _SECONDS
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._in], [], [], max(0.0, end - time.monotonic()))
            piece = os.read(self._in, 1 << 20) if ready else b""
            if not piece:
                raise RuntimeError("Chromium does not answer" if not ready else "Chromium ended")
            self._buffer += piece
        line, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        if "method" in message and (session := message.get("sessionId")):
            self._events.append((message["method"], session))
            self._pages[session].note(message["method"], message["params"])
        return message


def _pipe() -> tuple[int, int]:
    """A pipe whose two ends are far from 3 and 4, which the child needs."""
    ends = os.pipe()
    moved = tuple(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 20) for end in ends)
    for end in ends:
        os.close(end)
    return moved[0], moved[1]


@contextlib.contextmanager
def running(profile: Path) -> Iterator[Chromium]:
    """A browser with a profile of its own that is gone when the block ends."""
    chromium = Chromium(profile)
    try:
        yield chromium
    finally:
        chromium.close()
