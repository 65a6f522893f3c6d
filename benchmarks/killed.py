"""kill -9 at 50 random points of train, convert, quantize and embed: what is there then, and whether a rerun succeeds.

    python -m benchmarks.killed [--points 50] [--only train]

Each final path must be absent, old and valid, or new and valid; no process may be left; the same command line, given
again (a training with --resume), must succeed, and make what an undisturbed one makes. A training may lose the epoch
that it was in. There is no point of `search`, for there is no such command. Writes `benchmarks/results/killed.json`.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.paired import save
from converters.apps.embedding import is_untouched
from edgeres.bundle import open_bundle
from edgeres.errors import EdgeresError
from edgeres.keras_file import read_keras_file
from edgeres.storage import sha256_file
from tests.processes import Ended, adopt_orphans, run

EPOCHS = 5
TRAIN = ["train", "resnet8", "--width", "0.5", "--data", "digits", "--batch", "64", "--augment", "none"]


@dataclass
class Subject:
    """A command and how its output is judged.

    `arguments`: with the place of its output last; `state`: absent, old, new, unfinished or invalid; `prepare` puts
    what was there before; `again` are the arguments of the rerun, where they differ.
    """

    name: str
    arguments: list[str]
    out: Path
    environment: dict[str, str]
    state: Callable[[Path], str]
    prepare: Callable[[], None]
    again: list[str] = field(default_factory=list)
    loses: Callable[[Path], Any] = lambda _: None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=50)
    parser.add_argument("--only", choices=("train", "convert", "quantize", "embed"))
    options = parser.parse_args()
    adopt_orphans()
    with tempfile.TemporaryDirectory() as place:
        found = measure(Path(place), points=options.points, only=options.only)
    print(json.dumps(found, indent=1))
    if options.only is None:
        save("killed", found)


def measure(folder: Path, *, points: int, only: str | None = None) -> dict[str, Any]:
    """Points shared among the commands; see the module."""
    subjects = [each for each in _subjects(folder) if only in (None, each.name)]
    share = -(-points // len(subjects))
    found = {each.name: _killed(each, min(share, points - place * share)) for place, each in enumerate(subjects)}
    return {"points": sum(each["points"] for each in found.values()), "commands": found}


def _subjects(folder: Path) -> list[Subject]:
    """Four commands on a tiny network of the digits; the caches hold what is not to be killed."""
    cache = {"EDGERES_CACHE": str(folder / "cache")}
    model, bundle, other = folder / "run" / "model.keras", folder / "float32", folder / "int8"
    _must([*TRAIN, "--epochs", "1", "--out", str(folder / "run")], cache)
    for recipe, out in (("float32", bundle), ("int8", other)):
        _must(["convert", str(model), "--data", "digits", "--recipe", recipe, "--out", str(out)], cache)
    old, out = folder / "old-app", folder / "out"
    _must(["embed", str(bundle), "--platform", "python", "--out", str(old)], cache)
    fresh = {"EDGERES_CACHE": str(folder / "fresh-cache")}

    def convert(name: str, recipe: str, *, keep: str | None) -> Subject:
        def prepare() -> None:
            shutil.rmtree(folder / "fresh-cache", ignore_errors=True)
            if keep is not None:
                shutil.copytree(folder / "cache" / keep, folder / "fresh-cache" / keep)

        arguments = ["convert", str(model), "--data", "digits", "--recipe", recipe, "--out", str(out)]
        return Subject(name, arguments, out, fresh, _bundle_state, prepare)

    train = [*TRAIN, "--epochs", str(EPOCHS), "--out", str(out)]
    return [
        Subject("train", train, out, cache, _run_state, lambda: None, [*train, "--resume"], _epochs),
        convert("convert", "float32", keep=None),
        convert("quantize", "int8", keep="export"),
        Subject(
            "embed",
            ["embed", str(other), "--platform", "python", "--out", str(out)],
            out,
            cache,
            _app_state(old),
            lambda: shutil.copytree(old, out) and None,
        ),
    ]


def _must(arguments: list[str], environment: dict[str, str]) -> Ended:
    ended = run(arguments, environment=environment)
    if ended.code:
        raise SystemExit(f"edgeres {' '.join(arguments)} ended with {ended.code}: {ended.said[-2000:]}")
    return ended


def _killed(subject: Subject, points: int) -> dict[str, Any]:
    """One command, killed at random moments of an undisturbed run's length."""
    _fresh(subject)
    length = _must(subject.arguments, subject.environment).seconds
    whole = _content(subject.out)
    random, rows = Random(subject.name), []
    for number in range(points):
        _fresh(subject)
        ended = run(subject.arguments, environment=subject.environment, after=random.uniform(0.2, 1.02) * length)
        state, before = subject.state(subject.out), subject.loses(subject.out)
        time.sleep(0.2)
        resumed = subject.again if subject.again and state == "unfinished" else subject.arguments
        rerun = None if state == "new" else run(resumed, environment=subject.environment)
        after = subject.loses(subject.out)
        rows.append(
            {
                "killed": not ended.in_time,
                "state": state,
                "orphans": ended.left,
                "rerun": 0 if rerun is None else rerun.code,
                "said": "" if rerun is None or not rerun.code else rerun.said[-500:],
                "same": _content(subject.out) == whole,
                "lost_epochs": before is not None and after[: len(before)] != before,
            }
        )
        print(f"{subject.name} {number + 1}/{points}: {rows[-1]}", flush=True)
    return _summary(rows, length, compared=subject.name != "train")


