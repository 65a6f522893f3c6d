"""A study of sensitivity as a table in a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from edgeres.report.terminal import interval, output, plain_table
from edgeres.report.wording import NONE, clean, number
from edgeres.sensitivity import Findings


def print_findings(findings: Findings) -> None:
    """Print what each group costs to stdout, those that hurt most first, and what the recipe comes to."""
    record, console = findings.record, output()
    top1 = interval(record.baseline, " %", factor=100, decimals=1)
    head = f"{record.images:,} images of {record.source}, {record.split} split; top-1 {top1} with all channels"
    console.print(Text(clean(head)))
    heads = (
        "group",
        "channels",
        "MACs",
        *(f"keep {column}" for column in findings.columns),
        "recipe",
    )
    console.print(plain_table(heads, _rows(findings)))
    console.print(Text(_outcome(findings)))


def _rows(findings: Findings) -> Iterator[tuple[str, ...]]:
    for part in findings.ranked:
        cells = [findings.cell(part.name, column) for column in findings.columns]
        drops = [interval(cell.drop_points, "", decimals=1) if cell else NONE for cell in cells]
        share = f"{number(100 * part.macs_share, 1)} %"
        yield (
            part.name,
            str(part.size),
            share,
            *drops,
            findings.chosen.get(part.name, "1"),
        )


def _outcome(findings: Findings) -> str:
    found = findings.together
    if found is None:
        return f"no group can be pruned within {findings.max_drop:g} points by its whole interval"
    return (
        f"recommended, all at once: {number(100 * found.macs_share, 1)} % of the MACs left, "
        f"a drop of {interval(found.drop_points, ' points', decimals=1)} before fine-tuning"
    )
