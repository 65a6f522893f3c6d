from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

STRICT = ("-std=c++17", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wno-sign-conversion", "-Werror")

Compile = Callable[..., Path]


@pytest.fixture(scope="session")
def compiler() -> str:
    found = shutil.which("g++")
    if found is None:
        pytest.skip("g++ is not installed")
    return found


@pytest.fixture(scope="session")
def compiled(compiler: str) -> Compile:
    """Compile C++ files of a folder into a program there, by name; a warning is an error."""

    def compile_(folder: Path, *names: str, options: tuple[str, ...] = ()) -> Path:
        command = [compiler, *STRICT, *options, *names, "-o", "program"]
        done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
        assert done.returncode == 0, done.stderr[:4000]
        return folder / "program"

    return compile_
