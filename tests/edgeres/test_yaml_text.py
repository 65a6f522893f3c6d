from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeres.yaml_text import MAX_BYTES, parse_yaml, read_yaml


def test_plain_yaml_is_read() -> None:
    text = "base: &b {rate: 0.1}\nsteps:\n  - <<: *b\n    step: prune\n  - *b\n"
    assert parse_yaml(text) == {"base": {"rate": 0.1}, "steps": [{"rate": 0.1, "step": "prune"}, {"rate": 0.1}]}
    assert parse_yaml("") is None
    assert parse_yaml("true") is True


def nested(line: str, levels: int) -> str:
    """Each level names the one before it nine times."""
    return "a0: &a0 {k: v}\n" + "".join(
        line.format(at=at, below=", ".join([f"*a{at - 1}"] * 9)) for at in range(1, levels)
    )


BOMBS = {
    "lists": nested("a{at}: &a{at} [{below}]\n", 12),
    "merges": nested("a{at}: &a{at}\n  <<: [{below}]\n", 12),
    "itself": "a: &a [1, *a]",
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_aliases_that_stand_for_too_much_are_refused(bomb: str) -> None:
    with pytest.raises(ValueError, match="stand for more than 100,000 values"):
        parse_yaml(BOMBS[bomb])


@pytest.mark.parametrize(
    "text",
    ["a: [1", "!!python/object/apply:os.system [echo]", "!!python/name:os.system", "a: b: c", "[" * 5000, "\x00",
     "2001-99-99", "!!int ''", "? {a: b}\n: c", "a: 1\n---\nb: 2", "!!bool x", "!!float ''", "1" * 5000],
)  # fmt: skip
def test_what_is_no_plain_yaml_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(ValueError, match=r"^[^\n]+$"):
        parse_yaml(text)


def test_a_tag_that_names_code_runs_nothing(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    with pytest.raises(ValueError, match="could not determine a constructor"):
        parse_yaml(f"name: !!python/object/apply:os.mkdir [{mark}]")
    assert not mark.exists()


def test_only_regular_files_of_a_modest_size_are_read(tmp_path: Path) -> None:
    long = tmp_path / "long.yaml"
    long.write_text("#" * (MAX_BYTES + 1))
    with pytest.raises(ValueError, match="more than 1,048,576 bytes"):
        read_yaml(long)
    pipe = tmp_path / "pipe.yaml"
    os.mkfifo(pipe)
    with pytest.raises(ValueError, match="no regular file"):
        read_yaml(pipe)


@settings(max_examples=300, deadline=None)
@given(st.text("abc&*<>:-?!|[]{},.'\"\\#%@ \n\t0123456789~=eE+_", max_size=80))
def test_any_text_gives_values_or_a_value_error(text: str) -> None:
    try:
        parse_yaml(text)
    except ValueError:
        return
