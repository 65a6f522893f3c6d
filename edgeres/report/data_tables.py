"""An audit of a data set as tables in a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rich.text import Text

from edgeres.data.audit import Audit, Extent
from edgeres.data.dataset import SPLITS
from edgeres.data.duplicates import Group
from edgeres.printable import clean
from edgeres.report.terminal import output, plain_table
from edgeres.report.wording import NONE

SHOWN = 20
"""So many classes, and findings of a kind, are printed; the page and the JSON hold more."""


def print_audit(audit: Audit) -> None:
    """Print what was found to stdout."""
    console = output()
    console.print(plain_table(("", audit.source), _facts(audit)))
    console.print(plain_table(("class", "images", *SPLITS), _classes(audit)))
    for head, lines, total in _findings(audit):
        console.print(Text(head, style="bold"))
        for line in lines:
            console.print(Text(f"  {clean(line)}"))
        if total > len(lines):
            console.print(Text(f"  … and {total - len(lines):,} more"))
        console.print()
    for action in audit.actions or ("Nothing was found that should be mended.",):
        console.print(Text(f"→ {clean(action)}"))


def _facts(audit: Audit) -> Iterator[tuple[str, str]]:
    copies = audit.duplicates
    yield "images", f"{audit.images:,}"
    yield "classes", f"{len(audit.classes):,}, the largest {audit.imbalance:.2f} times the smallest"
    yield "width", _extent(audit.width)
    yield "height", _extent(audit.height)
    yield "formats", _counts(audit.formats)
    yield "modes", _counts(audit.modes)
    yield (
        "corrupt",
        f"{audit.corrupt.images:,} ({audit.corrupt.share:.2%}, accepted {audit.corrupt.accepted_share:.0%})",
    )
    yield "wrong extension", f"{audit.misnamed:,}"
    yield "equal images", f"{copies.images:,} could go, in {copies.groups:,} groups"
    yield "  within a split", _counts(copies.within)
    yield "  in two splits", _counts({f"{each.first} and {each.second}": each.images for each in copies.across})
    yield "  under several labels", f"{copies.contradictions:,}"


def _extent(side: Extent | None) -> str:
    if side is None:
        return NONE
    if side.smallest == side.largest:
        return f"{side.smallest}"
    return f"{side.smallest} to {side.largest}, median {side.median}"


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items()) or NONE


def _classes(audit: Audit) -> Iterator[Sequence[str]]:
    for each in audit.classes[:SHOWN]:
        yield (each.label, f"{each.images:,}", *(f"{each.splits[name]:,}" for name in SPLITS))
    if len(audit.classes) > SHOWN:
        yield (f"… and {len(audit.classes) - SHOWN:,} more", *[""] * (1 + len(SPLITS)))


def _findings(audit: Audit) -> Iterator[tuple[str, list[str], int]]:
    """A heading, the first lines, and how many there are, for each kind of finding."""
    copies = audit.duplicates
    if audit.corrupt.images:
        lines = [f"{place.path}: {place.why}" for place in audit.corrupt.listed[:SHOWN]]
        yield "Corrupt", lines, audit.corrupt.images
    if audit.misnamed:
        lines = [f"{place.path}: {place.why}" for place in audit.misnamed_listed[:SHOWN]]
        yield "Wrong extension", lines, audit.misnamed
    if copies.contradictions:
        yield "Equal, under several labels", _groups(copies.contradictory), copies.contradictions
    if copies.leaking:
        yield "Equal, in several splits", _groups(copies.leaking), len(copies.leaking)


def _groups(groups: Iterable[Group]) -> list[str]:
    shown = list(groups)[:SHOWN]
    return [" = ".join(f"{one.path} ({one.label}, {one.split})" for one in group.images) for group in shown]
