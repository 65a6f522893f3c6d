"""Packages of npm for tests, by lock files."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from filelock import FileLock

from edgeres.storage import sha256_bytes

PACKAGES = ("package.json", "package-lock.json")


def npm_ci(cache: pytest.Cache, source: Path) -> Path:
    """What `npm ci` installs by the lock file in a folder; kept for the next run. Skips where that cannot be."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    folder = cache.mkdir("npm") / sha256_bytes(b"".join((source / name).read_bytes() for name in PACKAGES))[:16]
    with FileLock(f"{folder}.lock"):
        if not (folder / "complete").exists():
            folder.mkdir(exist_ok=True)
            for name in PACKAGES:
                shutil.copy(source / name, folder)
            command = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
            done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
            if done.returncode:
                pytest.skip(f"npm cannot install {source.name}: {done.stderr.strip().splitlines()[-1:]}")
            (folder / "complete").touch()
    return folder / "node_modules"
