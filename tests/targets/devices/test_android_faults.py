"""The fault matrix of Android devices: whatever goes wrong is one typed error in time, and nothing stays there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edgeres.errors import ConfigError, EdgeresError, TargetError
from targets import latency
from targets.devices import adb, tool_runs
from targets.devices.adb import Adb, parse_serial
from targets.devices.android import AndroidDevice
from targets.devices.device import ConnectionLost, Entry
from targets.devices.inventory import find_entry, open_entry
from targets.latency import Block, Protocol
from targets.machine import machine_of
from tests.targets.conftest import Models
from tests.targets.devices.adbd import Phone
from tests.targets.devices.hostile import HOSTILE
from tests.targets.devices.phones import server_environment, stop_server
from tests.targets.devices.server import free_port
from tests.targets.test_sandbox import within

pytestmark = [pytest.mark.adb, pytest.mark.slow]

QUICK = Protocol(block=Block(1, 0), warm_up=Block(1, 0), warm_up_runs=2, warm_up_seconds=0, settled=10)
SLACK = 5.0
"""Seconds after its time limit within which a failure is told; more than that only where the machine is loaded."""


@pytest.fixture(autouse=True)
def nothing_stays(request: pytest.FixtureRequest) -> Iterator[None]:
    """After each test, once its device is closed: no folder on the phone, no process, no trace of a command."""
    phone: Phone = request.getfixturevalue("phone")
    request.getfixturevalue("monkeypatch")
    yield
    phone.faults.hang_on = phone.faults.mute = None  # type: ignore[assignment]
    assert within(60, lambda: not list(phone.storage.iterdir())), list(phone.storage.iterdir())
    assert within(60, lambda: not processes(phone)), processes(phone)
    assert not [path for path in (phone.folder, Path.cwd(), Path.home()) if (path / "OWNED").exists()]


def processes(phone: Phone) -> list[str]:
    """What runs there: everything that has the phone's folder in its environment."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            environment, command = ((entry / name).read_bytes() for name in ("environ", "cmdline"))
        except OSError:
            continue
        if f"STATE={phone.state}".encode() in environment:
            found.append(command.replace(b"\0", b" ").decode()[:80])
    return found


def images(count: int = 1) -> np.ndarray:
    return np.random.default_rng(3).uniform(0, 255, (count, 16, 16, 3)).astype(np.float32)


def failed(device: AndroidDevice) -> TargetError:
    with pytest.raises(TargetError) as caught:
        device.workspace()
    assert caught.value.exit_code == 6
    assert caught.value.fix
    assert not device.target("cpu").check().available
    return caught.value


# Not there, or not ready


def test_a_phone_that_is_not_attached(adb_home: Path, phone: Phone, android: AndroidDevice) -> None:
    android.adb.require_ready()
    device = AndroidDevice(Entry("other", "adb://R58M12ABCDE"))
    error = failed(device)
    assert "knows no device with the serial number R58M12ABCDE" in error.message
    assert phone.serial in error.details[0]


def test_a_phone_in_the_network_that_does_not_answer(adb_home: Path, phone: Phone) -> None:
    error = failed(AndroidDevice(Entry("gone", f"adb://127.0.0.1:{free_port()}")))
    assert "knows no device" in error.message


def test_a_phone_whose_owner_has_not_agreed(phone: Phone, android: AndroidDevice) -> None:
    phone.faults.auth = "unauthorized"
    error = failed(android)
    assert "is unauthorized" in error.message
    assert "dialog" in str(error.fix)


def test_a_phone_that_is_mute(phone: Phone, android: AndroidDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adb, "CONNECT_SECONDS", 15)
    phone.faults.mute = True
    began = time.monotonic()
    error = failed(android)
    assert any(word in error.message for word in ("offline", "has not ended within 15 s"))
    assert time.monotonic() - began < 2 * (3 * 15 + SLACK)


def test_adb_that_is_not_installed(phone: Phone, android: AndroidDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adb, "PROGRAM", "no-such-adb")
    error = failed(android)
    assert "is not installed" in error.message
    assert "apt-get install adb" in str(error.fix)


