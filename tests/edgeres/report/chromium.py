"""A headless Chromium driven through its debugging pipe: what pages log, request, draw and measure."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from targets.runtimes.devtools import DevTools, executable

EXECUTABLE = executable()

_SWITCHES = (
    "--no-sandbox",
    "--disable-gpu",
    "--hide-scrollbars",
    "--use-fake-device-for-media-stream",  # a camera that shows a test picture
    "--use-fake-ui-for-media-stream",
)
_SECONDS = 60


@dataclass
class Page:
    """A tab. `problems`: console errors, warnings and exceptions. `requests`: every address that was asked for."""

    chromium: Chromium
    session: str
    problems: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def call(self, method: str, **parameters: Any) -> Any:
        return self.chromium.tools.call(method, session=self.session, **parameters)

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
        self.call("Page.close")

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
    """A browser with any number of pages, which are told of their own events."""

    def __init__(self, profile: Path) -> None:
        log = profile.with_suffix(".log")
        self.tools = DevTools(str(EXECUTABLE), str(profile), _SWITCHES, heard=self._heard, log=log, seconds=_SECONDS)
        self._events: list[tuple[str, str]] = []
        self._pages: dict[str, Page] = {}

    def page(self) -> Page:
        session = self.tools.page()
        self._pages[session] = Page(self, session)
        return self._pages[session]

    def wait(self, method: str, session: str) -> None:
        while (method, session) not in self._events:
            self.tools.receive()
        self._events.remove((method, session))

    def _heard(self, event: dict[str, Any]) -> None:
        session = event.get("sessionId")
        if session in self._pages:
            self._events.append((event["method"], session))
            self._pages[session].note(event["method"], event["params"])


@contextlib.contextmanager
def running(profile: Path) -> Iterator[Chromium]:
    """A browser with a profile of its own that is gone when the block ends."""
    chromium = Chromium(profile)
    try:
        yield chromium
    finally:
        chromium.tools.close()
