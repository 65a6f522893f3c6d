from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from filelock import FileLock

from converters.apps.web import writer
from edgeres.storage import sha256_bytes

PACKAGES = ("package.json", "package-lock.json")


@pytest.fixture(scope="session")
def node() -> str:
    found = shutil.which("node")
    if found is None:
        pytest.skip("Node.js is not installed")
    return found


@pytest.fixture(scope="session")
def node_modules(request: pytest.FixtureRequest) -> Path:
    """What `npm ci` installs by the app's lock file; kept for the next run."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    templates = Path(writer.__file__).parent / "templates"
    cache = request.config.cache
    assert cache is not None
    folder = cache.mkdir("litertjs") / sha256_bytes(b"".join((templates / name).read_bytes() for name in PACKAGES))[:16]
    with FileLock(f"{folder}.lock"):
        if not (folder / "complete").exists():
            folder.mkdir(exist_ok=True)
            for name in PACKAGES:
                shutil.copy(templates / name, folder)
            command = ["npm", "ci", "--no-audit", "--no-fund"]
            done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
            if done.returncode:
                pytest.skip(f"LiteRT.js cannot be installed: {done.stderr.strip().splitlines()[-1:]}")
            (folder / "complete").touch()
    return folder / "node_modules"


@contextmanager
def served(app: Path, node_modules: Path) -> Iterator[str]:
    """The address of an app that its own `serve.py` serves."""
    (app / "node_modules").symlink_to(node_modules)
    command = [sys.executable, str(app / "serve.py"), "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout is not None
        try:
            yield server.stdout.readline().strip()
        finally:
            server.kill()