# Unplugged on the way


def test_unplugged_during_a_push(phone: Phone, android: AndroidDevice) -> None:
    phone.faults.cut_on = "DATA:"
    with pytest.raises(ConnectionLost, match="ended while a file was on its way"):
        android.workspace()


def test_unplugged_during_a_run(phone: Phone, android: AndroidDevice, models: Models) -> None:
    with android.target("cpu").open(models("int8")) as session:
        phone.faults.cut_on = "--num_runs=2"
        with pytest.raises(ConnectionLost, match="ended during a command"):
            session.time(runs=1, seconds=0)
    phone.faults.cut_on = None
    with android.target("cpu").open(models("int8")) as session:  # plugged in again
        assert len(session.time(runs=1, seconds=0)) == 1
    assert android.reconnects == 1


def test_unplugged_during_a_pull(phone: Phone, android: AndroidDevice, models: Models) -> None:
    with android.target("cpu").open(models("int8")) as session:
        phone.faults.cut_on = "RECV:"
        with pytest.raises(ConnectionLost, match="ended while a file was on its way"):
            session.infer(images())


def test_unplugged_between_two_rounds_gives_no_result(phone: Phone, android: AndroidDevice, models: Models) -> None:
    target = android.target("cpu")
    with target.open(models("int8")) as session:
        phone.faults.cut_on, phone.faults.after = "--num_runs=2", 6
        with pytest.raises(ConnectionLost):
            latency.measure([session], QUICK, machine=machine_of(target))
    phone.faults.cut_on = None
    assert within(30, lambda: (phone.state / "cmd").read_text().count("enabled false") == 1)


def test_unplugged_while_idle_is_noticed_at_the_next_step(phone: Phone, android: AndroidDevice, models: Models) -> None:
    with android.target("cpu").open(models("int8")) as session:
        phone.unplug()
        assert within(30, lambda: not list(phone.storage.iterdir()))  # the phone cleans up itself
        with pytest.raises(EdgeresError):
            session.infer(images())
    with android.target("cpu").open(models("int8")) as session:
        assert session.infer(images()).shape == (1, 4)


# Half an answer


def test_an_output_that_ends_in_the_middle(phone: Phone, android: AndroidDevice, models: Models) -> None:
    with android.target("cpu").open(models("int8")) as session:
        phone.faults.partial_on = "--num_runs=2"
        with pytest.raises(ConnectionLost, match="neither its exit code nor the end of its output came"):
            session.time(runs=1, seconds=0)


def test_an_exit_code_that_is_lost_is_known_all_the_same(phone: Phone, android: AndroidDevice, models: Models) -> None:
    phone.faults.exit_lost = True
    with android.target("cpu").open(models("int8")) as session:
        assert session.infer(images()).shape == (1, 4)
        phone.environment["FAKE_CRASH"] = "139"
        with pytest.raises(TargetError, match=r"it crashed \(segmentation fault\)"):
            session.infer(images())


@pytest.mark.parametrize(("code", "how"), [(137, "it was killed"), (134, "it aborted"), (3, "exit code 3")])
def test_a_tool_that_dies(phone: Phone, android: AndroidDevice, models: Models, code: int, how: str) -> None:
    phone.environment["FAKE_CRASH"] = str(code)
    with pytest.raises(TargetError, match=how):
        android.target("cpu").open(models("int8"))


def test_a_file_that_arrives_altered(phone: Phone, android: AndroidDevice) -> None:
    phone.faults.altered = True
    assert "arrived on the device as other bytes" in failed(android).message


# Hanging


