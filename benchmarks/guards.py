"""The guards removed one by one: each removal must make a test fail.

    python -m benchmarks.guards [--only NAME] [--state build/guards.jsonl]

Works on a copy of the project. A guard is a piece of source and what stands there when it is gone; the tests that run
are those of its module, which must all pass before. Goes on where it was interrupted. Writes
`benchmarks/results/guards.json`.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.paired import save

ROOT = Path(__file__).parents[1]
COPIED = ("edgeres", "converters", "targets", "tests", "benchmarks", "cli.py", "pyproject.toml")


@dataclass(frozen=True)
class Guard:
    """A piece of `file`, what stands there without it, and the tests that must tell."""

    name: str
    file: str
    piece: str
    without: str
    tests: str


def _refusal(name: str, file: str, condition: str, tests: str) -> Guard:
    """A guard that is a condition for an error: without it, there is never one."""
    return Guard(name, file, condition, f"if False and ({condition.removeprefix('if ').removesuffix(':')}):", tests)


_WALK, _WALKED = "targets/flatbuffer.py", "tests/targets/test_flatbuffer.py tests/targets/test_graph.py"
_SANDBOX, _BOXED = "targets/worker.py", "tests/targets/test_sandbox.py"
_SESSION, _MISUSED = "targets/runtimes/session.py", "tests/targets/runtimes/test_misuse.py"
_ARCHIVE, _ATTACKED = "edgeres/archive.py", "tests/edgeres/test_archive.py"
_ARRAYS, _HEADERS = "edgeres/array_file.py", "tests/edgeres/test_array_file.py"
_BUNDLE, _BUNDLES = "edgeres/bundle.py", "tests/edgeres/test_bundle.py"
_IMAGES, _PICTURES = "edgeres/preprocess.py", "tests/edgeres/test_preprocess.py"
_STORAGE, _STORED = "edgeres/storage.py", "tests/edgeres/test_storage.py"
_CACHE, _CACHED = "converters/cache.py", "tests/converters/test_cache.py"
_JSON, _RECORDS = "edgeres/records.py", "tests/edgeres/test_records.py"
_YAML, _PLAIN = "edgeres/yaml_text.py", "tests/edgeres/test_yaml_text.py"
_KERAS, _CONFIG = "edgeres/keras_file.py", "tests/edgeres/test_keras_config.py -k lambda_is_refused"
_LOADED, _LOAD = "edgeres/keras_io.py", "tests/edgeres/test_keras_io.py"
_SAVED = "tests/edgeres/test_saved_model.py -k reaches_out"

GUARDS = (
    _refusal("walk: identifier", _WALK, "if content[4:8] != IDENTIFIER:", _WALKED),
    _refusal("walk: schema version", _WALK, 'if (version := model.number(0, "I")) != VERSION:', _WALKED),
    _refusal("walk: indices of tensors", _WALK, "if found.min() < lowest or found.max() >= count:", _WALKED),
    _refusal("walk: operator codes", _WALK, "if code >= len(kinds):", _WALKED),
    _refusal("walk: data behind the file", _WALK, "if start + size > len(content):", _WALKED),
    _refusal("walk: empty activations", _WALK, "if 0 in tensors[index].shape:", _WALKED),
    Guard("walk: order of operators", _WALK, "    check_order(graph, where)\n", "", _WALKED),
    Guard("walk: custom options", _WALK, '    table.check_range(start, size, "its custom options")\n', "", _WALKED),
    Guard("walk: signatures", _WALK, "    _check_signatures(model, subgraphs)\n", "", _WALKED),
    _refusal("classifier: vast images", "targets/classifier.py", "if (values := math.prod(image[1:])) > MAX_INPUT:",
             "tests/targets/test_classifier.py"),
    _refusal("classifier: vast activations", "targets/classifier.py", "if graph.arena_bytes > MAX_ARENA:",
             "tests/targets/test_classifier.py"),
    Guard("sandbox: memory", _SANDBOX, "resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))", "pass",
          _BOXED),
    Guard("sandbox: CPU time", _SANDBOX, '        limit_cpu(message.header["cpu_seconds"])\n', "", _BOXED),
    Guard("sandbox: core dumps", _SANDBOX, "    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))\n", "", _BOXED),
    Guard("sandbox: ends with its parent", _SANDBOX, "    end_with(parent)\n", "", _BOXED),
    Guard("sandbox: wall clock", "targets/pipes.py", "raise TimeoutError", "pass", f"{_BOXED} -k hang"),
    Guard("sandbox: length of an answer", "targets/messages.py", "if sum(sizes) > limit:", "if False:", _BOXED),
    _refusal("bundle: hashes", _BUNDLE, "if (found := sha256_bytes(content)) != expected:", _BUNDLES),
    _refusal("bundle: names of files", _BUNDLE, "if expected is None or Path(name).name != name:", _BUNDLES),
    _refusal("bundle: number of labels", _BUNDLE, "if len(labels) > MAX_LABELS:", _BUNDLES),
    Guard("bundle: signature", "targets/signature.py",
          "            config.set_hashing_config(_hashing(path)).verify(path, signature)\n", "            pass\n",
          "tests/targets/test_signature.py"),
    Guard("session: type of inputs", _SESSION, 'inputs.dtype.kind not in "fiu"', "False", _MISUSED),
    _refusal("session: shape of inputs", _SESSION, "if inputs.ndim != 4 or inputs.shape[1:] != own.input_shape[1:]:",
             _MISUSED),
    _refusal("session: finite inputs", _SESSION, "if not np.isfinite(inputs).all():", _MISUSED),
    Guard("keras: allow-list", _KERAS, "        if not trust:\n", "        if False:\n", _CONFIG),
    Guard("keras: members of the archive", _KERAS, "        check_members(archive, limit=MAX_BYTES)\n", "", _ATTACKED),
    Guard("keras: weights elsewhere", _LOADED, "            check_weights(place, where=file.path)\n",
          "            pass\n", _LOAD),
    Guard("keras: a copy is what was checked", _LOADED, "if copy.sha256 != file.sha256:", "if False:", _LOAD),
    Guard("SavedModel: operators", "edgeres/saved_model.py", "        _check_operators(graph, path)\n",
          "        pass\n", _SAVED),
    _refusal("images: pixels", _IMAGES, "if image.width * image.height > MAX_PIXELS:", _PICTURES),
    Guard("images: formats", _IMAGES, ", formats=FORMATS)", ")", _PICTURES),
    Guard("images: orientation", _IMAGES, "            ImageOps.exif_transpose(image, in_place=True)\n",
          "            pass\n", _PICTURES),
    _refusal("images: compression", _IMAGES,
             "if image.width * image.height > max(MAX_SUSPECT_PIXELS, MAX_PIXELS_PER_BYTE * len(content)):", _PICTURES),
    _refusal("archive: paths", _ARCHIVE, 'if name.startswith("/") or ".." in PurePosixPath(name).parts:', _ATTACKED),
    _refusal("archive: links", _ARCHIVE, "if kind not in (0, stat.S_IFREG, stat.S_IFDIR):", _ATTACKED),
    _refusal("archive: one name twice", _ARCHIVE,
             'if (other := seen.setdefault(name.rstrip("/").casefold(), name)) is not name:', _ATTACKED),
    _refusal("archive: expansion", _ARCHIVE,
             "if member.file_size > max(MAX_UNPACKED, _MAX_RATIO * member.compress_size):", _ATTACKED),
    _refusal("arrays: sizes", _ARRAYS, "if expected != found or expected > limit:", _HEADERS),
    _refusal("arrays: objects", _ARRAYS, "if dtype.hasobject:", _HEADERS),
    Guard("YAML: tags", _YAML, "yaml.SafeLoader", "yaml.UnsafeLoader", _PLAIN),
    Guard("YAML: aliases", _YAML, "        _require_modest(node)\n", "", f"{_PLAIN} -k itself"),
    Guard("JSON: depth", _JSON, "if (depth := depth + 1) > _MAX_DEPTH:", "if False:", _RECORDS),
    Guard("JSON: no numbers", _JSON, ", parse_constant=_refuse", "", _RECORDS),
    Guard("files: atomic writes", _STORAGE,
          "        temporary = _beside(path)\n        try:\n            with temporary",
          "        temporary = path\n        try:\n            with temporary", _STORED),
    Guard("files: nothing is overwritten", _STORAGE, "        if not _is_vacant(path):\n", "        if False:\n",
          _STORED),
    Guard("cache: lock", _CACHE, "        with lock:\n", "        if lock:\n", _CACHED),
    Guard("cache: seal", _CACHE, " and seal.read_text() == sha256_file(place)", "", _CACHED),
    Guard("terminal: control characters", "edgeres/console.py", "{clean_lines(str(error))}", "{error}",
          "tests/edgeres/test_console.py"),
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", metavar="NAME")
    parser.add_argument("--state", type=Path, default=Path("build/guards.jsonl"))
    options = parser.parse_args()
    chosen = [guard for guard in GUARDS if options.only in (None, guard.name)]
    with tempfile.TemporaryDirectory() as place:
        copy = Path(place)
        for name in COPIED:
            source = ROOT / name
            shutil.copytree(source, copy / name) if source.is_dir() else shutil.copy(source, copy)
        rows = _rows(chosen, copy, options.state)
    missed = [name for name, told in rows.items() if not told]
    print(f"{len(rows) - len(missed)} of {len(rows)} removals make a test fail; not: {missed}")
    if options.only is None:
        save("guards", {"guards": len(rows), "told": len(rows) - len(missed), "missed": missed, "first_failure": rows})


def _rows(guards: list[Guard], copy: Path, state: Path) -> dict[str, str]:
    """Guard -> the first test that fails without it, or nothing."""
    state.parent.mkdir(parents=True, exist_ok=True)
    rows: dict[str, str] = {}
    for line in state.read_text().splitlines() if state.exists() else ():
        rows.update(json.loads(line))
    passed: set[str] = set()
    for guard in sorted(guards, key=lambda each: each.tests):
        if guard.name in rows:
            continue
        if guard.tests not in passed and (failure := _failure(guard.tests, copy)) is not None:
            raise SystemExit(f"{guard.tests} fails with all guards in place: {failure}")
        passed.add(guard.tests)
        rows[guard.name] = _removed(guard, copy)
        with state.open("a") as stream:
            stream.write(json.dumps({guard.name: rows[guard.name]}) + "\n")
        print(f"{guard.name}: {rows[guard.name] or 'NOTHING FAILS'}", flush=True)
    return {guard.name: rows[guard.name] for guard in guards}


def _removed(guard: Guard, copy: Path) -> str:
    """The first test that fails without the guard, or nothing."""
    place = copy / guard.file
    whole = place.read_text()
    if whole.count(guard.piece) != 1:
        raise SystemExit(f"{guard.name}: {guard.file} has its piece {whole.count(guard.piece)} times")
    place.write_text(whole.replace(guard.piece, guard.without))
    try:
        return _failure(guard.tests, copy) or ""
    finally:
        place.write_text(whole)


def _failure(tests: str, copy: Path) -> str | None:
    """The first test that fails, None where all pass."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-o", "timeout=300", "--no-header"]
    done = subprocess.run([*command, *tests.split()], cwd=copy, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return None
    failed = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return failed[0].partition(" ")[2].partition(" - ")[0] if failed else f"exit code {done.returncode}"


if __name__ == "__main__":
    main()
