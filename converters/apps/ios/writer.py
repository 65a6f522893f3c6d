"""Writes the iOS project."""

from __future__ import annotations

from pathlib import Path

from converters.apps.golden_file import packed
from converters.apps.literals import json_bytes, markdown
from converters.apps.mobile import described, require_bytes_or_floats
from converters.apps.source import Source
from converters.apps.templates import filled, taken_whole
from edgeres.bundle import MODEL

_TEMPLATES = Path(__file__).parent / "templates"
_RESOURCES = "App/Resources"


def write(source: Source) -> dict[str, bytes]:
    """The files of the project; what differs from bundle to bundle lies in its resources.

    Raises:
        ModelError: the model takes or gives something else than float32 or 8 bits.
    """
    require_bytes_or_floats(source)
    golden = source.golden
    return {
        **taken_whole(_TEMPLATES),
        "README.md": filled(_TEMPLATES / "README.md", name=markdown(source.name)),
        f"{_RESOURCES}/app.json": json_bytes(described(source)),
        f"{_RESOURCES}/golden.bin": packed(golden.images, golden.inputs, golden.outputs),
        f"{_RESOURCES}/{MODEL}": source.model,
    }