def test_a_run_that_hangs_is_ended_there(
    phone: Phone, android: AndroidDevice, models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    with android.target("cpu").open(models("int8")) as session:
        phone.environment["FAKE_HANG"] = "1"
        monkeypatch.setattr(tool_runs, "RUN_SECONDS", 3.0)
        session._sandbox._seconds = 3.0  # type: ignore[attr-defined]
        began = time.monotonic()
        with pytest.raises(TargetError, match="adb shell has not ended within 3 s"):
            session.time(runs=1, seconds=0)
        spent = time.monotonic() - began
    assert spent < 2 * (3 + SLACK)


@pytest.mark.parametrize("service", ["SEND:", "sync:"])
def test_a_push_that_hangs(phone: Phone, android: AndroidDevice, monkeypatch: pytest.MonkeyPatch, service: str) -> None:
    monkeypatch.setattr(adb, "_PUSH_SECONDS", 3.0)
    phone.faults.hang_on = service
    with pytest.raises(TargetError, match="adb push has not ended within 3"):
        android.workspace()


def test_a_shell_that_hangs(phone: Phone, android: AndroidDevice) -> None:
    android.adb.require_ready()
    phone.faults.hang_on = "getprop"
    with pytest.raises(TargetError, match="has not ended within"):
        android.adb.script("getprop ro.product.cpu.abi", seconds=3)


# No room


def test_no_room_for_the_tool(phone: Phone, android: AndroidDevice) -> None:
    phone.faults.full = True
    error = failed(android)
    assert "no room" in error.message
    assert "free some storage" in str(error.fix)


def test_no_room_for_the_model(phone: Phone, android: AndroidDevice, models: Models) -> None:
    android.workspace()
    phone.faults.full = True
    with pytest.raises(TargetError, match="no room for a file"):
        android.target("cpu").open(models("int8"))


def test_no_room_for_the_outputs(phone: Phone, android: AndroidDevice, models: Models) -> None:
    with android.target("cpu").open(models("int8")) as session:
        phone.environment["FAKE_FULL"] = "1"
        with pytest.raises(TargetError, match="expected outputs of 4 bytes"):
            session.infer(images())


def test_no_folder_can_be_made(phone: Phone, android: AndroidDevice) -> None:
    (phone.tools / "mktemp").write_text("#!/bin/sh\necho 'mktemp: No space left on device' >&2; exit 1\n")
    (phone.tools / "mktemp").chmod(0o755)
    assert "no private folder can be made" in failed(android).message


# Whoever measures goes away

ORPHAN_MAKER = """
import sys
from targets.devices.android import AndroidDevice
from targets.devices.device import Entry
device = AndroidDevice(Entry("phone", sys.argv[1], {"benchmark": sys.argv[2]}))
with device.machine.lock():
    print("ready", flush=True)
    with device.target("cpu").open(open(sys.argv[3], "rb").read()) as session:
        while True:
            session.time(runs=1, seconds=0)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_who_goes_away_leaves_nothing_on_the_phone(
    phone: Phone, tool: Path, models: Models, tmp_path: Path, number: signal.Signals
) -> None:
    (tmp_path / "model").write_bytes(models("int8"))
    command = [sys.executable, "-c", ORPHAN_MAKER, f"adb://{phone.serial}", str(tool), str(tmp_path / "model")]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=Path(__file__).parents[3]
    ) as one:
        assert one.stdout is not None
        assert one.stdout.readline() == b"ready\n"
        assert list(phone.storage.iterdir())
        time.sleep(1)
        one.send_signal(number)
        one.wait(60)
    assert within(60, lambda: not list(phone.storage.iterdir()))
    assert within(60, lambda: (phone.state / "cmd").read_text().count("enabled false") == 1)


# Names that are commands


@pytest.mark.parametrize("text", HOSTILE)
def test_no_serial_number_is_an_option_or_a_command(phone: Phone, text: str) -> None:
    with pytest.raises(ConfigError):
        parse_serial(f"adb://{text}")
    with pytest.raises(EdgeresError):
        open_entry(find_entry(f"adb://{text}"))


@pytest.mark.parametrize(
    "serial", ["usb:1-1", "model:Pixel", "product:x", "device:x", "transport:1", "tcp:1.2.3.4:5", "-s", "a:", ""]
)
def test_what_adb_takes_for_something_else_is_no_serial_number(phone: Phone, serial: str) -> None:
    with pytest.raises(ConfigError, match="expected adb://SERIAL"):
        parse_serial(f"adb://{serial}")


@pytest.mark.parametrize("serial", ["R58M12ABCDE", "emulator-5554", "192.168.0.2:5555", "adb-1A2B-xyz._adb-tls._tcp"])
def test_serial_numbers_that_there_are(phone: Phone, serial: str) -> None:
    assert parse_serial(f"adb://{serial}") == serial


def test_no_name_of_a_file_is_a_command(phone: Phone, tool: Path, models: Models, tmp_path: Path) -> None:
    """The tool, the delegate and its libraries under hostile names: no command but those of a plain name is sent."""
    plain = commands(phone, str(tool), models("int8"))
    for text in HOSTILE:
        name = text.replace("/", "_").replace("\0", "_")[:60]
        path = tmp_path / f"x{name}" if name in (".", "..", "") else tmp_path / name
        path.write_bytes(tool.read_bytes())
        path.chmod(0o700)
        assert commands(phone, str(path), models("int8")) == plain
        path.unlink()


def commands(phone: Phone, benchmark: str, model: bytes) -> list[str]:
    """What a phone is told to run, with what differs from one time to the next left out."""
    phone.commands.clear()
    device = AndroidDevice(Entry("phone", f"adb://{phone.serial}", {"benchmark": benchmark}))
    with device.target("cpu").open(model):
        folder = device.workspace().folder
    device.close()
    found = []
    for command in phone.commands:
        text = command.replace(folder, "FOLDER")
        words = [word if len(word.strip("'\"")) not in (16, 64) else "…" for word in text.split()]
        found.append(" ".join(words))
    return found


@pytest.mark.parametrize("text", HOSTILE)
def test_words_reach_a_program_there_as_they_are(phone: Phone, adb_home: Path, text: str) -> None:
    client = Adb(phone.serial, name="phone")
    client.require_ready()
    if "\0" in text:
        with pytest.raises((EdgeresError, ValueError)):
            client.shell("printf", "%s", text)
        return
    done = client.shell("printf", "%s|", text, "end")
    assert done.code == 0
    assert done.text.replace("\r", "") == f"{text}|end|".replace("\r", "")


@pytest.mark.parametrize("text", [text for text in HOSTILE if "\0" not in text])
def test_options_of_a_delegate_are_one_word(phone: Phone, tool: Path, delegate: str, models: Models, text: str) -> None:
    options = {"benchmark": str(tool), "delegate": delegate, "delegate_options": text}
    device = AndroidDevice(Entry("phone", f"adb://{phone.serial}", options))
    try:
        with pytest.raises(TargetError):
            device.target("npu").open(models("float32"))
    finally:
        device.close()


def test_several_devices_fail_and_succeed_on_their_own(
    phone: Phone, android: AndroidDevice, tool: Path, models: Models, tmp_path: Path
) -> None:
    """Several at one server: one that is unauthorized does not stand in the way of another."""
    other = Phone(tmp_path / "other")
    other.faults.auth = "unauthorized"
    second = AndroidDevice(Entry("second", f"adb://{other.serial}", {"benchmark": str(tool)}))
    try:
        assert "unauthorized" in failed(second).message
        with android.target("cpu").open(models("int8")) as session:
            assert session.infer(images()).shape == (1, 4)
    finally:
        second.close()
        other.close()


def test_a_server_that_is_killed_meanwhile(phone: Phone, tool: Path, models: Models, tmp_path: Path) -> None:
    environment = server_environment(tmp_path)
    with pytest.MonkeyPatch.context() as own:
        for name, value in environment.items():
            own.setenv(name, value)
        device = AndroidDevice(Entry("phone", f"adb://{phone.serial}", {"benchmark": str(tool)}))
        with device.target("cpu").open(models("int8")) as session:
            killer = threading.Timer(1.0, stop_server, [environment])
            killer.start()
            with pytest.raises(EdgeresError):
                session.time(runs=200, seconds=0)
            killer.join()
        device.close()
        stop_server(environment)
    assert os.environ.get("ANDROID_ADB_SERVER_PORT") != environment["ANDROID_ADB_SERVER_PORT"]
