from __future__ import annotations

import ctypes
import logging
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from filelock import FileLock

from tests.golden import Golden
from tests.processes import leave_orphans
from tests.trained import Bundles, Trained, bundle_maker, train_tiny

CIFAR10 = Path(__file__).parents[2] / "shared" / "data" / "cifar10-jpeg.tar.xz"

_MNT_DETACH = 2

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Tests compare bits across processes; a training in this one would switch oneDNN on for all that come after it.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

# Tests run in two processes side by side. What edgeres locks for a whole machine lies in the temporary files' folder:
# each process has its own, or one's latency test would wait, and say so, while the other's runs.
if worker := os.environ.get("PYTEST_XDIST_WORKER"):
    _OWN_TEMPORARY = tempfile.TemporaryDirectory(prefix=f"edgeres-{worker}-")
    Path(_OWN_TEMPORARY.name).chmod(0o711)  # for tests that give up the super-user's rights
    os.environ["TMPDIR"] = tempfile.tempdir = _OWN_TEMPORARY.name

# A shell starts what it puts into the background with Ctrl-C ignored, and every child would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite the golden files with what is found")


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Of a bare `pytest` two processes each take a file at a time, as `make test` has it; what is named runs here."""
    option = config.option
    bare = config.args_source is pytest.Config.ArgsSource.TESTPATHS and not (option.keyword or option.lf)
    watched = option.usepdb or option.collectonly or worker
    if bare and not watched and option.numprocesses is None:
        option.numprocesses, option.dist, option.loadscopereorder = 2, "loadfile", False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files go first, for one at the end would keep a process waiting for the other.

    Those are what runs whole commands, and what has a time limit of its own.
    """
    here = Path(__file__).parent
    long = {item.path for item in items if item.path.parent == here or item.get_closest_marker("timeout")}
    items.sort(key=lambda item: item.path not in long)


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


@pytest.fixture
def disk_of(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """File systems of so many kilobytes."""
    mounted: list[Path] = []
    libc = ctypes.CDLL(None)  # the programs mount and umount take a minute where the table of mounts is long

    def disk(kilobytes: int) -> Path:
        place = tmp_path / f"disk{len(mounted)}"
        place.mkdir()
        if libc.mount(b"none", os.fsencode(place), b"tmpfs", 0, f"size={kilobytes}k".encode()):
            pytest.skip("mounting a small file system is not permitted here")
        mounted.append(place)
        return place

    yield disk
    for place in mounted:
        assert libc.umount2(os.fsencode(place), _MNT_DETACH) == 0


@pytest.fixture(scope="session")
def golden(request: pytest.FixtureRequest) -> Golden:
    return Golden(update=bool(request.config.getoption("--update-golden")))


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """One tiny network trained on the digits by the real command; whoever alters it makes a copy first."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:  # where several processes run the tests, one of them trains it
        base = base.parent
    with FileLock(base / "trained.lock"):
        run = base / "trained" / "run"
        run.parent.mkdir(exist_ok=True)
        complete = run.parent / "complete"
        if not complete.exists():
            shutil.rmtree(run, ignore_errors=True)  # what a process that was killed left
            train_tiny(run)
            complete.touch()
        return Trained(run)


@pytest.fixture(scope="session")
def bundles(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Bundles:
    """The bundle that a recipe makes of it, by the recipe's name."""
    return bundle_maker(trained, tmp_path_factory.mktemp("bundles"))


@contextmanager
def _restored_logging() -> Iterator[None]:
    """A command owns the logging of its process; pytest wants its own back."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    try:
        yield
    finally:
        root.handlers[:] = before[0]
        root.setLevel(before[1])
        logging.captureWarnings(False)


@pytest.fixture(autouse=True)
def _own_orphans() -> Iterator[None]:
    """A test that has adopted what other processes leave behind does so for itself alone."""
    yield
    leave_orphans()


@pytest.fixture(autouse=True)
def _own_logging() -> Iterator[None]:
    """Of each test, whatever commands it runs."""
    with _restored_logging():
        yield


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup() -> Iterator[None]:
    """Of each fixture: one that lives longer than a test would leave its command's logging to the tests after it."""
    with _restored_logging():
        return (yield)


@pytest.fixture(scope="session")
def cifar10(pytestconfig: pytest.Config) -> Path:
    """The JPEG copy, unpacked once and kept in pytest's cache."""
    if not CIFAR10.is_file():
        pytest.skip("the CIFAR-10 JPEG copy is not at ../shared/data/cifar10-jpeg.tar.xz")
    if pytestconfig.pluginmanager.hasplugin("cacheprovider"):
        folder = pytestconfig.cache.mkdir("cifar10")
    else:
        pytest.skip("pytest's cache is switched off, there is nowhere to unpack CIFAR-10")
    with FileLock(folder / "lock"):
        if not (folder / "complete").exists():
            subprocess.run(["tar", "-xf", CIFAR10, "-C", folder], check=True)  # noqa: S607 - six times faster than tarfile
            (folder / "complete").touch()
    return folder
