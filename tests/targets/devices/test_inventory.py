from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgeres.errors import ConfigError, OutputError
from targets.devices import DEVICES
from targets.devices.android import AndroidDevice
from targets.devices.device import Entry
from targets.devices.inventory import (
    add_entry,
    find_entry,
    inventory_path,
    open_entry,
    read_inventory,
    remove_entry,
    require_url,
)
from targets.devices.ssh import SshDevice

ROOT = Path(__file__).parents[3]


class Toy:
    """A kind of device that knows one key, and is its entry."""

    def open(self, entry: Entry) -> Entry:
        entry.require_options("colour")
        return entry


TOY = Toy()


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setitem(DEVICES, "toy", f"{__name__}:TOY")
    monkeypatch.setenv("EDGERES_DEVICES", str(tmp_path / "config" / "devices.toml"))
    return tmp_path / "config" / "devices.toml"


def test_what_is_added_is_read_back(file: Path) -> None:
    one, two = Entry("pi4", "toy://me@there:22", {"colour": 'red "\\\n\x7fü'}), Entry("phone", "toy://1")
    add_entry(one)
    add_entry(two)
    assert list(read_inventory().values()) == [one, two]
    assert file.read_text().startswith('[pi4]\nurl = "toy://me@there:22"\n')
    remove_entry("pi4")
    assert list(read_inventory()) == ["phone"]


def test_comments_and_other_tables_survive_adding_and_removing(file: Path) -> None:
    file.parent.mkdir()
    file.write_text('# mine\n[a]\nurl = "toy://a" # behind the door\n\n[ "b" ]\nurl = "toy://b"\n')
    add_entry(Entry("c", "toy://c"))
    remove_entry("c")
    assert file.read_text().rstrip() == '# mine\n[a]\nurl = "toy://a" # behind the door\n\n[ "b" ]\nurl = "toy://b"'
    remove_entry("b")  # in a form that is not written here: the file is written anew
    assert list(read_inventory()) == ["a"]
    remove_entry("a")
    assert read_inventory() == {}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[a", "is not TOML"),
        ("\x00", "is not TOML"),
        ("a = 1", "expected a table"),
        ("[a]\ncolour = 'red'", "expected a table"),
        ("[a]\nurl = 'toy://a'\ncolour = 3", "a.colour: expected a text"),
        ("[a]\nurl = 'nix://a'", "is not the address of a device"),
        ("[a]\nurl = 'toy://a/cpu'", "is not the address of a device"),
        ("['a b']\nurl = 'toy://a'", "cannot be the name"),
        ("[all]\nurl = 'toy://a'", "cannot be the name"),
        ("[-a]\nurl = 'toy://a'", "cannot be the name"),
    ],
)
def test_a_file_that_is_no_inventory_says_what_is_wrong(file: Path, content: str, message: str) -> None:
    file.parent.mkdir()
    file.write_text(content)
    with pytest.raises(ConfigError, match=message) as caught:
        read_inventory()
    assert caught.value.fix
    assert str(file) in str(caught.value)


def test_bytes_that_are_no_text_are_an_error(file: Path) -> None:
    file.parent.mkdir()
    file.write_bytes(b"\xff\xfe[a]")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_inventory()


def test_a_name_that_is_not_there_gets_the_nearest(file: Path) -> None:
    with pytest.raises(ConfigError, match="edgeres devices add pi5"):
        find_entry("pi5")
    add_entry(Entry("pi4", "toy://pi"))
    with pytest.raises(ConfigError, match="did you mean 'pi4'"):
        find_entry("pi5")
    assert find_entry("toy://pi") == Entry("toy://pi", "toy://pi")


def test_what_does_not_fit_is_not_written(file: Path) -> None:
    add_entry(Entry("a", "toy://a"))
    before = file.read_bytes()
    for wrong in (
        Entry("a", "toy://b"),
        Entry("b", "toy://b", {"color": "red"}),
        Entry("b", "nix://b"),
        Entry("b\n[c]", "toy://b"),
        Entry("b", "toy://b", {"colour]\n[x": "red"}),
    ):
        with pytest.raises(ConfigError):
            add_entry(wrong)
    with pytest.raises(ConfigError, match="no device 'b'"):
        remove_entry("b")
    assert file.read_bytes() == before


def test_an_unknown_key_is_named_when_the_device_is_opened() -> None:
    with pytest.raises(ConfigError, match=r"unknown key 'colr'(.|\n)*did you mean 'colour'"):
        open_entry(Entry("a", "toy://a", {"colr": "red"}))


def test_the_time_limits_of_a_device_are_keys_of_its_table() -> None:
    keys = {"connect_s": "40", "timeout_s": "2.5"}
    box, phone = open_entry(Entry("box", "ssh://pi", keys)), open_entry(Entry("phone", "adb://1234", keys))
    assert isinstance(box, SshDevice)
    assert isinstance(phone, AndroidDevice)
    assert (box.patience.connect, box.patience.reconnect, box.patience.call) == (40, 80, 2.5)
    assert (phone.adb.patience.connect, phone.adb.patience.run) == (40, 2.5)


@pytest.mark.parametrize("url", ["ssh://pi", "adb://1234"])
@pytest.mark.parametrize("text", ["", "0", "0.5", "-5", "nan", "inf", "1e3", "86401", "5 s", "9" * 5000, "٣"])
def test_what_is_no_time_limit_is_refused(url: str, text: str) -> None:
    for key in ("connect_s", "timeout_s"):
        with pytest.raises(ConfigError, match=f"expected {key} in 1…86400 seconds") as caught:
            open_entry(Entry("a", url, {key: text}))
        assert len(str(caught.value)) < 300


@pytest.mark.parametrize("url", ["", "toy:/a", "toy://", "toy://a b", "toy://a\n", "TOY://a", "://a", "toy://a/b"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="is not the address of a device"):
        require_url(url, where="here")


def test_the_users_configuration_folder_is_the_usual_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("EDGERES_DEVICES")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert inventory_path() == tmp_path / "edgeres" / "devices.toml"


def test_a_place_that_cannot_be_written_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        add_entry(Entry("a", "toy://a"), tmp_path / "file" / "devices.toml")


def test_adding_from_several_processes_at_once_loses_none(file: Path) -> None:
    code = f"import sys; from targets.devices import DEVICES; DEVICES['toy'] = '{__name__}:TOY'\n"
    code += "from targets.devices.inventory import *; from targets.devices.device import Entry\n"
    code += "[add_entry(Entry(f'{sys.argv[1]}{i}', 'toy://a')) for i in range(5)]"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    running = [subprocess.Popen([sys.executable, "-c", code, name], env=environment) for name in "abc"]
    assert [process.wait(60) for process in running] == [0, 0, 0]
    assert sorted(read_inventory()) == sorted(f"{name}{i}" for name in "abc" for i in range(5))
