"""Runs files through `inspect`, `evaluate` and `profile` in a process that is watched: how each ended, in what.

The process runs one file after the other by the functions of the command line, for a start takes longer than a file.
Whatever it leaves running becomes a child of the watcher, which is how an orphan is noticed.
"""

from __future__ import annotations

import io
import json
import os
import resource
import select
import subprocess
import sys
import tempfile
import time
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.processes import adopt_orphans, alive, children

GIVEN_UP_SECONDS = 120.0
ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Ending:
    """Of one command on one file: `code` as the shell would see it, None where the tool died or hung.

    `seconds`: wall clock. `peak_bytes`: resident memory of the tool or a child of it, 0 where a file before it took
    more. `said`: the first line of the error. `valid`: what it measured could be read again.
    """

    command: str
    code: int | None
    seconds: float
    peak_bytes: int
    said: str = ""
    valid: bool = True


class Gauntlet:
    """The watched process; started again when a file has ended it."""

    def __init__(self, source: str, folder: Path) -> None:
        self._source, self._folder = source, folder
        self._process: subprocess.Popen[bytes] | None = None
        adopt_orphans()
        self._others = set(children(os.getpid()))

    def run(self, content: bytes, *, cli: bool = False) -> list[Ending]:
        """All commands on one file; `cli`: as processes of their own."""
        place = self._folder / "file.tflite"
        place.write_bytes(content)
        if cli:
            return [_ended_alone(*each) for each in _commands(str(place), self._source)]
        process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps([str(place), self._source]).encode() + b"\n")
        process.stdin.flush()
        began = time.monotonic()
        answered = select.select([process.stdout], [], [], GIVEN_UP_SECONDS)[0]
        line = process.stdout.readline() if answered else b""
        if not line:
            process.kill()
            code = process.wait()
            self._process = None
            return [Ending("all", None, time.monotonic() - began, 0, f"hung or died: {code}")]
        return [Ending(**each) for each in json.loads(line)]

    def orphans(self) -> list[int]:
        """Processes that are left: children of the watched process after its commands have ended, or lost ones.

        The kernel takes a moment to end what was tied to a killed process.
        """
        own = set() if self._process is None else {self._process.pid}
        deadline = time.monotonic() + 2
        while left := alive((set(children(os.getpid())) - own - self._others).union(*map(children, own))):
            if time.monotonic() > deadline:
                break
            time.sleep(0.05)
        return left

    def _start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "tests.gauntlet"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT)
        return self._process

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def main() -> None:
    """The watched process: a line in, a line out."""
    answers = os.fdopen(os.dup(1), "w")
    with Path(os.devnull).open("w") as nothing:
        os.dup2(nothing.fileno(), 1)
        for line in sys.stdin:
            path, source = json.loads(line)
            answers.write(
                json.dumps([vars(ending) for ending in map(_ended, *zip(*_commands(path, source), strict=True))]) + "\n"
            )
            answers.flush()


def _commands(path: str, source: str) -> list[tuple[list[str], Path]]:
    """The command lines, and where each writes its result."""
    out = Path(path).with_suffix(".json")
    options = {"inspect": [], "evaluate": ["--data", source, "--preprocess", "raw"], "profile": []}
    return [([command, path, *own, "--json", str(out)], out) for command, own in options.items()]


def _ended_alone(arguments: list[str], out: Path) -> Ending:
    """Run the command line itself; whose latency tests run beside it must not be waited for."""
    out.unlink(missing_ok=True)
    began = time.monotonic()
    with tempfile.TemporaryFile("w+") as errors, tempfile.TemporaryDirectory() as own:
        command = [sys.executable, str(ROOT / "cli.py"), *arguments]
        environment = {**os.environ, "TMPDIR": own}
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors, env=environment)
        pid = 0
        while not pid and time.monotonic() < began + GIVEN_UP_SECONDS:
            time.sleep(0.02)
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        process.returncode = os.waitstatus_to_exitcode(status) if pid else None
        if not pid:
            process.kill()
            process.wait()
        errors.seek(0)
        said = next((line for line in errors.read().splitlines() if "rror" in line), "")
    code = process.returncode if pid else None
    peak = usage.ru_maxrss << 10  # its own, and of its children
    valid = code != 0 or _valid(arguments[0], out)
    return Ending(arguments[0], code, round(time.monotonic() - began, 2), peak, said[:200], valid)


def _ended(arguments: list[str], out: Path) -> Ending:
    from edgeres.console import run

    out.unlink(missing_ok=True)
    said, began, before = io.StringIO(), time.monotonic(), _peak_bytes()
    code: int | None
    try:
        with redirect_stdout(io.StringIO()), redirect_stderr(said):
            code = run(arguments)
        line = next((line for line in said.getvalue().splitlines() if line.startswith("error:")), "")
    except Exception as bug:  # noqa: BLE001 - to be counted
        code, line = 1, f"{type(bug).__name__}: {bug}"
    seconds = time.monotonic() - began
    peak = _peak_bytes()
    peak = 0 if peak == before else peak
    valid = code != 0 or _valid(arguments[0], out)
    return Ending(arguments[0], code, round(seconds, 2), peak, line[:200], valid)


def _peak_bytes() -> int:
    return max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) << 10


def _valid(command: str, out: Path) -> bool:
    """Whether a result that was written can be read, and is finite."""
    from edgeres.records import read_json
    from edgeres.results import read_result

    if command == "inspect":
        return isinstance(read_json(out), dict)
    result: Any = read_result(out)
    return len(result.artifacts) == 1


if __name__ == "__main__":
    # Whose latency tests run beside this one must not be waited for.
    with tempfile.TemporaryDirectory(prefix="edgeres-gauntlet-") as own:
        os.environ["TMPDIR"] = tempfile.tempdir = own
        main()
