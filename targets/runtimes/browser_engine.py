"""The engine in the child for a browser: a server on the loopback, a headless Chromium, and one model on LiteRT.js.

The server answers only below a path that holds a random token. It sends the headers that isolate the page: threads and
a fine clock need them.
"""

from __future__ import annotations

import base64
import json
import secrets
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np

from edgeres.errors import ModelError, TargetError
from targets.memory import reset_peak, resident
from targets.runtimes.chromium import Chromium
from targets.worker import Answer

PAGE = Path(__file__).parent / "page"
_TYPES = {".html": "text/html", ".js": "text/javascript", ".wasm": "application/wasm"}
_COARSE_MS = 0.1
"""The step of a clock that is too coarse to time a model with; an isolated page has 0.005."""

_PEAK_RUNS = 3


class Engine:
    """One model in one page."""

    def __init__(self) -> None:
        self._parts: dict[str, bytes] = {}
        self._chromium: Chromium | None = None

    def load(
        self,
        model: bytes,
        *,
        executable: str,
        profile: str,
        modules: str,
        switches: list[str],
        accelerator: str,
        threads: int,
        ports: dict[str, Any],
    ) -> Answer:
        """Start the browser and load a model; `ports` are those of its file, which are returned.

        `modules`: the folder @litertjs of an npm installation. `profile`: an empty folder for the browser.
        """
        self._parts["model.tflite"] = model
        address = _served(self._parts, Path(modules))
        self._chromium = Chromium(executable, profile, switches)
        self._chromium.open(address, ready="self.measure")
        self._adapter = self._page("adapter()") if accelerator == "webgpu" else None
        if accelerator == "webgpu" and self._adapter is None:
            raise TargetError("the browser finds no WebGPU adapter", fix="use --target browser")
        self._renderer = max(self._chromium.renderers(), key=lambda process: resident(process).now_bytes)
        self._before = resident(self._renderer).now_bytes
        reset_peak(self._renderer)
        shape = {"accelerator": accelerator, "threads": threads, "inputShape": ports["input_shape"]}
        self._loaded = self._page(f"load({json.dumps(shape)})")
        if not self._loaded["isolated"] or self._loaded["clock"] > _COARSE_MS:
            raise TargetError(f"the page's clock has steps of {self._loaded['clock']} ms: it is not isolated")
        self._shape, self._after = ports["input_shape"], resident(self._renderer)
        return ports, ()

    def first(self) -> Answer:
        """Run for the first time; returns a `FirstRun`."""
        found = self._page("first()")
        return {"initialization_ms": self._loaded["initialization"], "first_ms": found}, ()

    def infer(self, batch: bytes) -> Answer:
        """Run float32 inputs, one after the other; returns the float32 outputs, one after the other."""
        size = 4 * int(np.prod(self._shape))
        if not batch or len(batch) % size:
            raise ModelError(f"expected a multiple of {size:,} bytes as input, found {len(batch):,}")
        self._parts["batch"] = batch
        return {}, (base64.b64decode(self._page("infer()")),)

    def time(self, *, runs: int, seconds: float) -> Answer:
        """Run on the last input at least `runs` times and `seconds` long; returns float64 milliseconds."""
        return {}, (np.array(self._page(f"time({json.dumps({'runs': runs, 'seconds': seconds})})"), "<f8").tobytes(),)

    def about(self) -> Answer:
        """What runs the model: the browser, the process of the page, the clock's step, the adapter."""
        if self._chromium is None:
            raise TargetError("no model is loaded")
        return {
            "browser": self._chromium.version,
            "process": self._renderer,
            "clock_ms": self._loaded["clock"],
            "adapter": self._adapter,
            "accelerated": bool(self._loaded["accelerated"]),
        }, ()

    def memory(self) -> Answer:
        """Resident bytes of the page's process before LiteRT.js was loaded, once the model was, and at most."""
        for _ in range(_PEAK_RUNS):
            self._page("first()")
        peak = max(self._after.peak_bytes, resident(self._renderer).peak_bytes)
        return {"before": self._before, "loaded": self._after.now_bytes, "peak": peak}, ()

    def _page(self, call: str) -> Any:
        if self._chromium is None:
            raise TargetError("no model is loaded")
        return self._chromium.evaluate(f"self.measure.{call}")


def _served(parts: dict[str, bytes], modules: Path) -> str:
    """Serve the page, what `parts` holds at the time, and LiteRT.js; returns the page's address."""
    token = secrets.token_urlsafe(16)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, token, parts, modules.resolve()))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}/{token}/index.html"


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, token: str, parts: dict[str, bytes], modules: Path, *given: Any) -> None:
        self._token, self._parts, self._modules = token, parts, modules
        super().__init__(*given)

    def do_GET(self) -> None:
        content = self._content(self.path.partition("?")[0])
        self.send_response(404 if content is None else 200)
        kind = _TYPES.get(Path(self.path).suffix, "application/octet-stream")
        for name, value in (
            ("Content-Type", kind),
            ("Content-Length", str(len(content or b""))),
            ("Cross-Origin-Opener-Policy", "same-origin"),
            ("Cross-Origin-Embedder-Policy", "require-corp"),
            ("Cross-Origin-Resource-Policy", "same-origin"),
            ("Cache-Control", "no-store"),
        ):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content or b"")

    def _content(self, path: str) -> bytes | None:
        """What lies there; None where nothing does, or no one who knows the token asks."""
        _, given, *names = path.split("/")
        if not secrets.compare_digest(given, self._token) or not names or ".." in names:
            return None
        if names[0] == "modules":
            file = self._modules.joinpath(*names[1:])
        elif names[0] in self._parts:
            return self._parts[names[0]]
        else:
            file = PAGE / names[0]
        return file.read_bytes() if file.is_file() else None

    def log_message(self, *_: object) -> None:
        """Nothing: what the child writes is kept for errors."""
