"""Writes the iOS project."""

from __future__ import annotations

from pathlib import Path

from converters.apps.mobile import phone_app
from converters.apps.source import Source

_TEMPLATES = Path(__file__).parent / "templates"


def write(source: Source) -> dict[str, bytes]:
    """The files of the project; what differs from bundle to bundle lies in its resources.

    Raises:
        ModelError: the model takes or gives something else than float32 or 8 bits, or its batch is open.
    """
    return phone_app(source, _TEMPLATES, data="App/Resources")
