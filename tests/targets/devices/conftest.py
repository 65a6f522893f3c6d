from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from targets.devices.device import Entry
from targets.devices.patience import Patience
from targets.devices.ssh import SshDevice
from tests.targets.devices.phones import adb_home, adb_server, android, phone, tool  # noqa: F401 - fixtures
from tests.targets.devices.proxy import Proxy
from tests.targets.devices.server import SKIPPED, SSHD, USER, Server, make_python

PATIENT = Patience(connect=60, reconnect=60, pause=0.1)
"""For a machine on which much else runs."""

Devices = Callable[..., SshDevice]


@pytest.fixture(scope="session")
def device_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_python(tmp_path_factory.mktemp("device") / "venv", "numpy", "ai-edge-litert")


@pytest.fixture(scope="session")
def running_server(tmp_path_factory: pytest.TempPathFactory, device_python: Path) -> Iterator[Server]:
    if SSHD is None:
        pytest.skip(SKIPPED)
    server = Server(tmp_path_factory.mktemp("sshd"), device_python)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def server(running_server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """The server, from the home folder of a user who knows it."""
    monkeypatch.setenv("HOME", str(running_server.home))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return running_server


@pytest.fixture
def devices(server: Server) -> Iterator[Devices]:
    """Makes devices of the server, which are closed at the end."""
    made: list[SshDevice] = []

    def make(url: str | None = None, *, patience: Patience | None = PATIENT, **options: str) -> SshDevice:
        url, options = url or server.url, {"python": str(server.python), **options}
        made.append(SshDevice(Entry("box", url, options), patience=patience, extra=("tests.targets.engines",)))
        return made[-1]

    yield make
    for device in made:
        device.close()


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    """A proxy before the server, whose host key is known under its port too."""
    opened = Proxy(server.port)
    server.know(opened.port)
    yield opened
    opened.close()


@pytest.fixture
def behind(devices: Devices, proxy: Proxy) -> Callable[..., SshDevice]:
    """Makes devices that are reached through the proxy."""
    return lambda **options: devices(f"ssh://{USER}@127.0.0.1:{proxy.port}", **options)
