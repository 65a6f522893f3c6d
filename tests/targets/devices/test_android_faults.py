"""The fault matrix of Android devices: whatever goes wrong is one typed error in time, and nothing stays there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from edgeres.errors import ConfigError, EdgeresError, TargetError
from targets import latency
from targets.devices import adb
from targets.devices.adb import Adb, Patience, parse_serial
from targets.devices.android import AndroidDevice
from targets.devices.deadline import Deadline
from targets.devices.device import ConnectionLost, Entry
from targets.devices.inventory import find_entry, open_entry
from targets.latency import Block, Protocol
from targets.machine import machine_of
from tests.targets.conftest import Models
from tests.targets.devices.adbd import Phone
from tests.targets.devices.hostile import HOSTILE
from tests.targets.devices.phones import server_environment, stop_server
from tests.targets.devices.server import free_port
from tests.targets.devices.time_limit import told_within
from tests.targets.test_sandbox import within

pytestmark = [pytest.mark.adb, pytest.mark.slow]

QUICK = Protocol(block=Block(1, 0), warm_up=Block(1, 0), warm_up_runs=2, warm_up_seconds=0, settled=10)
LIMIT = 10.0
"""The time limit, in seconds, of a step that fails at once; what hangs has a shorter one."""


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


def impatient(
    device: AndroidDevice, *, connect: float = LIMIT, command: float = LIMIT, run: float = LIMIT
) -> AndroidDevice:
    """The device with shorter time limits, once it is set up."""
    device.adb.patience = Patience(connect, command, run)
    return device


def failed(device: AndroidDevice, *, limit: float = LIMIT) -> TargetError:
    impatient(device, connect=limit)
    with told_within(limit), pytest.raises(TargetError) as caught:
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


def test_a_phone_that_is_mute(phone: Phone, android: AndroidDevice) -> None:
    phone.faults.mute = True
    assert "adb connect has not ended within 4 s" in failed(android, limit=4).message


def test_a_phone_that_is_offline(phone: Phone, android: AndroidDevice) -> None:
    """What adb calls a device that it has waited for in vain, which takes it ten seconds."""
    phone.faults.mute = True
    error = failed(android, limit=30)
    assert f"the device {phone.serial} is offline" in error.message
    assert "adb reconnect offline" in str(error.fix)


def test_all_steps_until_a_phone_is_ready_have_one_time_limit(
    phone: Phone, android: AndroidDevice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None of the five takes longer than the limit."""
    slow = tmp_path / "slow-adb"
    slow.write_text("#!/bin/sh\nexec sleep 3\n")
    slow.chmod(0o755)
    monkeypatch.setattr(adb, "PROGRAM", str(slow))
    assert "adb devices has not ended within 4 s" in failed(android, limit=4).message


def test_adb_that_is_not_installed(phone: Phone, android: AndroidDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adb, "PROGRAM", "no-such-adb")
    error = failed(android)
    assert "is not installed" in error.message
    assert "apt-get install adb" in str(error.fix)


# Unplugged on the way


def test_unplugged_during_a_push(phone: Phone, android: AndroidDevice) -> None:
    phone.faults.cut_on = "DATA:"
    impatient(android)
    with told_within(LIMIT), pytest.raises(ConnectionLost, match="ended while a file was on its way"):
        android.workspace()


def test_unplugged_during_a_run(phone: Phone, android: AndroidDevice, models: Models) -> None:
    with android.target("cpu").open(models("int8")) as session:
        phone.faults.cut_on = "--num_runs=2"
        impatient(android)
        with told_within(LIMIT), pytest.raises(ConnectionLost, match="ended during a command"):
            session.time(runs=1, seconds=0)
    phone.faults.cut_on = None
    impatient(android, connect=240, command=240, run=600)
    with android.target("cpu").open(models("int8")) as session:  # plugged in again
        assert len(session.time(runs=1, seconds=0)) == 1
    assert android.reconnects == 1


def test_unplugged_during_a_pull(phone: Phone, android: AndroidDevice, models: Models) -> None:
    with android.target("cpu").open(models("int8")) as session:
        phone.faults.cut_on = "RECV:"
        impatient(android)
        with told_within(LIMIT), pytest.raises(ConnectionLost, match="ended while a file was on its way"):
            session.infer(images())


def test_offline_during_a_run(phone: Phone, android: AndroidDevice, models: Models) -> None:
    """It drops the connection, and does not answer when adb makes it again."""
    with android.target("cpu").open(models("int8")) as session:
        impatient(android)
        phone.faults.mute = True
        threading.Timer(0.5, phone.unplug).start()
        with told_within(LIMIT), pytest.raises(ConnectionLost, match="adb now says: offline"):
            session.time(runs=1, seconds=0)
    phone.faults.mute = False


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
        impatient(android)
        with (
            told_within(LIMIT),
            pytest.raises(ConnectionLost, match="neither its exit code nor the end of its output came"),
        ):
            session.time(runs=1, seconds=0)


