"""The comparison of two results as the texts of tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from edgeres.report.wording import NONE, interval, size
from edgeres.results import Estimate
from targets.comparison import Comparison, Row

_UNITS = {"top-1": (" %", 100.0, 2), "p50": (" ms", 1.0, None), "speed-up": ("x", 1.0, 2)}

Texts = tuple[tuple[str, ...], list[tuple[str, ...]]]
"""The heads of a table, and its rows."""


def comparison_tables(found: Comparison) -> Iterator[Texts]:
    """What differs around the measurements, where anything does, and every figure of both."""
    around: list[tuple[str, ...]] = [
        (kind, change.what, _short(change.before), _short(change.after))
        for kind, changes in (("environment", found.environment), ("data", found.data), ("model", found.models))
        for change in changes
    ]
    around += [("artifact", name, "measured", NONE) for name in found.only_before]
    around += [("artifact", name, NONE, "measured") for name in found.only_after]
    if around:
        yield ("differs", "", "before", "after"), around
    if found.rows:
        rows: list[tuple[str, ...]] = [
            (row.artifact, row.target, row.figure, _value(row, row.before), _value(row, row.after), _conclusion(row))
            for row in found.rows
        ]
        yield ("artifact", "target", "figure", "before", "after", "change"), rows


def _value(row: Row, value: Estimate | float) -> str:
    if isinstance(value, Estimate):
        unit, factor, decimals = _UNITS[row.figure]
        return interval(value, unit, factor=factor, decimals=decimals)
    return size(round(value))


def _conclusion(row: Row) -> str:
    if row.basis == "paired":
        return f"drop {interval(row.change, ' points', decimals=2)}, McNemar p {row.p:.2g}"
    if row.basis == "exact":
        return _exact(row)
    if row.basis == "side by side":
        return "not measured in the same rounds: no conclusion"
    return f"not comparable: {row.why}"


def _exact(row: Row) -> str:
    if row.before == row.after or isinstance(row.before, Estimate) or isinstance(row.after, Estimate):
        return "none"
    return f"{100 * (row.after / row.before - 1):+.1f} %" if row.before else "from nothing"


def _short(value: Any) -> str:
    if value is None:
        return NONE
    text = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
    return text if len(text) <= 60 else f"{text[:59]}…"
