"""A model's measurements over time, as a table in a terminal: what can be compared is, and the rest is told apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence

from rich.table import Table

from edgeres.history import Entry
from edgeres.report.terminal import plain_table
from edgeres.report.wording import NONE, number, size

HIGHER, LOWER, SAME = "↑", "↓", "="
"""Against the entry before that it may be compared with: the whole interval lies higher, lower, or overlaps."""


def models_table(entries: Sequence[Entry]) -> Table:
    """Every artifact of a history: how often it was measured, and when first and last."""
    counts = Counter(entry.artifact for entry in entries)
    rows = []
    for name, count in counts.items():
        days = [entry.created for entry in entries if entry.artifact == name]
        rows.append((name, str(count), days[0], days[-1]))
    return plain_table(("artifact", "measured", "first", "last"), rows)


def trend_table(entries: Sequence[Entry]) -> Table:
    """One artifact's entries, oldest first, each figure with how it stands to the one before it.

    Accuracies are compared on the same images, times on the same machine, target and threads: letters name them.
    Drop and speed-up need the same baseline, too.
    """
    machines, images = (
        _letters([entry.machine for entry in entries]),
        _letters([entry.data_sha256 for entry in entries]),
    )
    heads = (
        "when",
        "edgeres",
        "machine",
        "target",
        "images",
        "size",
        "top-1",
        "drop",
        "verdict",
        "p50",
        "speed-up",
        "",
    )
    rows = []
    for place, entry in enumerate(entries):
        before = entries[:place]
        same_images = [each for each in before if each.data_sha256 == entry.data_sha256]
        alike = [each for each in before if _conditions(each) == _conditions(entry)]
        drops, speedups = (
            [each for each in chosen if each.baseline_sha256 == entry.baseline_sha256]
            for chosen in (same_images, alike)
        )
        rows.append(
            (
                entry.created,
                entry.edgeres,
                f"{machines[entry.machine]}: {entry.cpu}",
                entry.target,
                NONE if entry.data_sha256 is None else f"{images[entry.data_sha256]}: {entry.images:,}",
                size(entry.size_bytes),
                _figure(entry.top1, " %", [each.top1 for each in same_images], factor=100),
                _figure(entry.drop_points, " points", [each.drop_points for each in drops]),
                entry.accuracy_verdict or NONE,
                _figure(entry.p50_ms, " ms", [each.p50_ms for each in alike], decimals=3),
                _figure(entry.speedup, "x", [each.speedup for each in speedups]),
                entry.latency_verdict or NONE,
            )
        )
    return plain_table(heads, rows)


def _conditions(entry: Entry) -> tuple[Hashable, ...]:
    return entry.machine, entry.target, entry.threads


def _letters(values: Sequence[Hashable]) -> dict[Hashable, str]:
    """A, B, C … for values in the order in which they come up; 27 and on by number."""
    distinct = dict.fromkeys(value for value in values if value is not None)
    return {value: chr(65 + place) if place < 26 else str(place + 1) for place, value in enumerate(distinct)}


def _figure(
    figure: tuple[float, float, float] | None,
    unit: str,
    before: Sequence[tuple[float, float, float] | None],
    *,
    factor: float = 1,
    decimals: int = 2,
) -> str:
    if figure is None:
        return NONE
    value, low, high = (number(end * factor, decimals) for end in figure)
    last = next((each for each in reversed(before) if each is not None), None)
    return f"{value}{unit} [{low}, {high}]{'' if last is None else f' {_against(figure, last)}'}"


def _against(figure: tuple[float, float, float], last: tuple[float, float, float]) -> str:
    if figure[1] > last[2]:
        return HIGHER
    return LOWER if figure[2] < last[1] else SAME
