"""Writes the Python app."""

from __future__ import annotations

from pathlib import Path

from converters.apps.literals import json_bytes, markdown
from converters.apps.source import Source
from converters.apps.templates import filled
from edgeres.bundle import GOLDEN, MODEL

_TEMPLATES = Path(__file__).parent / "templates"


def write(source: Source) -> dict[str, bytes]:
    """The files of the app: the script, what it reads, and what it needs installed."""
    return {
        "README.md": filled(_TEMPLATES / "README.md", name=markdown(source.name)),
        "app.json": json_bytes(source.description()),
        "classify.py": (_TEMPLATES / "classify.py").read_bytes(),
        "requirements.txt": (_TEMPLATES / "requirements.txt").read_bytes(),
        MODEL: source.model,
        GOLDEN: source.bundle.read(GOLDEN),
    }
