"""Tables of plug-ins: plain dicts from a name to `"module:attribute"`, resolved when first used.

Nothing registers itself and nothing happens at import: to add an entry, write one file and one line in its table.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from edgeres.errors import EdgeresError, suggestion


def resolve(reference: str) -> Any:
    """The object that `"module:attribute"` names."""
    module, _, attribute = reference.partition(":")
    return getattr(importlib.import_module(module), attribute)


def lookup(table: Mapping[str, str], name: str, *, noun: str, error: type[EdgeresError]) -> Any:
    """Resolve `name` in `table`.

    Raises:
        EdgeresError: of the given type, with the nearest match, when the table has no such name.
    """
    require_known(table, name, noun=noun, error=error)
    return resolve(table[name])


def require_known(table: Mapping[str, str], name: str, *, noun: str, error: type[EdgeresError]) -> None:
    """Refuse a name that `table` does not have, importing nothing.

    Raises:
        EdgeresError: of the given type, with the nearest match.
    """
    if name not in table:
        raise error(f"unknown {noun} '{name}'", fix=suggestion(name, table))
