"""YAML that a person wrote, read as data: no tags that name code, and no document larger than it looks.

Nine lines of aliases to aliases stand for a billion values. PyYAML keeps them as one value each, until something walks
or prints them, or until a merge key (`<<`) writes them out: so they are counted before anything is built.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from edgeres.storage import read_limited

MAX_BYTES = 1 << 20
"""A longer file is refused; the longest recipe has a few hundred lines."""

MAX_VALUES = 100_000
"""So many values may a document stand for, its aliases written out."""

# The last four: what PyYAML lets through where a value does not fit its tag, as in `!!int ''`.
_UNREADABLE = (yaml.YAMLError, RecursionError, OverflowError, LookupError, TypeError, AttributeError)


def parse_yaml(text: str) -> Any:
    """The values of one YAML document.

    Raises:
        ValueError: it is none, has a tag other than YAML's own, or is larger than it looks; in one line.
    """
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _require_modest(node)
        return loader.construct_document(node)
    except _UNREADABLE as problem:
        raise ValueError(" ".join(f"{problem}".split()) or "not YAML") from problem


def read_yaml(path: Path) -> Any:
    """The values of a YAML file.

    Raises:
        ValueError: see `parse_yaml`; or it is not UTF-8, too long, or no regular file.
        OSError: it cannot be read.
    """
    return parse_yaml(read_limited(path, MAX_BYTES).decode("utf-8"))


def _require_modest(document: yaml.Node) -> None:
    """Count the values with every alias written out; one that holds itself has no end."""
    waiting, count = [document], 0
    while waiting:
        node = waiting.pop()
        count += 1
        if count > MAX_VALUES:
            raise ValueError(f"its aliases (*name) stand for more than {MAX_VALUES:,} values")
        if isinstance(node, yaml.MappingNode):
            waiting += [part for pair in node.value for part in pair]
        elif isinstance(node, yaml.SequenceNode):
            waiting += node.value
