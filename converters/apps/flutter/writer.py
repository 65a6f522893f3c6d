"""Writes the Flutter files."""

from __future__ import annotations

from pathlib import Path

from converters.apps.mobile import phone_app
from converters.apps.source import Source

_TEMPLATES = Path(__file__).parent / "templates"


def write(source: Source) -> dict[str, bytes]:
    """The files of the app; those of the native projects come from `flutter create`.

    Raises:
        ModelError: the model takes or gives something else than float32 or 8 bits, or its batch is open.
    """
    return phone_app(source, _TEMPLATES, data="assets")
