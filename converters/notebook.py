"""The cells of a study of sensitivity in one file, each written as soon as it is measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from converters.cache import key_of
from converters.job import Job
from edgeres.data import Split
from edgeres.errors import OutputError
from edgeres.records import encode, write_json
from edgeres.sensitivity import Cell, Findings, Part, Sensitivity, read_sensitivity
from edgeres.versions import versions
from targets.paired import accuracy_drop, pairs
from targets.stats import proportion

Changes = Mapping[str, str]
"""Part -> column: what is changed, and how."""

Plan = Mapping[str, tuple[str | None, ...]]
"""Part -> what each column means for it, None where nothing."""

ALL = "all that is recommended"
"""The part of a cell that is of several."""


class Effects(Protocol):
    """A network whose parts can be changed alone, and put back."""

    @property
    def parts(self) -> tuple[Part, ...]:
        """What can be changed."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The changes, the mildest first."""

    @property
    def inputs(self) -> Mapping[str, str]:
        """What the outcome follows from, beside the model and the images."""

    def setting(self, part: str, column: str) -> str | None:
        """What a change means for a part, None where nothing; equal ones are measured once."""

    def macs_share(self, changes: Changes) -> float:
        """Of the network's multiply-accumulates, those that are left."""

    def right(self, changes: Changes) -> NDArray[np.bool_]:
        """Whether the changed network is right about each image: bool (images,)."""

    def sqnr_db(self, changes: Changes) -> float | None:
        """Power of the unchanged network's scores over that of the difference; None where it is not measured."""

    def chosen(self, findings: Findings, together: Callable[[Changes], Cell]) -> dict[str, str]:
        """What is recommended; `together` measures several changes at once."""

    def outcome(self, chosen: Changes) -> Changes:
        """What is measured to say what the recommendation comes to; empty for nothing."""

    def recipe(self, changes: Changes) -> dict[str, Any]:
        """A recipe that makes these changes, and no other."""

    @property
    def remarks(self) -> tuple[str, ...]:
        """What else was found, in sentences."""


class Notebook:
    """The record of a study, and the measuring of what it lacks.

    Raises:
        OutputError: the file is of other inputs.
        ArtifactError: it is damaged.
    """

    def __init__(self, job: Job, effects: Effects, split: Split, path: Path, *, of: str) -> None:
        self._job, self._effects, self._split, self._path = job, effects, split, path
        self._inputs = {"of": of, **_inputs(job, effects, split)}
        self._known = read_sensitivity(path) if path.is_file() else None
        if self._known is not None:
            _require_same(self._known.inputs, self._inputs, path)

    @property
    def record(self) -> Sensitivity:
        """What was measured so far."""
        if self._known is None:
            self._known = Sensitivity(
                inputs=self._inputs,
                model=self._job.file.path.name,
                source=self._job.dataset.source,
                split=self._split.name,
                images=len(self._split),
                baseline=proportion(int(self._right.sum()), len(self._split)),
                parts=self._effects.parts,
            )
        return self._known

    def fill(self, plan: Plan) -> None:
        """Measure what is missing; columns that mean the same for a part are one cell."""
        wanted = {
            (part, setting): column
            for part, settings in plan.items()
            for column, setting in zip(self._effects.columns, settings, strict=True)
            if setting
        }
        known = {(cell.part, cell.setting) for cell in self.record.cells}
        missing = {place: column for place, column in wanted.items() if place not in known}
        for done, ((part, setting), column) in enumerate(missing.items(), start=len(wanted) - len(missing)):
            self._job.progress("cells", done, len(wanted))
            cell = self._measured(part, setting, {part: column})
            self._keep(replace(self.record, cells=(*self.record.cells, cell)))
        self._job.progress("cells", len(wanted), len(wanted))

    def together(self, plan: Plan, changes: Changes) -> Cell:
        """All of these changes at once."""
        columns = self._effects.columns
        setting = ", ".join(f"{part}: {plan[part][columns.index(column)]}" for part, column in changes.items())
        for cell in self.record.together:
            if cell.setting == setting:
                return cell
        cell = self._measured(ALL, setting, changes)
        self._keep(replace(self.record, together=(*self.record.together, cell)))
        return cell

    @cached_property
    def _right(self) -> NDArray[np.bool_]:
        """The unchanged network's answers, by the process that measures the changed one's."""
        return self._effects.right({})

    def _measured(self, part: str, setting: str, changes: Changes) -> Cell:
        after = self._effects.right(changes)
        counted = pairs(self._right, after)
        return Cell(
            part,
            setting,
            lost=counted.lost,
            won=counted.won,
            top1=proportion(int(after.sum()), len(after)),
            drop_points=accuracy_drop(counted),
            macs_share=self._effects.macs_share(changes),
            sqnr_db=self._effects.sqnr_db(changes),
        )

    def _keep(self, record: Sensitivity) -> None:
        write_json(self._path, record)
        self._known = record


def _inputs(job: Job, effects: Effects, split: Split) -> dict[str, str]:
    found = versions()
    return {
        "model": job.file.sha256,
        "preprocessing": key_of(encode(job.contract)),
        "images": split.fingerprint(),
        **effects.inputs,
        **{package: found[package] for package in ("edgeres", "tensorflow") if package in found},
    }


def _require_same(found: Mapping[str, str], expected: Mapping[str, str], path: Path) -> None:
    pairs = {name: (found.get(name, "none"), expected.get(name, "none")) for name in {**found, **expected}}
    other = {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
    if other:
        raise OutputError(
            f"{path} was measured with other inputs: {', '.join(other)}",
            details=[f"{name}: {there[:16]} there, {now[:16]} now" for name, (there, now) in other.items()],
            fix="choose another --out, or give what it was measured with",
        )
