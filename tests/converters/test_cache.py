from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from converters.cache import cached, folder, key_of
from edgeres.errors import OutputError


@pytest.fixture(autouse=True)
def _own(own_cache: Path) -> None:
    pass


class Made:
    """Counts how often it was asked to make its content."""

    def __init__(self, content: bytes = b"result") -> None:
        self.times, self.content = 0, content

    def __call__(self) -> bytes:
        self.times += 1
        return self.content


def test_equal_inputs_are_computed_once_and_others_again() -> None:
    made = Made()
    keys = [key_of({"a": 1, "b": [2]}), key_of({"b": [2], "a": 1}), key_of({"a": 1, "b": [3]})]
    assert keys[0] == keys[1] != keys[2]
    paths = [cached("step", key, made, suffix=".bin") for key in keys]
    assert made.times == 2
    assert paths[0] == paths[1] != paths[2]
    assert [path.read_bytes() for path in paths] == [b"result"] * 3
    cached("other", keys[0], made, suffix=".bin")
    assert made.times == 3


@pytest.mark.parametrize("damage", ["altered", "cut", "gone", "no seal", "another seal"])
def test_a_damaged_entry_is_computed_again(damage: str) -> None:
    path = cached("step", "key", Made(), suffix=".bin")
    seal = path.with_name(f"{path.name}.sha256")
    if damage == "altered":
        path.write_bytes(b"resulT")
    elif damage == "cut":
        path.write_bytes(b"")
    elif damage == "gone":
        path.unlink()
    elif damage == "no seal":
        seal.unlink()
    else:
        seal.write_text("0" * 64)
    made = Made()
    assert cached("step", "key", made, suffix=".bin") == path
    assert made.times == 1
    assert path.read_bytes() == b"result"
    cached("step", "key", made, suffix=".bin")
    assert made.times == 1


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()])
def test_what_fails_leaves_no_entry_and_can_be_tried_again(error: BaseException) -> None:
    def fail() -> bytes:
        raise error

    with pytest.raises(type(error)):
        cached("step", "key", fail, suffix=".bin")
    assert not list(folder().rglob("*.bin*.part"))
    made = Made()
    cached("step", "key", made, suffix=".bin")
    assert made.times == 1


PROCESSES, REPEATS = 8, 20

ASK = """
import hashlib, os, sys, time
from pathlib import Path
from converters.cache import cached
marks, processes, repeats = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
for number in range(repeats):
    (marks / f"ready-{number}-{os.getpid()}").touch()
    while len(list(marks.glob(f"ready-{number}-*"))) < processes:
        time.sleep(0.005)
    def make():
        (marks / f"made-{number}-{os.getpid()}").touch()
        time.sleep(0.1)
        return f"made by {os.getpid()}".encode()
    print(hashlib.sha256(cached("step", f"key{number}", make, suffix=".bin").read_bytes()).hexdigest())
"""


def test_eight_processes_that_ask_at_once_compute_once_and_get_the_same_twenty_times(tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    command = [sys.executable, "-c", ASK, str(marks), str(PROCESSES), str(REPEATS)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(PROCESSES)]
    said = [process.communicate(timeout=300)[0].split() for process in processes]
    assert said == [said[0]] * PROCESSES
    assert len(said[0]) == REPEATS
    assert [len(list(marks.glob(f"made-{number}-*"))) for number in range(REPEATS)] == [1] * REPEATS


HOLD = """
import sys, time
from pathlib import Path
from converters.cache import cached
def make():
    Path(sys.argv[1]).touch()
    time.sleep(600)
cached("step", "held", make, suffix=".bin")
"""


def test_the_lock_of_a_killed_process_is_no_hindrance(tmp_path: Path) -> None:
    mark = tmp_path / "holds"
    with subprocess.Popen([sys.executable, "-c", HOLD, str(mark)]) as holder:
        deadline = time.monotonic() + 120
        while not mark.exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        holder.kill()
    made = Made()
    assert cached("step", "held", made, suffix=".bin").read_bytes() == b"result"
    assert made.times == 1


def test_it_lives_where_the_environment_says(own_cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert folder() == own_cache
    assert cached("step", "key", Made(), suffix=".bin").is_relative_to(own_cache)
    monkeypatch.delenv("EDGERES_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert folder() == tmp_path / "xdg" / "edgeres"


def test_a_cache_that_cannot_be_written_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("EDGERES_CACHE", str(tmp_path / "file"))
    with pytest.raises(OutputError, match="cannot write"):
        cached("step", "key", Made(), suffix=".bin")
