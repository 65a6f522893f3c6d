"""An aarch64 userland for qemu-user: Debian's Python from its packages, numpy and a runtime from their wheels.

Nothing is installed: packages are unpacked into a folder. For function alone; a time under emulation says nothing.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from tests.targets.devices.server import run

QEMU = shutil.which("qemu-aarch64-static") or shutil.which("qemu-aarch64")
PACKAGES = ("python3.11-minimal", "libpython3.11-stdlib", "libstdc++6", "libgcc-s1", "zlib1g", "libssl3", "libffi8")
WHEELS = ("numpy", "ai-edge-litert<2.2")
"""Runtimes from 2.2 on crash under qemu 7.2."""

PLATFORMS = ("manylinux2014_aarch64", "manylinux_2_27_aarch64", "manylinux_2_28_aarch64")


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


def make_userland(folder: Path) -> Path:
    """Make it in a folder that exists; returns a program that is its Python.

    Raises:
        Absent: says which part.
    """
    if QEMU is None:
        raise Absent("qemu-aarch64-static is not installed: apt-get install qemu-user-static")
    root, python = folder / "root", folder / "python3"
    for package in _packages(folder):
        run(need("dpkg"), "-x", package, root)
    site = root / "usr" / "lib" / "python3" / "dist-packages"
    for wheel in _wheels(folder):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(site)
    # What starts further processes must start them through qemu, too.
    (site / "executable.pth").write_text(f"import sys; sys.executable = {str(python)!r}\n")
    python.write_text(f'#!/bin/sh\nexec {QEMU} -L {root} {root}/usr/bin/python3.11 "$@"\n')
    python.chmod(0o755)
    return python


def _packages(folder: Path) -> list[Path]:
    state, cache = folder / "state", folder / "cache"
    for path in (state / "lists" / "partial", cache / "archives" / "partial"):
        path.mkdir(parents=True, exist_ok=True)
    (state / "status").touch()
    settings = {
        "Dir::State": state,
        "Dir::State::status": state / "status",
        "Dir::Cache": cache,
        "APT::Architecture": "arm64",
        "APT::Architectures": "arm64",
        "Debug::NoLocking": "1",
    }
    apt = [need("apt-get"), "-qq", *(word for name, value in settings.items() for word in ("-o", f"{name}={value}"))]
    fetch("the lists of Debian's packages for arm64", *apt, "update")
    fetch("Debian's Python 3.11 for arm64", *apt, "-y", "--no-install-recommends", "-d", "install", *PACKAGES)
    return sorted((cache / "archives").glob("*.deb"))


def _wheels(folder: Path) -> list[Path]:
    platforms = [word for name in PLATFORMS for word in ("--platform", name)]
    words = ("--no-deps", "--python-version", "311", "--only-binary=:all:", *platforms, "-d", folder / "wheels")
    fetch("numpy and a runtime for aarch64", sys.executable, "-m", "pip", "download", "-q", *words, *WHEELS)
    return sorted((folder / "wheels").glob("*.whl"))


def need(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        raise Absent(f"{program} is not installed")
    return found


def fetch(what: str, *command: str | Path, seconds: float = 500) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds)
    except subprocess.TimeoutExpired as problem:
        raise Absent(f"{what}: its source does not answer within {seconds:g} s") from problem
    if done.returncode:
        said = done.stderr.strip()[-2000:]
        if any(words in said for words in NOT_THERE):
            raise Absent(f"{what}: {said[-300:]}")
        raise AssertionError(f"{what}: {command} ended with exit code {done.returncode}: {said}")
