from __future__ import annotations

import pytest

from edgeres.errors import ConfigError
from targets.devices.address import Address, parse_address
from targets.devices.device import Entry
from targets.devices.ssh import SshDevice
from tests.targets.devices.hostile import HOSTILE


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("ssh://pi", Address("pi")),
        ("ssh://me@pi.local:2222", Address("pi.local", "me", 2222)),
        ("ssh://me@192.168.0.2", Address("192.168.0.2", "me")),
        ("ssh://me@[fe80::1%eth0]:22", Address("fe80::1%eth0", "me", 22)),
        ("ssh://my_user-1.x@my_alias", Address("my_alias", "my_user-1.x")),
    ],
)
def test_addresses(url: str, expected: Address) -> None:
    assert parse_address(url) == expected
    assert f"ssh://{expected}" == url


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("form", ["ssh://{}", "ssh://me@{}", "ssh://{}@pi", "ssh://pi:{}", "{}ssh://pi"])
def test_what_is_hostile_is_no_address(text: str, form: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_address(form.format(text))
    assert str(caught.value).isprintable() or "\n" in str(caught.value)
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "url", ["ssh://pi-", "ssh://-pi", "ssh://pi:0", "ssh://pi:65536", "ssh://pi:22:22", "ssh://@pi"]
)
def test_what_is_nearly_an_address_is_none(url: str) -> None:
    with pytest.raises(ConfigError, match="expected ssh://USER@HOST:PORT"):
        parse_address(url)


def test_a_password_on_the_command_line_is_refused_and_not_repeated() -> None:
    with pytest.raises(ConfigError, match="does not belong on a command line") as caught:
        parse_address("ssh://me:secret@pi")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("python", ["-c", "--version", "", "a\nb", "\x00"])
def test_a_python_that_could_be_something_else_is_refused(python: str) -> None:
    with pytest.raises(ConfigError, match="expected the path of a Python"):
        SshDevice(Entry("pi", "ssh://pi", {"python": python}))