def test_an_exit_code_that_is_lost_is_known_all_the_same(phone: Phone, android: AndroidDevice, models: Models) -> None:
    phone.faults.exit_lost = True
    with android.target("cpu").open(models("int8")) as session:
        assert session.infer(images()).shape == (1, 4)
        phone.environment["FAKE_CRASH"] = "139"
        impatient(android)
        with told_within(LIMIT), pytest.raises(TargetError, match=r"it crashed \(segmentation fault\)"):
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


def test_a_run_that_hangs_is_ended_there(phone: Phone, android: AndroidDevice, models: Models) -> None:
    session = android.target("cpu").open(models("int8"))
    phone.environment["FAKE_HANG"] = "1"
    impatient(android, run=3)
    with told_within(3):
        with pytest.raises(TargetError, match="adb shell has not ended within 3 s"):
            session.time(runs=1, seconds=0)
        session.close()


def test_the_time_limit_of_a_run_is_a_key_of_the_inventory(phone: Phone, tool: Path, models: Models) -> None:
    options = {"benchmark": str(tool), "timeout_s": "3"}
    device = AndroidDevice(Entry("phone", f"adb://{phone.serial}", options))
    device.workspace()
    phone.environment["FAKE_HANG"] = "1"
    with told_within(3), pytest.raises(TargetError, match="adb shell has not ended within 3 s"):
        device.target("cpu").open(models("int8"))
    device.close()


def test_a_phone_that_freezes_during_a_run(phone: Phone, android: AndroidDevice, models: Models) -> None:
    """Nothing that tidies up is answered either, and all of that has to fit into the five seconds."""
    target = android.target("cpu")
    sessions = [target.open(models(name)) for name in ("int8", "float32")]
    impatient(android, run=3)
    phone.faults.mute = True
    with told_within(3):
        with pytest.raises(TargetError, match="adb shell has not ended within 3 s"):
            sessions[0].time(runs=1, seconds=0)
        for session in sessions:
            session.close()
    phone.faults.mute = False
    phone.unplug()  # switched off


def test_a_phone_that_freezes_between_two_runs(phone: Phone, android: AndroidDevice, models: Models) -> None:
    """The clocks, the model's files and the folder are let go of within five seconds together."""
    target = android.target("cpu")
    session = target.open(models("int8"))
    with ExitStack() as tidying:
        with machine_of(target).lock():
            impatient(android, command=3)
            phone.faults.mute = True
            with pytest.raises(TargetError, match="adb shell has not ended within 3 s"):
                machine_of(target).reference_ms()
            tidying.enter_context(told_within(0))
        session.close()
        android.close()
    phone.faults.mute = False
    phone.unplug()


@pytest.mark.parametrize("service", ["SEND:", "sync:"])
def test_a_push_that_hangs(phone: Phone, android: AndroidDevice, models: Models, service: str) -> None:
    android.workspace()
    impatient(android, command=3)
    phone.faults.hang_on = service
    with told_within(3), pytest.raises(TargetError, match="adb push has not ended within 3"):
        android.target("cpu").open(models("int8"))


def test_a_pull_that_hangs(phone: Phone, android: AndroidDevice, models: Models) -> None:
    with android.target("cpu").open(models("int8")) as session:
        session.infer(images())
        impatient(android, command=1)
        phone.faults.hang_on = "RECV:"
        with told_within(3), pytest.raises(TargetError, match="adb pull has not ended within 3 s"):
            session.infer(images())


def test_a_shell_that_hangs(phone: Phone, android: AndroidDevice) -> None:
    android.adb.require_ready()
    phone.faults.hang_on = "getprop"
    with told_within(3), pytest.raises(TargetError, match="has not ended within"):
        android.adb.script("getprop ro.product.cpu.abi", deadline=Deadline(3))


def test_a_shell_that_hangs_before_the_folder_is_made(phone: Phone, android: AndroidDevice) -> None:
    android.adb.require_ready()
    phone.faults.hang_on = "mktemp"
    assert "the device's shell has not answered within 3 s" in failed(android, limit=3).message


# No room


def test_no_room_for_the_tool(phone: Phone, android: AndroidDevice) -> None:
    phone.faults.full = True
    error = failed(android)
    assert "no room" in error.message
    assert "free some storage" in str(error.fix)


def test_no_room_for_the_model(phone: Phone, android: AndroidDevice, models: Models) -> None:
    android.workspace()
    impatient(android)
    phone.faults.full = True
    with told_within(LIMIT), pytest.raises(TargetError, match="no room for a file"):
        android.target("cpu").open(models("int8"))


def test_no_room_for_the_outputs(phone: Phone, android: AndroidDevice, models: Models) -> None:
    with android.target("cpu").open(models("int8")) as session:
        phone.environment["FAKE_FULL"] = "1"
        impatient(android)
        with told_within(LIMIT), pytest.raises(TargetError, match="expected outputs of 4 bytes"):
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