def _fresh(subject: Subject) -> None:
    shutil.rmtree(subject.out, ignore_errors=True)
    for left in subject.out.parent.glob(".out.*.part"):
        shutil.rmtree(left)
    subject.prepare()


def _summary(rows: list[dict[str, Any]], length: float, *, compared: bool) -> dict[str, Any]:
    states = sorted({row["state"] for row in rows})
    return {
        "points": len(rows),
        "seconds_undisturbed": round(length, 1),
        "killed": sum(row["killed"] for row in rows),
        "found": {state: sum(row["state"] == state for row in rows) for state in states},
        "invalid": sum(row["state"] == "invalid" for row in rows),
        "orphans": sum(row["orphans"] for row in rows),
        "reruns_that_failed": sum(row["rerun"] != 0 for row in rows),
        "epochs_lost": sum(row["lost_epochs"] for row in rows),
        "another_result": sum(not row["same"] for row in rows) if compared else None,
        "said": [row["said"] for row in rows if row["said"]][:3],
    }


def _content(folder: Path) -> dict[str, str]:
    """SHA-256 of what a command made; not of manifests, which hold the time."""
    names = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "manifest.json")
    return {str(path.relative_to(folder)): sha256_file(path) for path in names}


def _bundle_state(out: Path) -> str:
    if not out.exists():
        return "absent"
    try:
        bundle = open_bundle(out)
        for name in bundle.manifest.files:
            bundle.read(name)
    except EdgeresError:
        return "invalid"
    return "new"


def _app_state(old: Path) -> Callable[[Path], str]:
    def state(out: Path) -> str:
        if not out.exists():
            return "absent"
        if not is_untouched(out):
            return "invalid"
        return "old" if _content(out) == _content(old) else "new"

    return state


def _run_state(out: Path) -> str:
    """A run that has no model yet is unfinished, and says how to go on."""
    if not out.exists() or not any(out.iterdir()):
        return "absent"
    try:
        _epochs(out)
        if not (out / "model.keras").exists():
            return "unfinished"
        read_keras_file(out / "model.keras")
    except (EdgeresError, ValueError):
        return "invalid"
    return "new"


def _epochs(out: Path) -> list[Any]:
    """The losses of the epochs that a run has recorded."""
    place = out / "history.json"
    return [epoch["loss"] for epoch in json.loads(place.read_text())["epochs"]] if place.exists() else []


if __name__ == "__main__":
    main()
