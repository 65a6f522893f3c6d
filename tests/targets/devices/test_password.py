"""Passwords, against a server of asyncssh's own: sshd takes none of a user who has none."""

from __future__ import annotations

import getpass
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgeres.errors import TargetError
from targets.devices.device import Entry
from targets.devices.patience import Patience
from targets.devices.ssh import SshDevice
from tests.targets.devices.conftest import PATIENT
from tests.targets.devices.server import free_port, run
from tests.targets.devices.time_limit import told_within

pytestmark = [pytest.mark.ssh, pytest.mark.slow]

pytest.importorskip("asyncssh")

LIMIT = 15.0
"""The usual time limit of a connection, in seconds."""


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A server that takes one password, known to a user who has no keys."""
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "host_key")
    port = free_port()
    (tmp_path / ".ssh").mkdir()
    key = " ".join((tmp_path / "host_key.pub").read_text().split()[:2])
    (tmp_path / ".ssh" / "known_hosts").write_text(f"[127.0.0.1]:{port} {key}\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    program = Path(__file__).with_name("password_server.py")
    command = [sys.executable, str(program), str(port), str(tmp_path / "host_key")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == b"ready\n"
        yield f"ssh://pi@127.0.0.1:{port}"
        server.kill()


def test_a_password_comes_from_the_variable_that_the_inventory_names(
    url: str, device_python: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PI_PASSWORD", "swordfish")
    options = {"python": str(device_python), "password_env": "PI_PASSWORD"}
    device = SshDevice(Entry("pi", url, options), patience=PATIENT)
    try:
        assert not [finding for finding in device.examine() if finding.problem]
    finally:
        device.close()


def refused(device: SshDevice, *, password: str) -> None:
    with told_within(LIMIT), pytest.raises(TargetError) as caught:
        device.call("describe")
    assert "neither your keys nor the password" in caught.value.message
    assert "ssh-copy-id" in str(caught.value.fix)
    assert password not in str(caught.value)


def test_a_wrong_password_is_refused_and_not_shown(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PI_PASSWORD", "sailfish")
    device = SshDevice(Entry("pi", url, {"password_env": "PI_PASSWORD"}), patience=Patience(connect=LIMIT))
    refused(device, password="sailfish")  # noqa: S106 - a wrong one


def test_a_wrong_password_that_is_typed_is_refused_and_not_shown(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(getpass, "getpass", lambda _: "sailfish")
    device = SshDevice(Entry("pi", url), patience=Patience(connect=LIMIT))
    refused(device, password="sailfish")  # noqa: S106 - a wrong one


def test_whoever_sits_at_a_terminal_is_asked_once(
    url: str, device_python: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def answer(prompt: str) -> str:
        asked.append(prompt)
        return "swordfish"

    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(getpass, "getpass", answer)
    device = SshDevice(Entry("pi", url, {"python": str(device_python)}), patience=PATIENT)
    try:
        device.call("describe")
        device.close()
        device.call("describe")
    finally:
        device.close()
    assert asked == [f"password of {url.removeprefix('ssh://')}: "]


def test_nobody_is_asked_where_nobody_sits(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
    found = SshDevice(Entry("pi", url), patience=PATIENT).examine()
    assert "accepts none of your keys" in found[0].found
