"""A headless Chromium with one page, in which a model is measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgeres.errors import TargetError
from targets.runtimes.devtools import DevTools, PageLeftError


class Chromium:
    """A browser with one page. `profile`: an empty folder for what it keeps."""

    def __init__(self, path: str, profile: str, switches: Sequence[str] = ()) -> None:
        self._tools = DevTools(path, profile, switches)
        self._session = self._tools.page()
        self.close = self._tools.close

    @property
    def version(self) -> str:
        """Its name and version."""
        return str(self._tools.call("Browser.getVersion")["product"])

    def renderers(self) -> list[int]:
        """The ids of the processes that run pages, those that have used the processor most first."""
        found = self._tools.call("SystemInfo.getProcessInfo")["processInfo"]
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
            try:
                answer = self._in_page("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
            except PageLeftError:
                continue
            break
        else:
            raise TargetError("the page was loaded anew again and again")
        if "exceptionDetails" in answer:
            thrown = answer["exceptionDetails"]
            text = thrown.get("exception", {}).get("description") or thrown.get("text", "")
            raise TargetError(f"the page failed: {' '.join(str(text).split())[:500]}")
        return answer["result"].get("value")

    def _in_page(self, method: str, **parameters: Any) -> Any:
        return self._tools.call(method, session=self._session, **parameters)
