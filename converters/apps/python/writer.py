"""Writes the Python app."""

from __future__ import annotations

from pathlib import Path

from converters.apps.literals import json_bytes, markdown
from converters.apps.source import Source
from converters.apps.templates import filled, taken
from edgeres.bundle import GOLDEN, MODEL

_TEMPLATES = Path(__file__).parent / "templates"


def write(source: Source) -> dict[str, bytes]:
    """The files of the app: the script, what it reads, and what it needs installed."""
    return {
        **taken(_TEMPLATES, "classify.py", "requirements.txt"),
        "README.md": filled(_TEMPLATES / "README.md", name=markdown(source.name)),
        "app.json": json_bytes(source.description()),
        MODEL: source.model,
        GOLDEN: source.bundle.read(GOLDEN),
    }
