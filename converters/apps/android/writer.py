"""Writes the Android project."""

from __future__ import annotations

from pathlib import Path

from converters.apps.golden_file import packed
from converters.apps.literals import json_bytes, markdown
from converters.apps.mobile import described, require_bytes_or_floats
from converters.apps.source import Source
from converters.apps.templates import filled, taken_whole
from edgeres.bundle import MODEL

_TEMPLATES = Path(__file__).parent / "templates"
_ASSETS = "app/src/main/assets"


def write(source: Source) -> dict[str, bytes]:
    """The files of the project; what differs from bundle to bundle lies in its assets.

    Raises:
        ModelError: the model takes or gives a type that LiteRT's Kotlin interface has no buffer for.
    """
    require_bytes_or_floats(source)
    golden = source.golden
    return {
        **taken_whole(_TEMPLATES),
        "README.md": filled(_TEMPLATES / "README.md", name=markdown(source.name)),
        f"{_ASSETS}/app.json": json_bytes(described(source)),
        f"{_ASSETS}/golden.bin": packed(golden.images, golden.inputs, golden.outputs),
        f"{_ASSETS}/{MODEL}": source.model,
    }
