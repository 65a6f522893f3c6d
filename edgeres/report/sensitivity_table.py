"""A study of sensitivity as a table in a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from edgeres.printable import clean
from edgeres.report.sensitivity_wording import recommended, wording_of
from edgeres.report.terminal import output, plain_table
from edgeres.report.wording import NONE, interval, number
from edgeres.sensitivity import Cell, Findings


def print_findings(findings: Findings) -> None:
    """Print what each group costs to stdout, those that hurt most first, and what the recipe comes to."""
    record, console = findings.record, output()
    top1 = interval(record.baseline, " %", factor=100, decimals=1)
    words = wording_of(findings)
    head = f"{record.images:,} images of {record.source}, {record.split} split; top-1 {top1} {words.unchanged}"
    console.print(Text(clean(head)))
    heads = (
        words.part,
        words.size,
        words.work,
        *(f"{words.column}{column}" for column in findings.columns),
        "recipe",
    )
    console.print(plain_table(heads, _rows(findings)))
    console.print(Text(_outcome(findings)))
    for remark in findings.remarks:
        console.print(Text(clean(remark)))


def _rows(findings: Findings) -> Iterator[tuple[str, ...]]:
    for part in findings.ranked:
        cells = [findings.cell(part.name, column) for column in findings.columns]
        drops = [_drop(cell) for cell in cells]
        share = f"{number(100 * part.macs_share, 1)} %"
        yield (
            part.name,
            str(part.size),
            share,
            *drops,
            recommended(findings, part.name),
        )


def _drop(cell: Cell | None) -> str:
    if cell is None:
        return NONE
    noise = f" {number(cell.sqnr_db, 1)} dB" if cell.sqnr_db is not None else ""
    return interval(cell.drop_points, "", decimals=1) + noise


def _outcome(findings: Findings) -> str:
    found = findings.together
    words = wording_of(findings)
    if found is None:
        return words.none.format(limit=f"{findings.max_drop:g}")
    share = words.together.format(share=number(100 * found.macs_share, 1))
    return f"recommended, all at once: {share}, a drop of {interval(found.drop_points, ' points', decimals=1)}"
