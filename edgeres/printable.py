"""Text from files, without what a terminal or a page would act on."""

from __future__ import annotations

import logging
import unicodedata


def clean(text: str) -> str:
    """Text without what a page or a terminal would act on: control, surrogate and text-direction characters."""
    return "".join("\N{REPLACEMENT CHARACTER}" if _acts(character) else character for character in text)


def _acts(character: str) -> bool:
    return (
        unicodedata.category(character) in ("Cc", "Cs")
        or "\u202a" <= character <= "\u202e"
        or ("\u2066" <= character <= "\u2069")
        or character in "\u061c\u200e\u200f"
    )


def clean_lines(text: str) -> str:
    """`clean`, which leaves line breaks and tabs."""
    return "".join(character if character in "\n\t" else clean(character) for character in text)


class CleanFormatter(logging.Formatter):
    """What the log says of file and class names reaches the terminal as text alone."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one text."""
        return clean_lines(super().format(record))
