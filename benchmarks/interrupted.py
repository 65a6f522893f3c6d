"""Ctrl-C in every command at three moments each: the exit code, the seconds it takes, what is left.

    python -m benchmarks.interrupted [--moments 3]

SIGINT goes to the whole process group, as a terminal sends it. A command must end with 130 within 5 s, leave no process
and no output. (Before edgeres has set its handler, while Python starts, and when the work is done, while it ends, the
signal itself ends it: a shell calls that 130, too.) Writes `benchmarks/results/interrupted.json`.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import tempfile
from pathlib import Path
from random import Random
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from benchmarks.killed import TRAIN
from benchmarks.paired import save
from edgeres.bundle import open_bundle
from edgeres.console import COMMANDS, INTERRUPTED
from edgeres.errors import EdgeresError
from tests.processes import adopt_orphans, run

SECONDS = 5.0
TRIES = 5

_SAID = 4000
"""Characters of what a command said that are kept where its code is not 130: where it crashed is among them."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moments", type=int, default=3)
    options = parser.parse_args()
    adopt_orphans()
    with tempfile.TemporaryDirectory() as place:
        found = measure(Path(place), moments=options.moments)
    print(json.dumps(found, indent=1))
    save("interrupted", found)


def measure(folder: Path, *, moments: int) -> dict[str, Any]:
    """All commands; see the module."""
    environment = {"EDGERES_CACHE": str(folder / "cache"), "PYTHONFAULTHANDLER": "1"}
    commands = _commands(folder, environment)
    missing = sorted(set(COMMANDS) - set(commands))
    rows = {name: _interrupted(arguments, folder, environment, moments) for name, arguments in commands.items()}
    return {
        "commands": len(rows),
        "without_a_row": missing,
        "interruptions": sum(len(row) for row in rows.values()),
        "another_code": [name for name, row in rows.items() if any(each["code"] not in _CODES for each in row)],
        "slowest_s": max(each["seconds"] for row in rows.values() for each in row),
        "too_slow": [name for name, row in rows.items() if any(each["seconds"] > SECONDS for each in row)],
        "processes_left": sum(each["left"] for row in rows.values() for each in row),
        "outputs_left": [name for name, row in rows.items() if any(each["output"] for each in row)],
        "rows": rows,
    }


_CODES = (INTERRUPTED, -signal.SIGINT)


def _commands(folder: Path, environment: dict[str, str]) -> dict[str, list[str]]:
    """Every command on real files, with an output that is absent where it takes one."""
    run_folder, out = folder / "run", str(folder / "out")
    model, bundle = str(run_folder / "model.keras"), str(folder / "bundle")
    evaluated, history = str(folder / "evaluated.json"), str(folder / "history.sqlite")
    digits = ["--data", "digits"]
    for arguments in (
        [*TRAIN, "--epochs", "1", "--out", str(run_folder)],
        ["convert", model, *digits, "--recipe", "int8", "--out", bundle],
        ["evaluate", bundle, model, *digits, "--json", evaluated, "--history", history],
    ):
        if (ended := run(arguments, environment=environment)).code:
            raise SystemExit(ended.said[-2000:])
    return {
        "demo": ["demo", "--out", out],
        "models": ["models", "resnet50"],
        "data": ["data", "digits"],
        "train": [*TRAIN, "--out", out],
        "inspect": ["inspect", model],
        "convert": ["convert", model, *digits, "--recipe", "slim-int8", "--set", "slim.macs=0.7", "--out", out],
        "sensitivity": ["sensitivity", model, *digits, "--out", out],
        "evaluate": ["evaluate", bundle, model, *digits, "--json", out],
        "profile": ["profile", bundle, model, "--json", out],
        "targets": ["targets"],
        "devices": ["devices", "list"],
        "verify": ["verify", bundle],
        "sign": ["sign", bundle, "--key", str(_key(folder))],
        "check-preprocessing": ["check-preprocessing", bundle],
        "check": ["check", evaluated, "--max-drop", "50"],
        "compare": ["compare", evaluated, evaluated],
        "history": ["history", history],
        "report": ["report", str(run_folder), bundle, evaluated, "--out", out],
        "embed": ["embed", bundle, "--platform", "c", "--out", out],
    }


def _key(folder: Path) -> Path:
    """A private key to sign with."""
    key, place = ec.generate_private_key(ec.SECP256R1()), folder / "private.pem"
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    place.write_bytes(key.private_bytes(pem, form, serialization.NoEncryption()))
    return place


def _interrupted(arguments: list[str], folder: Path, environment: dict[str, str], moments: int) -> list[dict[str, Any]]:
    """A row for each moment; a command that has ended before it is interrupted earlier."""
    length, random, rows = min(30.0, _length(arguments, folder, environment)), Random(arguments[0]), []
    for _ in range(moments):
        for attempt in range(TRIES):
            _clear(folder)
            after = random.uniform(0.1, 0.95) * length * 0.7**attempt
            ended = run(arguments, environment=environment, after=after, number=signal.SIGINT)
            if not ended.in_time:
                break
        left = _output(folder)
        row = {"after": round(after, 2), "code": ended.code, "seconds": round(ended.seconds, 2), "left": ended.left}
        rows.append({**row, "output": left, "said": ended.said[-_SAID:] if ended.code != INTERRUPTED else ""})
        print(arguments[0], rows[-1], flush=True)
    return rows


def _length(arguments: list[str], folder: Path, environment: dict[str, str]) -> float:
    """Seconds of an undisturbed run, of 30 at most."""
    _clear(folder)
    ended = run(arguments, environment=environment, after=30.0, number=signal.SIGKILL)
    return ended.seconds if ended.in_time else 30.0


def _clear(folder: Path) -> None:
    """Take away the output and what was cached: every run takes as long as the first."""
    for path in (folder / "out", folder / "cache", *folder.glob(".out.*")):
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def _output(folder: Path) -> list[str]:
    """What is half there: beside the output, or a folder that is neither whole nor one that says how to go on.

    A file is whole, for it is renamed into its place: the command had done its work when it was interrupted.
    """
    found = [path.name for path in folder.glob(".out.*")]
    out = folder / "out"
    goes_on = any((out / name).exists() for name in ("config.json", "sensitivity.json"))
    if out.is_dir() and not goes_on and not _is_bundle(out):
        found += [str(path.relative_to(folder)) for path in out.rglob("*")]
    return found


def _is_bundle(folder: Path) -> bool:
    """Whether its manifest, which is written last, is there, and what it names is as it says."""
    try:
        open_bundle(folder)
    except EdgeresError:
        return False
    return True


if __name__ == "__main__":
    main()
