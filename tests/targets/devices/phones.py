"""Phones for tests: fake ones, behind an adb server of the test's own, whose port and home are no user's."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from targets.devices import adb
from targets.devices.android import AndroidDevice
from targets.devices.device import Entry
from tests.targets.devices import benchmark_model
from tests.targets.devices.adbd import Phone
from tests.targets.devices.server import free_port

ADB = shutil.which("adb")
SKIPPED = "adb is not installed: apt-get install adb"


def server_environment(home: Path) -> dict[str, str]:
    return {"HOME": str(home), "ANDROID_USER_HOME": str(home), "ANDROID_ADB_SERVER_PORT": str(free_port())}


def stop_server(environment: dict[str, str]) -> None:
    """End a server, by force where it does not: adb 29 now and then waits for threads of its own, for ever."""
    assert ADB is not None
    address = f"tcp:{environment['ANDROID_ADB_SERVER_PORT']}".encode()
    try:
        subprocess.run([ADB, "kill-server"], env={**os.environ, **environment}, capture_output=True, timeout=30)
    except subprocess.TimeoutExpired:
        for entry in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if address in (entry / "cmdline").read_bytes().split(b"\0"):
                    os.kill(int(entry.name), signal.SIGKILL)


@pytest.fixture(scope="session")
def adb_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of an adb server that is this session's own."""
    if ADB is None:
        pytest.skip(SKIPPED)
    environment = server_environment(tmp_path_factory.mktemp("adb"))
    start = [ADB, "start-server"]  # which takes seconds, and is none of the steps that tests put a bound to
    subprocess.run(start, env={**os.environ, **environment}, capture_output=True, timeout=240, check=True)
    yield environment
    stop_server(environment)


@pytest.fixture
def adb_home(adb_server: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Lets this process use that server."""
    for name in ("ADB_SERVER_SOCKET", "ANDROID_SERIAL", "EDGERES_BENCHMARK_MODEL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in adb_server.items():
        monkeypatch.setenv(name, value)
    patient = adb.Patience(connect=240, command=240, run=600)  # for a machine on which much else runs
    monkeypatch.setattr(adb, "PATIENCE", patient)
    return Path(adb_server["HOME"])


@pytest.fixture(scope="session")
def tool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stand-in for `benchmark_model`, as a program."""
    path = tmp_path_factory.mktemp("tool") / "benchmark_model"
    path.write_text(f"#!{sys.executable}\n{Path(str(benchmark_model.__file__)).read_text()}")
    return path


@pytest.fixture
def phone(adb_home: Path, tmp_path: Path) -> Iterator[Phone]:
    """A phone whose folder is empty again at the end."""
    made = Phone(tmp_path / "phone")
    yield made
    made.close()


@pytest.fixture
def android(phone: Phone, tool: Path) -> Iterator[AndroidDevice]:
    """The device that the phone is."""
    made = AndroidDevice(Entry("phone", f"adb://{phone.serial}", {"benchmark": str(tool)}))
    yield made
    made.close()
