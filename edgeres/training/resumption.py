"""What a run that goes on must have in common with the one that was begun."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgeres.errors import ConfigError
from edgeres.records import encode
from edgeres.training.identity import same_model
from edgeres.training.run import CONFIG, RunConfig
from edgeres.training.settings import typed_settings


def require_same(found: RunConfig, wanted: RunConfig, run: Path) -> None:
    """A run goes on with what it was started with; only the versions may differ.

    A setting that the run does not have was written by an earlier version, and had its default.

    Raises:
        ConfigError: names the first that differs.
    """
    before, now = encode(found), encode(wanted)
    before["training"] = typed_settings(before["training"], where=str(run / CONFIG)).record()
    for part in ("model", "weights", "teacher"):
        if not same_model(before.get(part), now.get(part)):
            _require_equal(before.get(part), now.get(part), part, run)
    for part in ("network", "data", "preprocess", "training"):
        for key in now[part]:
            _require_equal(before[part].get(key), now[part][key], f"{part}.{key}", run)


def _require_equal(before: Any, now: Any, name: str, run: Path) -> None:
    if isinstance(before, dict) and isinstance(now, dict):
        for key in now:
            _require_equal(before.get(key), now[key], f"{name}.{key}", run)
    elif before != now:
        raise ConfigError(
            f"{run} was started with {name} = {before!r}, not {now!r}",
            fix="resume with the same options, or choose another --out",
        )
