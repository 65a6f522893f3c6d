"""Writes the page for browsers."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from converters.apps.golden_file import packed
from converters.apps.literals import json_bytes, markdown
from converters.apps.source import Source
from converters.apps.templates import filled, taken
from edgeres.bundle import MODEL
from edgeres.errors import ModelError

_TEMPLATES = Path(__file__).parent / "templates"
_AS_THEY_ARE = (
    "app.js", "classifier.js", "golden.js", "icon.svg", "package-lock.json", "package.json", "preprocess.js",
    "serve.py", "style.css", "sw.js",
)  # fmt: skip


def write(source: Source) -> dict[str, bytes]:
    """The files of the app; LiteRT.js comes from `npm ci`, by the lock file among them.

    Raises:
        ModelError: the model takes or gives something else than float32, or an open batch: LiteRT.js refuses it.
    """
    _require_floats(source)
    golden = source.golden
    return {
        **taken(_TEMPLATES, *_AS_THEY_ARE),
        "README.md": filled(_TEMPLATES / "README.md", name=markdown(source.name)),
        "app.json": json_bytes(source.description()),
        "golden.bin": packed(golden.images, golden.inputs, golden.outputs),
        "index.html": _page(),
        "manifest.webmanifest": json_bytes(_manifest(source.name)),
        MODEL: source.model,
    }


def _require_floats(source: Source) -> None:
    for noun, tensor in (("takes", source.input), ("gives", source.output)):
        if tensor.dtype != "float32":
            raise ModelError(
                f"{source.bundle.path}: the model {noun} {tensor.dtype}, LiteRT.js needs float32",
                fix="convert with a float recipe, or int8 inside alone: --recipe int8 --set quantize.io=float32",
            )
        if -1 in tensor.signature:
            raise ModelError(
                f"{source.bundle.path}: '{tensor.name}' has an open batch, LiteRT.js needs 1", fix="convert it here"
            )


def _page() -> bytes:
    """index.html; its policy lets the import map run, which no other file can hold, and no other inline code."""
    imports = (_TEMPLATES / "import_map.json").read_text(encoding="utf-8").strip()
    digest = base64.b64encode(hashlib.sha256(imports.encode("utf-8")).digest()).decode("ascii")
    return filled(_TEMPLATES / "index.html", import_map=imports, import_map_hash=f"sha256-{digest}")


def _manifest(name: str) -> dict[str, object]:
    """The web app manifest (W3C): what a phone needs to install the page."""
    icon = {"src": "icon.svg", "sizes": "any", "type": "image/svg+xml"}
    return {
        "name": name,
        "short_name": name[:12],
        "start_url": ".",
        "display": "standalone",
        "background_color": "#f6f7f9",
        "theme_color": "#f6f7f9",
        "icons": [{**icon, "purpose": "any"}, {**icon, "purpose": "maskable"}],
    }
