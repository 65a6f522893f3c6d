"""What each part of a network costs in accuracy when it alone is changed: records and their JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edgeres.records import read_versioned
from edgeres.results import Estimate

SCHEMA = "edgeres.sensitivity/1"


@dataclass(frozen=True)
class Part:
    """What is changed by itself: a channel group, `size` its channels, or a layer, `size` its weights.

    `macs_share`: of the network's multiply-accumulates, those that read or write the channels, or are the layer's.
    """

    name: str
    layers: tuple[str, ...]
    size: int
    macs_share: float


@dataclass(frozen=True)
class Cell:
    """A part (or all that were chosen) in a `setting`, against the unchanged network on the same images.

    `lost`, `won`: images that only the unchanged network, or only the changed one, classifies right. `macs_share`: of
    the network's multiply-accumulates, those that are left, or in int8. `sqnr_db`: power of the unchanged network's
    scores over that of the difference, where that was measured.
    """

    part: str
    setting: str
    lost: int
    won: int
    top1: Estimate
    drop_points: Estimate
    macs_share: float
    sqnr_db: float | None = None


@dataclass(frozen=True)
class Sensitivity:
    """What was measured so far. `inputs`: what every cell follows from; `baseline`: top-1 of the unchanged network.

    `together`: settings of several parts at once, each written out in `Cell.setting`.
    """

    inputs: dict[str, str]
    model: str
    source: str
    split: str
    images: int
    baseline: Estimate
    parts: tuple[Part, ...]
    cells: tuple[Cell, ...] = ()
    together: tuple[Cell, ...] = ()
    schema: str = SCHEMA


@dataclass(frozen=True)
class Findings:
    """A finished study: the cells that were asked for, and what follows from them.

    `columns`: names of the changes, the mildest first. `settings`: for each part what each column means for it, None
    where it changes nothing. `chosen`: the column recommended for a part; parts that are absent stay as they are.
    `together`: all that was chosen at once. `notes`: what a reader must know. `remarks`: what else was found.
    """

    record: Sensitivity
    columns: tuple[str, ...]
    settings: Mapping[str, tuple[str | None, ...]]
    chosen: Mapping[str, str]
    together: Cell | None
    max_drop: float
    notes: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    _cells: dict[tuple[str, str], Cell] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        self._cells.update({(cell.part, cell.setting): cell for cell in self.record.cells})

    def cell(self, part: str, column: str) -> Cell | None:
        """What was measured of a part; None where the column changes nothing of it."""
        setting = self.settings[part][self.columns.index(column)]
        return None if setting is None else self._cells.get((part, setting))

    @property
    def ranked(self) -> tuple[Part, ...]:
        """The parts, first those with the most noise where it was measured, else with the largest drop."""
        return tuple(sorted(self.record.parts, key=lambda part: (self._least_sqnr(part.name), -self._worst(part.name))))

    def _least_sqnr(self, part: str) -> float:
        first = self.cell(part, self.columns[0])
        return float("inf") if first is None or first.sqnr_db is None else first.sqnr_db

    def _worst(self, part: str) -> float:
        found = (self.cell(part, column) for column in self.columns)
        return max((cell.drop_points.value for cell in found if cell), default=float("-inf"))


def read_sensitivity(path: Path) -> Sensitivity:
    """Read what was measured.

    Raises:
        ArtifactError: absent, not JSON, another schema version, or a field that does not fit.
    """
    return read_versioned(Sensitivity, path, schema=SCHEMA, noun="study", fix="choose another --out")
