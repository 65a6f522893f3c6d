"""Coverage-guided fuzzing of what reads untrusted bytes first: the structural walk, manifests, recipes.

    python -m benchmarks.fuzzing [--seconds 600] [--only walk]

Needs atheris (libFuzzer for Python). Anything but an EdgeresError that leaves a reader is a finding: libFuzzer stops,
and the input that did it is kept in `benchmarks/results/findings/`. So is an input that takes 10 s or 2 GB. Seeds are
files of the converter, a manifest and the named recipes; writes `benchmarks/results/fuzzing.json`.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

FINDINGS = Path(__file__).parent / "results" / "findings"
LIMITS = ("-timeout=10", "-rss_limit_mb=2048")

_STATUS = re.compile(r"^#(\d+)\s+\w+\s+cov: (\d+) ft: (\d+) corp: (\d+)/", re.MULTILINE)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--only", choices=READERS)
    parser.add_argument("--fuzz", choices=READERS, help="fuzz one in this process (used by the benchmark itself)")
    parser.add_argument("--scratch", type=Path, help="a folder for the files that it reads")
    options, rest = parser.parse_known_args()
    if options.fuzz:
        _fuzz(options.fuzz, options.scratch, rest)
        return
    found = {name: _run(name, options.seconds) for name in ([options.only] if options.only else READERS)}
    if options.only is None:
        from benchmarks.paired import save  # not above: what it imports would not be instrumented in the child

        save("fuzzing", {"seconds": options.seconds, "readers": found})


def _run(name: str, seconds: int) -> dict[str, Any]:
    """One reader in a process of its own: what libFuzzer says at its end."""
    FINDINGS.mkdir(parents=True, exist_ok=True)
    memory = "/dev/shm"  # noqa: S108 - a folder of its own is made in it; a million inputs are written to no disk
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as scratch:
        corpus, dictionary = Path(scratch) / "corpus", Path(scratch) / "words"
        corpus.mkdir()
        dictionary.write_text("".join(f'"{word}"\n' for word in SEEDS[name](corpus)))
        command = [sys.executable, "-m", "benchmarks.fuzzing", "--fuzz", name, "--scratch", scratch, *LIMITS, "-seed=1"]
        command += ["-max_len=32768", f"-max_total_time={seconds}", f"-artifact_prefix={FINDINGS}/{name}-"]
        command += [f"-dict={dictionary}", str(corpus)]
        done = subprocess.run(command, check=False, capture_output=True, text=True, errors="replace")
    with suppress(OSError):  # nothing was found
        FINDINGS.rmdir()
    status = _STATUS.findall(done.stderr)
    if not status:
        raise SystemExit(done.stderr[-4000:])
    executions, edges, features, inputs = map(int, status[-1])
    figures = {
        "executions": executions,
        "edges": edges,
        "features": features,
        "inputs": inputs,
        "uncaught": int(done.returncode != 0),
    }
    print(f"{name}: {figures}", flush=True)
    if done.returncode:
        print(done.stderr[-4000:])
    return figures


def _fuzz(name: str, scratch: Path, arguments: list[str]) -> None:
    import atheris

    with atheris.instrument_imports(include=["targets", "edgeres.bundle", "edgeres.records", "converters", "yaml"]):
        read = READERS[name](scratch)

    def once(content: bytes) -> None:
        from edgeres.errors import EdgeresError

        try:
            read(content)
        except EdgeresError as error:
            str(error).encode()  # what the terminal is given

    atheris.Setup([sys.argv[0], *arguments], once)
    atheris.Fuzz()


Reader = Callable[[bytes], object]


def _walk(_: Path) -> Reader:
    from targets.flatbuffer import describe

    return lambda content: describe(content[:4] + b"TFL3" + content[8:])


def _manifest(folder: Path) -> Reader:
    from edgeres.bundle import MANIFEST, open_bundle
    from edgeres.records import dump

    def read(content: bytes) -> None:
        (folder / MANIFEST).write_bytes(content)
        dump(open_bundle(folder).manifest).encode()  # what is read must be fit to be written in a result

    return read


def _recipe(folder: Path) -> Reader:
    from converters.recipe import load_recipe

    place = folder / "recipe.yaml"

    def read(content: bytes) -> None:
        place.write_bytes(content)
        load_recipe(str(place)).model_dump_json().encode()

    return read


READERS: dict[str, Callable[[Path], Reader]] = {"walk": _walk, "manifest": _manifest, "recipe": _recipe}


def _flatbuffers(corpus: Path) -> list[str]:
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    with tempfile.TemporaryDirectory() as made:
        command = [sys.executable, "-m", "tests.targets.models", made]
        subprocess.run(command, check=True, capture_output=True, env=environment)
        for file in Path(made).glob("*.tflite"):
            if file.stat().st_size <= 32768:
                (corpus / file.stem).write_bytes(file.read_bytes())
    return [r"\x00\x00\x00\x80", r"\xff\xff\xff\x7f", r"\xff\xff\xff\xff", r"\x00\x00\x80\x7f"]


def _manifests(corpus: Path) -> list[str]:
    manifest = {
        "schema": "edgeres.bundle/1",
        "name": "resnet8-int8",
        "preprocess": {"height": 32, "width": 32, "channels": "rgb", "scale": 0.5, "mean": [1.0], "std": [2.0]},
        "recipe": {"name": "int8", "steps": [{"step": "export"}]},
        "source": {"file": "model.keras", "keras": "2.21.0"},
        "data": {"source": "digits", "seed": 0},
        "seeds": {"splits": 0},
        "versions": {"edgeres": "0.1.0"},
        "inputs": {"model": "0" * 64},
        "files": {"model.tflite": "0" * 64},
        "tolerance": 0.1,
        "created": "2026-01-01T00:00:00+00:00",
    }
    (corpus / "manifest").write_text(json.dumps(manifest))
    return [*manifest, "null", "NaN", "-Infinity", "1e999", "1" * 400, r"\\\\ud800", "[[[[", '\\"', "../"]


def _recipes(corpus: Path) -> list[str]:
    from converters.recipe import _FOLDER
    from converters.steps import KINDS

    for file in _FOLDER.glob("*.yaml"):
        (corpus / file.name).write_bytes(file.read_bytes())
    settings = [name for kind in KINDS.values() for name in kind.model_fields]
    return [*KINDS, *dict.fromkeys(settings), "&a", "*a", "<<: *a", "!!python/name:os.system", ".nan", ".inf", "!!int"]


SEEDS: dict[str, Callable[[Path], list[str]]] = {"walk": _flatbuffers, "manifest": _manifests, "recipe": _recipes}

if __name__ == "__main__":
    main()
