"""Text from outside (labels, names) as a part of generated files: the one place for each language.

Where a language reads JSON at run time (Python, JavaScript) it gets JSON and no literal.
"""

from __future__ import annotations

import json
from typing import Any

from edgeres.report.markdown import escape


def json_bytes(values: Any) -> bytes:
    """JSON in ASCII: a reader gets exactly the text, whatever encoding or line breaks it believes in."""
    return (json.dumps(values, indent=1, ensure_ascii=True, allow_nan=False) + "\n").encode("ascii")


def markdown(text: str) -> str:
    """Text that Markdown shows literally; characters that act on a terminal or turn the direction become U+FFFD."""
    return escape(text)


def c_string(text: str) -> str:
    """A C or C++ string literal whose bytes are the text in UTF-8.

    All but printable ASCII is written in octal: an octal escape ends after three digits, where a hexadecimal one would
    take the next characters along. Question marks too, which could begin a trigraph.
    """
    return '"' + "".join(map(_c_byte, text.encode("utf-8"))) + '"'


def _c_byte(byte: int) -> str:
    character = chr(byte)
    return character if " " <= character <= "~" and character not in '"\\?' else f"\\{byte:03o}"
