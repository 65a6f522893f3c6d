"""aarch64 userlands for qemu-user: Debian's Python from its packages, numpy and a runtime from their wheels.

Nothing is installed: packages are unpacked into a folder. For function alone; a time under emulation says nothing.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from filelock import FileLock

from edgeres.storage import sha256_bytes
from tests.targets.devices.server import run

QEMU = shutil.which("qemu-aarch64-static") or shutil.which("qemu-aarch64")
PLATFORMS = ("manylinux2014_aarch64", "manylinux_2_27_aarch64", "manylinux_2_28_aarch64")


@dataclass(frozen=True)
class Debian:
    """A release of Debian, the version of its Python, and the wheels that the device has."""

    release: str
    python: str
    wheels: tuple[str, ...]

    @property
    def packages(self) -> tuple[str, ...]:
        """What the device has of Debian, beside what these need."""
        return f"python{self.python}-minimal", f"libpython{self.python}-stdlib", "libstdc++6", "libgcc-s1", "zlib1g"


BOOKWORM = Debian("bookworm", "3.11", ("numpy", "ai-edge-litert<2.2"))
"""Runtimes from 2.2 on crash under qemu 7.2."""

BULLSEYE = Debian("bullseye", "3.9", ("numpy", "ai-edge-litert==2.1.0"))

BULLSEYE_BEFORE_LITERT = Debian("bullseye", "3.9", ("numpy<2", "tflite-runtime==2.13.0"))
"""Its C library is too old for the wheel of 2.14 for aarch64."""


class Absent(Exception):  # noqa: N818 - a reason to skip
    """A program, or a source of packages, that is not there. Whatever else fails is a failure."""


NOT_THERE = (
    "Unable to locate package",
    "has no installation candidate",
    "Failed to fetch",
    "Could not resolve",
    "Could not connect",
    "Temporary failure",
    "No matching distribution found",
    "Failed to establish a new connection",
    "Network is unreachable",
    "No module named pip",
)
"""What apt, pip, and Python without pip print where a source cannot be reached, or lacks a package."""


def kept_userland(debian: Debian, cache: pytest.Cache | None) -> Path:
    """The program that is its Python, kept for the next run; skips where it cannot be made."""
    assert cache is not None
    folder = cache.mkdir("aarch64") / sha256_bytes(Path(__file__).read_bytes() + repr(debian).encode())[:16]
    with FileLock(f"{folder}.lock"):
        if not (folder / "complete").exists():
            folder.mkdir(exist_ok=True)
            try:
                _make(folder, debian)
            except Absent as reason:
                pytest.skip(str(reason))
            (folder / "complete").touch()
    return folder / "python3"


def _make(folder: Path, debian: Debian) -> None:
    if QEMU is None:
        raise Absent("qemu-aarch64-static is not installed: apt-get install qemu-user-static")
    root, python = folder / "root", folder / "python3"
    for package in _packages(folder, debian):
        run(need("dpkg"), "-x", package, root)
    site = root / "usr" / "lib" / "python3" / "dist-packages"
    for wheel in _wheels(folder, debian):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(site)
    # What starts further processes must start them through qemu, too.
    (site / "executable.pth").write_text(f"import sys; sys.executable = {str(python)!r}\n")
    python.write_text(f'#!/bin/sh\nexec {QEMU} -L {root} {root}/usr/bin/python{debian.python} "$@"\n')
    python.chmod(0o755)


def _packages(folder: Path, debian: Debian) -> list[Path]:
    state, cache, sources = folder / "state", folder / "cache", folder / "sources.list"
    for path in (state / "lists" / "partial", cache / "archives" / "partial"):
        path.mkdir(parents=True, exist_ok=True)
    (state / "status").touch()
    sources.write_text(f"deb {_mirror()} {debian.release} main\n")
    settings = {
        "Dir::State": state,
        "Dir::State::status": state / "status",
        "Dir::Cache": cache,
        "Dir::Etc::SourceList": sources,
        "Dir::Etc::SourceParts": "/dev/null",
        "APT::Architecture": "arm64",
        "APT::Architectures": "arm64",
        "Debug::NoLocking": "1",
    }
    apt = [need("apt-get"), "-qq", *(word for name, value in settings.items() for word in ("-o", f"{name}={value}"))]
    fetch(f"the lists of {debian.release}'s packages for arm64", *apt, "update")
    what = f"Debian's Python {debian.python} for arm64"
    fetch(what, *apt, "-y", "--no-install-recommends", "-d", "install", *debian.packages)
    return sorted((cache / "archives").glob("*.deb"))


def _mirror() -> str:
    """Where this machine has Debian's packages from; other releases of it lie there, too."""
    filters = ("Created-By: Packages", "Origin: Debian", "Label: Debian")
    found = fetch("the mirror of Debian", need("apt-get"), "indextargets", "--format", "$(REPO_URI)", *filters).split()
    if not found:
        raise Absent("apt has no lists of Debian's packages here: apt-get update")
    return found[0]


def _wheels(folder: Path, debian: Debian) -> list[Path]:
    platforms = [word for name in PLATFORMS for word in ("--platform", name)]
    version = ("--python-version", debian.python.replace(".", ""))
    words = ("--no-deps", *version, "--only-binary=:all:", *platforms, "-d", folder / "wheels")
    fetch("numpy and a runtime for aarch64", sys.executable, "-m", "pip", "download", "-q", *words, *debian.wheels)
    return sorted((folder / "wheels").glob("*.whl"))


def need(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        raise Absent(f"{program} is not installed")
    return found


def fetch(what: str, *command: str | Path, seconds: float = 500) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds)
    except subprocess.TimeoutExpired as problem:
        raise Absent(f"{what}: its source does not answer within {seconds:g} s") from problem
    if done.returncode:
        said = done.stderr.strip()[-2000:]
        if any(words in said for words in NOT_THERE):
            raise Absent(f"{what}: {said[-300:]}")
        raise AssertionError(f"{what}: {command} ended with exit code {done.returncode}: {said}")
    return done.stdout
