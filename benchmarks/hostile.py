"""2,000 seeded mutants and 100 handcrafted files through inspect, evaluate and profile; all of them under a manifest.

    python -m benchmarks.hostile [--mutants 2000] [--state build/hostile.jsonl]

Each must end in a typed error or a result that can be read, within 10 s and 2 GB, and leave no process behind. Goes on
where it was interrupted. Every mutant is also put into a bundle in the place of its model, which must be refused by its
hash; and every 40th file is given to the command line itself, in processes of its own. About 45 minutes.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.paired import save
from edgeres.bundle import MODEL, open_bundle
from edgeres.errors import ArtifactError
from tests.gauntlet import Gauntlet
from tests.hostile import handcrafted, mutant
from tests.targets.bundles import make_bundle, write_images

MODELS = ("float32", "int8", "buffer_offset")
SAMPLE = 40
SECONDS, BYTES = 10.0, 2 << 30
TYPED = (0, 3, 4, 5, 6, 8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutants", type=int, default=2000)
    parser.add_argument("--state", type=Path, default=Path("build/hostile.jsonl"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        models = _models(folder)
        files = [*handcrafted(models), *(mutant(models, seed) for seed in range(options.mutants))]
        _run(files, folder, options.state)
        rows = [json.loads(line) for line in options.state.read_text().splitlines()]
        figures = {
            "files": len(files),
            "in_process": _summary([row for row in rows if not row["cli"]]),
            "command_line": _summary([row for row in rows if row["cli"]]),
            "altered_under_a_manifest": _altered(models, files, folder),
        }
    print(json.dumps(figures, indent=1))
    save("hostile", figures)


def _models(folder: Path) -> dict[str, bytes]:
    command = [sys.executable, "-m", "tests.targets.models", str(folder)]
    subprocess.run(command, check=True, capture_output=True)
    return {name: (folder / f"{name}.tflite").read_bytes() for name in MODELS}


def _run(files: list[tuple[str, bytes]], folder: Path, state: Path) -> None:
    """What is not in the state yet; a line for each file and way."""
    state.parent.mkdir(parents=True, exist_ok=True)
    done = {(row["name"], row["cli"]) for row in _rows(state)}
    source = write_images(folder / "images", each=5)
    gauntlet = Gauntlet(source, folder)
    try:
        with state.open("a") as stream:
            for number, (name, content) in enumerate(files):
                for cli in (False, True) if number % SAMPLE == 0 else (False,):
                    if (name, cli) not in done:
                        endings = gauntlet.run(content, cli=cli)
                        row = {"name": name, "cli": cli, "orphans": len(gauntlet.orphans())}
                        stream.write(json.dumps({**row, "endings": [vars(each) for each in endings]}) + "\n")
                        stream.flush()
                if number % 100 == 0:
                    print(f"{number} of {len(files)}", flush=True)
    finally:
        gauntlet.close()


def _rows(state: Path) -> Iterator[Any]:
    for line in state.read_text().splitlines() if state.exists() else ():
        yield json.loads(line)


def _summary(rows: list[Any]) -> dict[str, Any]:
    """How the commands ended, and what did not end as it must."""
    endings = [(row, ending) for row in rows for ending in row["endings"]]
    codes: dict[str, Counter[str]] = {}
    for _, ending in endings:
        codes.setdefault(ending["command"], Counter())[str(ending["code"])] += 1
    wrong = {
        "not_typed": [row["name"] for row, ending in endings if ending["code"] not in TYPED],
        "not_valid": [row["name"] for row, ending in endings if not ending["valid"]],
        "too_slow": [row["name"] for row, ending in endings if ending["seconds"] > SECONDS],
        "too_large": [row["name"] for row, ending in endings if ending["peak_bytes"] > BYTES],
        "orphans": [row["name"] for row in rows if row["orphans"]],
    }
    return {
        "files": len(rows),
        "exit_codes": {command: dict(sorted(found.items())) for command, found in codes.items()},
        "slowest_s": max((ending["seconds"] for _, ending in endings), default=0),
        "peak_bytes": max((ending["peak_bytes"] for _, ending in endings), default=0),
        **{name: len(found) for name, found in wrong.items()},
        "which": {name: found[:20] for name, found in wrong.items() if found},
    }


def _altered(models: dict[str, bytes], files: list[tuple[str, bytes]], folder: Path) -> dict[str, int]:
    """Each file in the place of a bundle's model: how many the manifest's hash gave away."""
    place = make_bundle(folder / "bundle", models["float32"])
    others = [content for _, content in files if content != models["float32"]]
    refused = 0
    for content in others:
        (place / MODEL).write_bytes(content)
        try:
            open_bundle(place).read(MODEL)
        except ArtifactError:
            refused += 1
    return {"files": len(others), "refused": refused}


if __name__ == "__main__":
    main()
