from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

STRICT = ("-std=c++17", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wno-sign-conversion", "-Werror")

Compile = Callable[..., Path]


@pytest.fixture(scope="session")
def compiled() -> Compile:
    """Compile C++ files of a folder into a program there, by name; a warning is an error."""
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("g++ is not installed")

    def compile_(folder: Path, *names: str, options: tuple[str, ...] = ()) -> Path:
        command = [compiler, *STRICT, *options, *names, "-o", "program"]
        done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
        assert done.returncode == 0, done.stderr[:4000]
        return folder / "program"

    return compile_
