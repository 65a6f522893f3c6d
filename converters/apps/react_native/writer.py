"""Writes the React Native files."""

from __future__ import annotations

from pathlib import Path

from converters.apps import web
from converters.apps.mobile import phone_app
from converters.apps.source import Source
from converters.apps.templates import taken

_TEMPLATES = Path(__file__).parent / "templates"
_WEB = Path(web.__file__).parent / "templates"


def write(source: Source) -> dict[str, bytes]:
    """The files of the app; those of the native projects come from React Native's own command.

    Raises:
        ModelError: the model takes or gives something else than float32 or 8 bits, or its batch is open.
    """
    own = phone_app(source, _TEMPLATES, data="assets", description="description.json")
    return {**own, **taken(_WEB, "preprocess.js")}
