"""A number with its interval: the form of every figure that is reported."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Estimate:
    """A number with its interval. `method` names how the interval was made, `n` is the number of samples."""

    value: float
    low: float
    high: float
    level: float
    method: str
    n: int
