from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converters.apps.literals import c_string, json_bytes, markdown
from tests.converters.apps.hostile import BREAKING, HOSTILE

TEXT = st.text(st.characters(exclude_categories=["Cs"]))


def test_there_are_fifty_of_them() -> None:
    assert len(set(HOSTILE)) == 50


@given(TEXT)
def test_json_gives_the_text_back(text: str) -> None:
    content = json_bytes([text])
    assert json.loads(content) == [text]
    assert content.isascii()


@pytest.mark.parametrize("text", [*HOSTILE, *BREAKING], ids=range(len(HOSTILE) + len(BREAKING)))
def test_markdown_shows_a_text_on_one_line_without_markup(text: str) -> None:
    shown = markdown(text)
    assert len(shown.splitlines()) <= 1 or "\n" not in shown
    assert not any(character < " " or "\u202a" <= character <= "\u202e" for character in shown)
    for sign in "<>`|":
        assert shown.count(sign) == shown.count(f"\\{sign}")


@given(TEXT)
def test_a_c_string_has_the_bytes_of_the_text(text: str) -> None:
    literal = c_string(text)
    assert literal.isascii()
    assert literal.isprintable()
    content = re.sub(rb"\\([0-7]{3})", lambda octal: bytes([int(octal[1], 8)]), literal[1:-1].encode())
    assert content == text.encode()
    assert not re.search(r'(?<!\\)"|\?', literal[1:-1])
