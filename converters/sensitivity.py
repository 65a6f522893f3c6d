"""What each part of a network costs when it alone is changed, and the recipe that follows.

A study's folder holds what was measured so far, so that one that was killed goes on where it was.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from converters.job import Job, require_fitting
from converters.notebook import Effects, Notebook
from converters.recipe import typed_recipe
from converters.steps import Criterion
from edgeres.errors import ConfigError
from edgeres.native_output import resolve_muted
from edgeres.registry import require_known
from edgeres.sensitivity import Findings, read_sensitivity
from edgeres.storage import require_absent, write_text
from targets.paired import Pairs, accuracy_drop, images_needed

STUDIES = {
    "prune": "converters.pruning.effect:GroupEffects",
    "quantize": "converters.quantization.effect:LayerEffects",
}
"""What is changed -> "module:attribute" of `(job, settings, split) -> Effects`."""

LIMITS = {
    "prune": "each part alone costs at most {:g} points before fine-tuning; together they cost more",
    "quantize": "int8, but for the layers that had to stay float32 for a drop within {:g} points",
}
"""What a recommended recipe says of itself."""

RECORD, PAGE, RECIPE = "sensitivity.json", "sensitivity.html", "recipe.yaml"
"""The files of a study's folder."""

SPLIT = "validation"

DISAGREEMENT = 0.1
"""Share of images about which only one of the two networks is expected to be right: the sample size follows from it.

Where a change turns more answers, its interval is wider, but then its drop is rarely in doubt.
"""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settings:
    """What is asked for. `keep`: shares of each group's channels, the largest first.

    `within`: half-width, in points, that the interval of a drop is to have. `max_drop`: points that a part may cost, by
    the upper end of its interval, to be in the recommended recipe.
    """

    of: str = "prune"
    keep: tuple[float, ...] = (0.875, 0.75, 0.5, 0.25)
    criterion: Criterion = "l2"
    multiple: int = 8
    within: float = 2.0
    max_drop: float = 1.0


def keep_shares(text: str) -> tuple[float, ...]:
    """Shares as the command line has them, `0.875,0.5`: each once, the largest first.

    Raises:
        ConfigError: not a number, or outside (0, 1].
    """
    try:
        shares = {float(word) for word in text.split(",")}
    except ValueError:
        shares = {math.nan}
    if not all(0 < share <= 1 for share in shares):
        raise ConfigError(
            f"--keep {text}: expected shares in 0 < x <= 1, with commas between them",
            fix="for example --keep 0.875,0.75,0.5,0.25",
        )
    return tuple(sorted(shares, reverse=True))


def require_study(of: str, out: Path) -> None:
    """Refuse a study that there is not, or a folder that holds something else, before anything heavy is loaded.

    Raises:
        ConfigError: unknown study.
        OutputError: `out` cannot be written, or holds something else.
        ArtifactError: its record is damaged.
    """
    require_known(STUDIES, of, noun="study", error=ConfigError)
    if (out / RECORD).is_file():
        read_sensitivity(out / RECORD)
    else:
        require_absent(out)


def study(job: Job, settings: Settings, out: Path) -> Findings:
    """Measure every cell that the folder `out` does not hold yet, and write the recommended recipe beside them.

    Raises:
        OutputError: the folder is of another model, data or settings, or cannot be written.
        DataError: the data set does not fit the model, or an image cannot be decoded.
        ModelError: the model cannot be changed this way.
        ConfigError: no part is changed by any column.
    """
    require_fitting(job.file, job.dataset)
    needed = images_needed(settings.within, disagreement=DISAGREEMENT)
    split = job.dataset.split(SPLIT, images=needed)
    notes = _notes(len(split), needed, settings)
    for note in notes:
        _log.warning("%s", note)
    effects: Effects = resolve_muted(STUDIES[settings.of])(job, settings, split)
    plan = {part.name: tuple(effects.setting(part.name, each) for each in effects.columns) for part in effects.parts}
    if not any(setting for own in plan.values() for setting in own):
        raise ConfigError("no group becomes narrower with these settings", fix="lower --multiple or --keep")
    notebook = Notebook(job, effects, split, out / RECORD, of=settings.of)
    notebook.fill(plan)
    findings = Findings(notebook.record, effects.columns, plan, {}, None, settings.max_drop, notes)
    chosen = effects.chosen(findings, partial(notebook.together, plan))
    outcome = effects.outcome(chosen)
    together = notebook.together(plan, outcome) if outcome else None
    _write_recipe(out / RECIPE, effects.recipe(chosen), settings)
    return replace(findings, record=notebook.record, chosen=chosen, together=together, remarks=effects.remarks)


def _notes(images: int, needed: int, settings: Settings) -> tuple[str, ...]:
    """What the size of the split does to the outcome."""
    found = []
    if images < needed:
        reached = settings.within * math.sqrt(needed / images)
        found.append(
            f"The {SPLIT} split has {images:,} images; {needed:,} are wanted for small drops to within "
            f"{settings.within:g} points. Expect these to within {reached:.1f}."
        )
    least = accuracy_drop(Pairs(images, lost=0, won=0)).high
    if least > settings.max_drop:
        found.append(
            f"{images:,} images cannot show that a drop is within {settings.max_drop:g} points: where no answer "
            f"changes, the interval ends at {least:.2f}. Nothing is recommended for a --max-drop below that."
        )
    return tuple(found)


def _write_recipe(path: Path, values: dict[str, Any], settings: Settings) -> None:
    limit = LIMITS[settings.of].format(settings.max_drop)
    values = {"schema": "edgeres.recipe/1", "name": values["name"], "description": limit, "steps": values["steps"]}
    typed_recipe(values, where=str(path))
    write_text(path, yaml.safe_dump(values, sort_keys=False, width=110))
