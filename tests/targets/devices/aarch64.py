"""An aarch64 userland for qemu-user: Debian's Python from its packages, numpy and a runtime from their wheels.

Nothing is installed: packages are unpacked into a folder. For function alone; a time under emulation says nothing.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

QEMU = shutil.which("qemu-aarch64-static") or shutil.which("qemu-aarch64")
PACKAGES = ("python3.11-minimal", "libpython3.11-stdlib", "libstdc++6", "libgcc-s1", "zlib1g", "libssl3", "libffi8")
WHEELS = ("numpy", "ai-edge-litert<2.2")
"""Runtimes from 2.2 on crash under qemu 7.2."""

PLATFORMS = ("manylinux2014_aarch64", "manylinux_2_27_aarch64", "manylinux_2_28_aarch64")


class Absent(Exception):  # noqa: N818 - a reason to skip
    """A part of the userland cannot be had here."""


def make_userland(folder: Path) -> Path:
    """Make it in a folder that exists; returns a program that is its Python.

    Raises:
        Absent: says which part.
    """
    if QEMU is None:
        raise Absent("qemu-aarch64-static is not installed: apt-get install qemu-user-static")
    root, python = folder / "root", folder / "python3"
    for package in _packages(folder):
        _run("unpacking a package", "dpkg", "-x", package, root)
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
    apt = ["apt-get", "-qq", *(word for name, value in settings.items() for word in ("-o", f"{name}={value}"))]
    _run("the lists of Debian's packages for arm64", *apt, "update")
    _run("Debian's Python 3.11 for arm64", *apt, "-y", "--no-install-recommends", "-d", "install", *PACKAGES)
    return sorted((cache / "archives").glob("*.deb"))


def _wheels(folder: Path) -> list[Path]:
    platforms = [word for name in PLATFORMS for word in ("--platform", name)]
    words = ("--no-deps", "--python-version", "311", "--only-binary=:all:", *platforms, "-d", folder / "wheels")
    _run("numpy and a runtime for aarch64", sys.executable, "-m", "pip", "download", "-q", *words, *WHEELS)
    return sorted((folder / "wheels").glob("*.whl"))


def _run(what: str, *command: str | Path) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=500)
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise Absent(f"{what}: {problem}") from problem
    if done.returncode:
        raise Absent(f"{what}: {done.stderr.strip()[-300:]}")
