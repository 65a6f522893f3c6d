"""What every network of the zoo costs, kept beside it: asking must not take TensorFlow and half a minute.

`figures.json` is a golden file: the tests build every network, measure it and compare.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files


@dataclass(frozen=True)
class Figures:
    """A network at its paper's size; fields as in `edgeres.models.cost.Cost`. `paper`: where it is described."""

    name: str
    parameters: int
    macs: int
    size_bytes: int
    arena_bytes: int
    input: tuple[int, ...]
    paper: str
    published: str | None = None


def read_figures() -> tuple[Figures, ...]:
    """The zoo's figures, in the order of `MODELS`."""
    rows = json.loads(files(__package__).joinpath("figures.json").read_text(encoding="utf-8"))["models"]
    return tuple(Figures(**{**row, "input": tuple(row["input"])}) for row in rows)
