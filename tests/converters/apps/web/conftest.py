from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from converters.apps.web import writer
from tests.converters.apps.npm import npm_ci


@pytest.fixture(scope="session")
def node() -> str:
    found = shutil.which("node")
    if found is None:
        pytest.skip("Node.js is not installed")
    return found


@pytest.fixture(scope="session")
def node_modules(request: pytest.FixtureRequest) -> Path:
    """What `npm ci` installs by the app's lock file; kept for the next run."""
    cache = request.config.cache
    assert cache is not None
    return npm_ci(cache, Path(writer.__file__).parent / "templates")


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
