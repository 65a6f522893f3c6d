"""What to do about what an audit found, in the order in which it matters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgeres.data.audit import Audit

IMBALANCED = 10
"""The largest class has so many times the images of the smallest one, and advice is given."""

FEW = 20
"""A class with fewer images is told of."""


def actions(found: Audit) -> Iterator[str]:
    """One sentence for each thing to do; none where nothing was found."""
    corrupt, copies = found.corrupt, found.duplicates
    if corrupt.images:
        over = corrupt.share > corrupt.accepted_share
        then = "nothing is trained or measured on this data set before that" if over else "they are left out until then"
        yield f"Remove or replace {_count(corrupt.images, 'corrupt image')}; {then}."
    if copies.contradictions:
        yield (
            f"Look at {_count(copies.contradictions, 'image')} that lie under several labels: at most one of them is "
            "right. Keep that, remove the others."
        )
    leaks = [each for each in copies.across if (each.first, each.second) != ("train", "calibration")]
    if leaks:
        named = ", ".join(f"{each.first} and {each.second}: {each.images:,}" for each in leaks)
        yield f"Remove images from all but one split ({named}): accuracy on images that were trained on says too much."
    if extra := sum(copies.within.values()):
        yield f"Remove {_count(extra, 'repeated image')} within splits: they count several times."
    if found.misnamed:
        yield (
            f"Rename {_count(found.misnamed, 'file')} whose extension is not that of the content: they are read "
            "correctly here, but not by every program."
        )
    if found.lonely:
        yield f"Add images to {', '.join(found.lonely[:5])}: a class with one image can be trained on, not tested."
    elif few := [each.label for each in found.classes if each.images < FEW]:
        more = f" and {len(few) - 5} more" if len(few) > 5 else ""
        yield f"Add images to {', '.join(few[:5])}{more}: fewer than {FEW} say little."
    if found.imbalance >= IMBALANCED:
        yield (
            f"The largest class has {found.imbalance:.0f} times the images of the smallest one: weight the classes in "
            "training, and look at each class's accuracy, not the mean alone."
        )


def _count(number: int, noun: str) -> str:
    return f"the {noun}" if number == 1 else f"the {number:,} {noun}s"
