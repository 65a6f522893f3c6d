from __future__ import annotations

import subprocess
import sys
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


ASK = """
import os, sys, time
from pathlib import Path
from converters.cache import cached
marks = Path(sys.argv[1])
(marks / f"ready-{os.getpid()}").touch()
while len(list(marks.glob("ready-*"))) < 4:
    time.sleep(0.01)
def make():
    (marks / f"made-{os.getpid()}").touch()
    time.sleep(0.5)
    return b"result"
print(cached("step", "key", make, suffix=".bin").read_bytes())
"""


def test_four_processes_that_ask_at_once_compute_once(tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    command = [sys.executable, "-c", ASK, str(marks)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    said = [process.communicate(timeout=120)[0] for process in processes]
    assert said == ["b'result'\n"] * 4
    assert len(list(marks.glob("made-*"))) == 1


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
