"""Figures as a person reads them; one rounding for the page and for Markdown, and no estimate without its interval."""

from __future__ import annotations

import math
from dataclasses import dataclass

from edgeres.printable import clean
from edgeres.results import Estimate, Operators, Proof

NONE = "–"

NOT_PROVED = "NOT PROVED"
NOT_MEASURED = "NOT MEASURED"


def difference(proof: Proof) -> str:
    """How far a target is from the reference kernels, and the known faults that explain it."""
    text = (
        f"differs from the reference kernels by {proof.largest:.3g}, accepted {proof.accepted:.3g}; "
        f"labels that differ: {proof.flips} of {proof.images}"
    )
    if proof.faults:
        text += f"; {'; '.join(proof.faults)}"
    return f"{text}. Fix: {proof.fix}" if proof.fix else text


@dataclass(frozen=True)
class Figure:
    """A value, the interval or exact count that goes with it, and what a comparison concluded."""

    value: str
    note: str = ""
    verdict: str = ""


def precisions(operators: Operators) -> str:
    """What the operators computed in, `computed in int8: 52, float32: 2`; empty where the runtime does not tell."""
    types = ", ".join(f"{name}: {count}" for name, count in (operators.precision or {}).items())
    return f"computed in {types}" if types else ""


def shortened(text: str, length: int = 28) -> str:
    """Clean text of at most `length` characters, its end replaced by an ellipsis."""
    text = clean(text)
    return text if len(text) <= length else f"{text[: length - 1]}…"


def size(count: int) -> str:
    """Bytes in decimal units: 98.5 kB."""
    for unit, scale in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if abs(count) >= scale:
            return f"{count / scale:.3g} {unit}" if count / scale < 999.5 else f"{count / scale:,.0f} {unit}"
    return f"{count:,} bytes"


def number(value: float, decimals: int) -> str:
    """A fixed number of decimals, with a true minus sign and no negative zero."""
    text = f"{value:,.{decimals}f}"
    if text.startswith("-") and not text.strip("-0.,"):
        text = text[1:]
    return text.replace("-", "−")


def decimals_for(estimate: Estimate) -> int:
    """As many decimals as make two digits of the interval's width visible, at most 6, and 4 digits of the value."""
    width = abs(estimate.high - estimate.low) or abs(estimate.value) / 100
    if not math.isfinite(width) or width == 0:
        return 2
    most = 6 if not estimate.value else 3 - math.floor(math.log10(abs(estimate.value)))
    return min(6, max(0, min(most, 1 - math.floor(math.log10(width)))))


def quantity(estimate: Estimate | None, unit: str, *, factor: float = 1, decimals: int | None = None) -> Figure:
    """An estimate as a figure: the value with its unit, and the interval as the note.

    `factor` is what the estimate is multiplied by, e.g. 100 to show a fraction in per cent; `decimals` are chosen by
    the interval's width where None.
    """
    if estimate is None:
        return Figure(NONE)
    places = decimals_for(estimate) if decimals is None else decimals
    value, low, high = (number(x * factor, places) for x in (estimate.value, estimate.low, estimate.high))
    return Figure(f"{value}{unit}", f"{low} to {high}")


def interval(estimate: Estimate | None, unit: str, *, factor: float = 1, decimals: int | None = None) -> str:
    """An estimate in one line: `97.2 % [96.1, 98.0]`."""
    if estimate is None:
        return NONE
    places = decimals_for(estimate) if decimals is None else decimals
    value, low, high = (number(x * factor, places) for x in (estimate.value, estimate.low, estimate.high))
    return f"{value}{unit} [{low}, {high}]"


def percent(estimate: Estimate | None) -> Figure:
    """A fraction of 1 in per cent."""
    return quantity(estimate, " %", factor=100, decimals=2)


def points(estimate: Estimate | None) -> Figure:
    """Percentage points."""
    return quantity(estimate, " points", decimals=2)


def times(estimate: Estimate | None) -> Figure:
    """A ratio."""
    return quantity(estimate, "×", decimals=2)


def level(estimate: Estimate) -> str:
    """The interval's level: 95 %."""
    return f"{estimate.level * 100:g} %"


def spoken(estimate: Estimate, figure: Figure) -> str:
    """An estimate inside a sentence: 2.91× (95 % interval 2.85 to 2.97)."""
    return f"{figure.value} ({level(estimate)} interval {figure.note})"
