"""The types of a record's fields on every Python that runs this, a device's Python 3.9 among them.

That one has no `|` of types, and `typing.get_type_hints` evaluates annotations as they are written: here `X | None` is
read as `Union[X, None]`, which all of them have.
"""

from __future__ import annotations

import ast
import sys
import typing
from functools import cache
from types import SimpleNamespace
from typing import Any


@cache
def field_types(record: type) -> dict[str, Any]:
    """The type of each field of a dataclass whose module has `from __future__ import annotations`."""
    found: dict[str, Any] = {}
    for owner in reversed(record.__mro__):
        written = vars(owner).get("__annotations__", {})
        spelt = SimpleNamespace(__annotations__={name: _without_bars(text) for name, text in written.items()})
        known = {**vars(sys.modules[owner.__module__]), "Union": typing.Union}
        found.update(typing.get_type_hints(spelt, known))
    return found


def _without_bars(text: str) -> str:
    return ast.unparse(_Unions().visit(ast.parse(text, mode="eval")))


class _Unions(ast.NodeTransformer):
    """Writes `X | Y` as `Union[X, Y]`."""

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        self.generic_visit(node)
        types = ast.Tuple([node.left, node.right], ast.Load())
        return ast.Subscript(ast.Name("Union", ast.Load()), types, ast.Load())
