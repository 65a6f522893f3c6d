from __future__ import annotations

import os
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeres.data.names import is_label, pack

TEXT = st.text(st.characters(exclude_categories=["Cs"])) | st.binary().map(os.fsdecode)


@given(st.lists(st.lists(TEXT)))
def test_what_is_packed_comes_back(groups: list[list[str]]) -> None:
    names = pack(groups)
    flat = [name for group in groups for name in group]
    assert list(names) == flat
    assert len(names) == len(flat)
    assert names[1:3] == flat[1:3]
    if flat:
        assert names[-1] == flat[-1]


def test_beyond_the_end_is_an_error() -> None:
    for index in (2, -3):
        with pytest.raises(IndexError):
            pack([["a", "b"]])[index]


def test_a_million_names_take_about_their_own_length() -> None:
    names = pack([[f"class/{i:06}.png" for i in range(10_000)]])
    held = sys.getsizeof(names._block) + names._ends.nbytes
    assert held < 10_000 * (16 + 8) + 200


@pytest.mark.parametrize(
    ("name", "fits"),
    [("ant eater", True), ("ünï", True), ("", False), (" ", False), ("a\nb", False), ("a\udcffb", False)],
)
def test_labels_are_printable(name: str, fits: bool) -> None:
    assert is_label(name) is fits
