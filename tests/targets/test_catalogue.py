from __future__ import annotations

import json
import re
import subprocess
from contextlib import suppress
from importlib import metadata
from pathlib import Path

import pytest

from edgeres.errors import DataError, TargetError
from edgeres.registry import resolve
from targets import TARGETS
from targets.artifact import Artifact
from targets.catalogue import available_target, describe_targets, find_target, open_session
from targets.devices import DEVICES
from targets.runtimes.npu_vendors import VENDORS
from targets.target import Family
from tests.targets.devices.server import make_python
from tests.targets.double import DoubleSession, DoubleTarget

CLI = Path(__file__).parents[2] / "cli.py"

OFF = DoubleTarget(lambda _: DoubleSession(), name="off", why="it is not plugged in")
ALONE = ("browser", "edgetpu")
"""Families that have a member without a name behind the colon."""

ON_THE_MACHINE = {"gpu", "edgetpu[:DEVICE]"}
"""What a driver of the system's own makes available, whatever Python has."""

MODEL = Artifact("m", "path/m.tflite", "tflite", b"")


@pytest.mark.parametrize("name", TARGETS)
def test_every_target_of_the_table_is_there_under_its_name(name: str) -> None:
    target = resolve(TARGETS[name])
    if isinstance(target, Family):
        assert target.usage.startswith((f"{name}:", f"{name}[:"))
        if name in ALONE:
            assert find_target(name).name == name
        else:
            with pytest.raises(TargetError):
                find_target(name)
    else:
        assert find_target(name).name == name
        assert isinstance(target.timed, bool)


def test_an_unknown_target_is_an_error_with_the_nearest_match() -> None:
    with pytest.raises(TargetError, match="did you mean 'reference'"):
        find_target("referense")


def test_a_target_that_takes_no_argument_says_so() -> None:
    with pytest.raises(TargetError, match="takes nothing behind a colon, found 'cpu:8'"):
        find_target("cpu:8")


def test_an_unavailable_target_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TARGETS, "off", f"{__name__}:OFF")
    with pytest.raises(TargetError) as caught:
        available_target("off")
    assert "not plugged in" in str(caught.value)
    assert caught.value.fix == "plug it in"
    (row,) = (row for row in describe_targets() if row["name"] == "off")
    assert row == {
        "name": "off",
        "kind": "cpu",
        "available": False,
        "why": "it is not plugged in",
        "fix": "plug it in",
        "version": None,
    }


def closure(*names: str) -> list[str]:
    """Installed distributions and what they require, without extras."""
    found: list[str] = []
    waiting = list(names)
    while waiting:
        name = waiting.pop().lower().replace("_", "-").replace(".", "-")
        with suppress(metadata.PackageNotFoundError):  # not for this Python
            required = metadata.requires(name) or ()
            if name not in found:
                found.append(name)
                waiting += [re.split(r"[^\w.-]", text)[0] for text in required if "extra ==" not in text]
    return found


@pytest.mark.parametrize("without", [(), ("ai-edge-litert",)], ids=["base", "no runtime"])
def test_where_no_extra_is_installed_every_row_says_what_to_install(tmp_path: Path, without: tuple[str, ...]) -> None:
    packages = [name for name in closure("edgeres") if name not in ("edgeres", *without)]
    assert "numpy" in packages
    assert "asyncssh" not in packages
    python = make_python(tmp_path / "venv", *packages)
    command = [str(python), str(CLI), "targets", "--json", str(tmp_path / "targets.json")]
    environment = {"PATH": "", "HOME": str(tmp_path)}  # no adb, no browser, no Vulkan driver
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stderr
    rows = {row["name"]: row for row in json.loads((tmp_path / "targets.json").read_text())["targets"]}
    assert all(row["available"] or (row["why"] and row["fix"]) for row in rows.values())
    there = {name for name, row in rows.items() if row["available"]}
    assert there - ON_THE_MACHINE == (set() if without else {"cpu", "reference", "builtin", "external:PATH"})
    assert rows["ssh://USER@HOST/TARGET"]["fix"] == "pip install 'edgeres[ssh]'"
    assert "apt-get install adb" in rows["adb://SERIAL/TARGET"]["fix"]
    for vendor in VENDORS.values():
        if vendor.name != "openvino":
            assert vendor.distribution in rows["npu:VENDOR[:CHIP]"]["fix"]
    table = " ".join(done.stdout.split())
    assert "ssh://" in table
    assert "adb://" in table


def test_both_kinds_of_device_are_rows_where_their_clients_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = {row["name"]: row for row in describe_targets()}
    assert [name for name in rows if "://" in name] == ["ssh://USER@HOST/TARGET", "adb://SERIAL/TARGET"]
    assert {row["kind"] for name, row in rows.items() if "://" in name} == {"device"}
    assert rows["ssh://USER@HOST/TARGET"]["version"] == f"asyncssh {metadata.version('asyncssh')}"
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    assert resolve(DEVICES["adb"]).check().available


def test_errors_of_a_session_name_the_artifact() -> None:
    def fail(*_: object, **__: object) -> None:
        raise DataError("too bright", details=("by far",), fix="draw the curtains")

    session = DoubleSession()
    session.infer = session.time = session.operators = session.memory = fail  # type: ignore[method-assign,assignment]
    opened = open_session(MODEL, DoubleTarget(lambda _: session))
    for call in (lambda: opened.infer(None), lambda: opened.time(runs=1, seconds=0), opened.operators, opened.memory):
        with pytest.raises(DataError, match=r"path/m.tflite: too bright") as caught:
            call()
        assert (caught.value.details, caught.value.fix) == (("by far",), "draw the curtains")


def test_a_session_is_closed_with_its_block() -> None:
    target = DoubleTarget(lambda _: DoubleSession())
    with open_session(MODEL, target) as session:
        assert session.memory().peak_bytes == 2000
        assert target.opened[0].calls == []
    assert target.opened[0].calls == ["double close"]
