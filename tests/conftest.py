from __future__ import annotations

import logging
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.golden import Golden
from tests.trained import Bundles, Trained, bundle_maker, train_tiny

CIFAR10 = Path(__file__).parents[2] / "shared" / "data" / "cifar10-jpeg.tar.xz"

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Tests compare bits across processes; a training in this one would switch oneDNN on for all that come after it.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

# A shell starts what it puts into the background with Ctrl-C ignored, and every child would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite the golden files with what is found")


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Neither read nor fill the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGERES_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache for one test."""
    monkeypatch.setenv("EDGERES_CACHE", str(tmp_path / "own-cache"))
    return tmp_path / "own-cache"


@pytest.fixture(scope="session")
def golden(request: pytest.FixtureRequest) -> Golden:
    return Golden(update=bool(request.config.getoption("--update-golden")))


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """One tiny network trained on the digits by the real command; whoever alters it makes a copy first."""
    return train_tiny(tmp_path_factory.mktemp("trained") / "run")


@pytest.fixture(scope="session")
def bundles(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Bundles:
    """The bundle that a recipe makes of it, by the recipe's name."""
    return bundle_maker(trained, tmp_path_factory.mktemp("bundles"))


@pytest.fixture
def restored_logging() -> Iterator[None]:
    """A command owns the logging of its process; pytest wants its own back."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    logging.captureWarnings(False)


@pytest.fixture(scope="session")
def cifar10(pytestconfig: pytest.Config) -> Path:
    """The JPEG copy, unpacked once and kept in pytest's cache."""
    if not CIFAR10.is_file():
        pytest.skip("the CIFAR-10 JPEG copy is not at ../shared/data/cifar10-jpeg.tar.xz")
    if pytestconfig.pluginmanager.hasplugin("cacheprovider"):
        folder = pytestconfig.cache.mkdir("cifar10")
    else:
        pytest.skip("pytest's cache is switched off, there is nowhere to unpack CIFAR-10")
    if not (folder / "complete").exists():
        subprocess.run(["tar", "-xf", CIFAR10, "-C", folder], check=True)  # noqa: S607 - six times faster than tarfile
        (folder / "complete").touch()
    return folder
