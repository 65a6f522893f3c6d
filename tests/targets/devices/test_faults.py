"""The fault matrix: whatever goes wrong on the way to a device, or there, is one typed error, and nothing stays."""

from __future__ import annotations

import os
import pwd
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgeres.errors import ConfigError, EdgeresError, TargetError
from targets.artifact import Artifact
from targets.devices import connection, fleet
from targets.devices.device import ConnectionLost
from targets.devices.patience import Patience
from targets.devices.remote_sandbox import RemoteSandbox
from targets.devices.ssh import SshDevice
from targets.further import Further
from targets.latency import Block, Protocol
from targets.profiling import _profile_on
from targets.runtimes.cpu import CPU
from targets.sandbox import Limits
from tests.processes import alive
from tests.targets.conftest import Models
from tests.targets.devices.conftest import Devices
from tests.targets.devices.hostile import HOSTILE
from tests.targets.devices.proxy import Proxy
from tests.targets.devices.server import USER, Server, free_port, left_behind, run
from tests.targets.devices.time_limit import told_within
from tests.targets.test_sandbox import within

pytestmark = [pytest.mark.ssh, pytest.mark.slow]

Behind = Callable[..., SshDevice]

ENGINE = "tests.targets.engines:Engine"
LIMIT = 15.0
"""The usual time limit of a connection, in seconds; what hangs has a shorter one."""

IMPATIENT = Patience(connect=LIMIT, reconnect=4, pause=0.2)
QUICK = Protocol(block=Block(1, 0), warm_up=Block(1, 0), warm_up_runs=2, warm_up_seconds=0)
HOME = Path(pwd.getpwuid(os.getuid()).pw_dir)


@pytest.fixture(autouse=True)
def nothing_stays(request: pytest.FixtureRequest) -> Iterator[None]:
    """After each test, once its devices are closed: no process, no file but the lock, no trace of a command."""
    server: Server = request.getfixturevalue("server")
    yield
    assert within(90, lambda: not left_behind(server)), left_behind(server)
    assert not [path for path in (HOME, server.home, Path.cwd()) if (path / "OWNED").exists()]


def images(count: int = 300) -> np.ndarray:
    return np.random.default_rng(3).uniform(0, 255, (count, 16, 16, 3)).astype(np.float32)


def failed(device: SshDevice, *, limit: float = LIMIT) -> TargetError:
    """The error of a device to which nothing gets through."""
    device.patience = replace(device.patience, connect=limit, reconnect=limit)
    with told_within(limit), pytest.raises(TargetError) as caught:
        device.call("describe")
    assert caught.value.exit_code == 6
    assert caught.value.fix
    return caught.value


def wrapper(folder: Path, script: str) -> str:
    """A program in the place of the device's Python."""
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


# Keys and passwords


def test_an_unknown_host_key_is_an_error_that_says_how_to_add_it(devices: Devices, server: Server) -> None:
    before = server.known_hosts.read_text()
    error = failed(devices(known_hosts=str(server.folder / "none")))
    assert "is not known" in error.message
    assert f"ssh -p {server.port} {USER}@127.0.0.1, compare the fingerprint" in str(error.fix)
    assert not (server.folder / "none").exists()
    assert server.known_hosts.read_text() == before


def test_a_host_key_that_changed_is_told_from_one_that_is_new(devices: Devices, server: Server, tmp_path: Path) -> None:
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "other")
    key = " ".join((tmp_path / "other.pub").read_text().split()[:2])
    (tmp_path / "hosts").write_text(f"[127.0.0.1]:{server.port} {key}\n")
    error = failed(devices(known_hosts=str(tmp_path / "hosts")))
    assert "was set up anew, or is another" in error.message
    assert f"ssh-keygen -f {tmp_path / 'hosts'} -R '[127.0.0.1]:{server.port}'" in str(error.fix)


def test_host_keys_are_checked_although_a_configuration_says_not_to(devices: Devices, server: Server) -> None:
    configuration = server.home / ".ssh" / "config"
    configuration.write_text("Host *\n  UserKnownHostsFile none\n  StrictHostKeyChecking no\n")
    try:
        assert "is not known" in failed(devices(known_hosts=str(server.folder / "none"))).message
    finally:
        configuration.unlink()


def test_a_key_that_is_refused_says_how_to_copy_one(devices: Devices, server: Server) -> None:
    authorized = server.folder / "authorized_keys"
    before = authorized.read_text()
    authorized.write_text("")
    try:
        error = failed(devices())
        assert "accepts none of your keys" in error.message
        assert f"ssh-copy-id -p {server.port} {USER}@127.0.0.1" in str(error.fix)
    finally:
        authorized.write_text(before)


def test_a_password_that_is_not_in_its_variable_is_an_error(devices: Devices) -> None:
    with pytest.raises(ConfigError, match="the variable NO_SUCH has no password"):
        devices(password_env="NO_SUCH").call("describe")  # noqa: S106 - its variable


def test_a_configuration_that_cannot_be_read_is_an_error(devices: Devices, server: Server) -> None:
    configuration = server.home / ".ssh" / "config"
    configuration.write_text("Port many\n")
    try:
        with pytest.raises(ConfigError, match="configuration of SSH"):
            devices().call("describe")
    finally:
        configuration.unlink()


def test_a_terminal_that_a_configuration_asks_for_is_not_taken(devices: Devices, server: Server) -> None:
    """It would change bytes on the way."""
    configuration = server.home / ".ssh" / "config"
    configuration.write_text("Host *\n  RequestTTY force\n")
    try:
        sandbox = RemoteSandbox(devices(), ENGINE)
        assert sandbox.call("echo", bytes(range(256)))[1] == (bytes(range(256)),)
    finally:
        configuration.unlink()


# Nobody there


def test_a_device_that_refuses_connections(devices: Devices) -> None:
    assert "cannot be reached: Connect" in failed(devices(f"ssh://{USER}@127.0.0.1:{free_port()}")).message


def test_a_name_that_does_not_exist(devices: Devices) -> None:
    assert "no host of that name" in failed(devices("ssh://no-such-device.invalid")).message


def test_a_server_that_accepts_and_says_nothing(devices: Devices) -> None:
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        url = f"ssh://{USER}@127.0.0.1:{mute.getsockname()[1]}"
        error = failed(devices(url), limit=1)
    assert "no answer" in error.message
    assert "within 1 s" in error.message


def test_a_server_that_speaks_something_else(devices: Devices) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()

        def serve() -> None:
            client, _ = other.accept()
            client.sendall(b"220 smtp.example.org\r\n" * 2000)
            client.close()

        threading.Thread(target=serve, daemon=True).start()
        failed(devices(f"ssh://{USER}@127.0.0.1:{other.getsockname()[1]}"))


# What should be Python


def test_a_python_that_is_not_there(devices: Devices) -> None:
    error = failed(devices(python="/no/such/python3"))
    assert "there is no such Python there (/no/such/python3)" in error.message
    assert "python = PATH" in str(error.fix)


def test_a_python_that_cannot_be_executed(devices: Devices, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no program")
    assert "cannot be executed" in failed(devices(python=str(tmp_path / "text"))).message


def test_a_python_that_is_too_old_is_named_with_its_version(devices: Devices, tmp_path: Path, server: Server) -> None:
    program = 'import sys;sys.version_info=(3,8,10);sys.version="3.8.10 (main)";sys.argv=sys.argv[1:];exec(sys.argv[1])'
    error = failed(devices(python=wrapper(tmp_path, f"exec {server.python} -c '{program}' \"$@\"")))
    assert "is Python 3.8.10, expected 3.9 or newer" in error.message


def test_words_of_a_login_shell_do_not_disturb(devices: Devices, tmp_path: Path, server: Server) -> None:
    script = f'echo Welcome to the Pi, {{"values": {{}}}}; exec {server.python} "$@"'
    assert devices(python=wrapper(tmp_path, script)).machine.describe()["cores"] >= 1


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo hello; exit 3", "exit code 3"),
        ("exit 0", "exit code 0"),
        ("kill -9 $$", "ended by SIGKILL"),
        ("head -c 100000 /dev/urandom", "box: "),
        ("yes", "box: "),
        ("echo 'No module named os' >&2; exit 1", "exit code 1"),
    ],
)
def test_a_program_that_is_no_runner(devices: Devices, tmp_path: Path, script: str, message: str) -> None:
    assert message in failed(devices(python=wrapper(tmp_path, script))).message


def test_a_program_that_never_begins_is_ended_in_time(devices: Devices, tmp_path: Path) -> None:
    """The time limit is that of logging in, too."""
    device = devices(python=wrapper(tmp_path, "exec sleep 600"))
    assert "within 3 s" in failed(device, limit=3).message


@pytest.mark.parametrize("size", [1, 7, 40, 300])
def test_an_answer_that_ends_in_the_middle_is_none(devices: Devices, tmp_path: Path, server: Server, size: int) -> None:
    device = devices(python=wrapper(tmp_path, f'{server.python} "$@" | head -c {size}'), patience=IMPATIENT)
    with told_within(LIMIT), pytest.raises(TargetError):
        device.call("describe")


# Storage


def test_no_room_for_the_runner(devices: Devices, tmp_path: Path, server: Server) -> None:
    """A limit of zero bytes for any file, memory files included: like a disk that is full, and no memory left."""
    error = failed(devices(python=wrapper(tmp_path, f'ulimit -f 0; exec {server.python} "$@"')))
    assert "no room for the runner" in error.message


def test_full_and_read_only_storage_does_not_matter(
    devices: Devices, tmp_path: Path, server: Server, models: Models, caplog: pytest.LogCaptureFixture
) -> None:
    """No folder for temporary files can be written: one is full, and in a mount namespace the others are read-only."""
    full = tmp_path / "full"
    full.mkdir()
    fill = f"mount -t tmpfs -o size=64k tmpfs {full} && ! head -c 1000000 /dev/zero > {full}/filler 2>&-"
    protect = "for at in /tmp /var/tmp; do mount --bind $at $at && mount -o remount,bind,ro $at || exit 9; done"
    script = f'{fill} || exit 9; {protect}; cd /proc; TMPDIR={full} exec {server.python} "$@"'
    namespace = "unshare -m" if os.getuid() == 0 else "unshare -rm"
    device = devices(python=wrapper(tmp_path, f"exec {namespace} sh -c '{script}' sh \"$@\""))
    try:
        found, _ = device.call("describe")
    except TargetError as error:
        if "exit code 9" in error.message or "exit code 1" in error.message:
            pytest.skip("a full file system takes the right to mount one")
        raise
    assert found["free_bytes"] == 0
    with device.target("cpu").open(models("int8")) as session, device.machine.lock():
        assert session.infer(images(1)).shape == (1, 4)
    assert "without its lock" in caplog.text


# Connections that drop


def loaded(device: SshDevice, models: Models) -> RemoteSandbox:
    """A sandbox that has a model."""
    sandbox = RemoteSandbox(device, "targets.runtimes.interpreter:Engine")
    sandbox.call("load", models("int8"), arguments={"resolver": "AUTO", "threads": 1})
    return sandbox


def test_a_drop_during_the_push_is_mended(behind: Behind, proxy: Proxy, models: Models) -> None:
    device = behind()
    device.call("describe")
    proxy.cut_after_sent = proxy.sent + 2000
    with device.target("cpu").open(models("int8")) as session, CPU.open(models("int8")) as own:
        assert (session.infer(images(3)) == own.infer(images(3))).all()
    assert device.reconnects == 1
    assert proxy.cut_after_sent is None


def test_a_drop_during_the_push_of_the_sources_is_an_error(behind: Behind, proxy: Proxy) -> None:
    proxy.cut_after_sent = 20_000
    error = failed(behind())
    assert proxy.cut_after_sent is None
    assert "before the runner began" in error.message


@pytest.mark.parametrize("way", ["cut_after_sent", "cut_after_received"])
def test_an_evaluation_goes_on_with_the_image_where_it_stopped(
    behind: Behind, proxy: Proxy, models: Models, way: str
) -> None:
    """In the middle of the images that are pushed, or of the scores that are pulled."""
    device = behind()
    with device.target("cpu").open(models("float32")) as session, CPU.open(models("float32")) as own:
        expected = own.infer(images())
        setattr(proxy, way, (proxy.sent if way == "cut_after_sent" else proxy.received) + 3000)
        assert (session.infer(images()) == expected).all()
        assert getattr(proxy, way) is None
        assert session.operators() == own.operators()
    assert device.reconnects == 1


def test_a_device_that_is_cut_again_and_again_is_given_up(behind: Behind, proxy: Proxy, models: Models) -> None:
    device = behind(patience=Patience(connect=60, reconnect=5, pause=0.1))
    with device.target("cpu").open(models("float32")) as session:
        stop = threading.Event()

        def cut() -> None:
            while not stop.wait(0.05):
                proxy.cut()

        thread = threading.Thread(target=cut)
        thread.start()
        try:
            with pytest.raises(TargetError):
                session.infer(images())
        finally:
            stop.set()
            thread.join()


def test_a_device_that_does_not_come_back_is_an_error(behind: Behind, proxy: Proxy, models: Models) -> None:
    device = behind(patience=IMPATIENT)
    with device.target("cpu").open(models("float32")) as session:
        proxy.refuse()
        proxy.cut()
        with (
            told_within(IMPATIENT.reconnect),
            pytest.raises(TargetError, match="was lost, and cannot be made again") as caught,
        ):
            session.infer(images())
    assert caught.value.fix


@pytest.mark.parametrize("way", ["cut_after_sent", "cut_after_received"])
def test_unplugged_during_a_push_or_a_pull_and_not_plugged_in_again(
    behind: Behind, proxy: Proxy, models: Models, way: str
) -> None:
    with behind(patience=IMPATIENT).target("cpu").open(models("float32")) as session:
        session.infer(images(1))
        proxy.refuse()
        setattr(proxy, way, (proxy.sent if way == "cut_after_sent" else proxy.received) + 3000)
        with told_within(IMPATIENT.reconnect), pytest.raises(TargetError, match="cannot be made again"):
            session.infer(images())
        assert getattr(proxy, way) is None


def test_unplugged_during_a_run(behind: Behind, proxy: Proxy) -> None:
    sandbox = RemoteSandbox(behind(), ENGINE, limits=Limits(seconds=LIMIT))
    sandbox.call("echo")
    threading.Timer(0.5, proxy.cut).start()
    with told_within(LIMIT), pytest.raises(ConnectionLost, match="the connection was lost"):
        sandbox.call("hang")


def test_a_measurement_of_latency_begins_anew_and_the_result_says_so(
    behind: Behind, proxy: Proxy, models: Models, caplog: pytest.LogCaptureFixture
) -> None:
    device = behind()
    target = device.target("cpu")
    artifacts = [Artifact(name, f"{name}.tflite", "tflite", models(name)) for name in ("float32", "int8")]
    drops = iter([12, 3])
    left = next(drops)

    def progress(stage: str, done: int, total: int, /) -> None:
        nonlocal left
        if stage == "latency" and done == left:
            left = next(drops, -1)
            proxy.cut()

    rows = fleet.on_device(
        target,
        lambda: _profile_on(target, artifacts, baseline=0, protocol=QUICK, further=Further(), progress=progress),
    )
    for row in rows:
        assert row.latency is not None
        assert [len(row.latency.rounds), row.device.reconnects if row.device else 0] == [30, 2]
        assert row.latency.conditions is not None
        assert len(row.latency.conditions.reference_ms) == 30
    assert caplog.text.count("begins anew") == 2
    with device.machine.lock():  # nobody is left that holds it
        pass


def test_a_timing_alone_is_not_repeated(behind: Behind, proxy: Proxy, models: Models) -> None:
    device = behind()
    with device.target("cpu").open(models("float32")) as session:
        session.time(runs=1, seconds=0)
        proxy.cut()
        with pytest.raises(ConnectionLost):
            session.time(runs=1, seconds=0)


def test_a_cable_that_was_pulled_is_found_by_silence(
    behind: Behind, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "KEEPALIVE_SECONDS", 1)
    sandbox = RemoteSandbox(behind(), ENGINE)
    sandbox.call("echo")
    proxy.silence()
    silence = 1 * (connection.KEEPALIVE_COUNT + 1)
    with told_within(silence), pytest.raises(ConnectionLost, match=r"not responding to keepalive.* during 'call'"):
        sandbox.call("hang")
    # The device hears nothing either, and ends by itself: `nothing_stays` waits for it.


# Devices that hang


def test_a_call_that_hangs_there_is_ended_there(devices: Devices) -> None:
    sandbox = RemoteSandbox(devices(), ENGINE, limits=Limits(seconds=60))
    with (
        told_within(0.5),
        pytest.raises(TargetError, match=r"no answer to 'hang' within 0\.5 s; the runtime's process was ended"),
    ):
        sandbox.call("hang", seconds=0.5)


def runner_processes(server: Server) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            command = (entry / "cmdline").read_bytes().split(b"\0")
            if command[0] == str(server.python).encode() and b"import os,sys;" in command[2]:
                found.append(int(entry.name))
    return found


def test_a_device_that_has_stopped_is_an_error_in_time(devices: Devices, server: Server) -> None:
    device = devices()
    sandbox = RemoteSandbox(device, ENGINE)
    sandbox.call("echo")
    (runner,) = runner_processes(server)
    os.kill(runner, signal.SIGSTOP)
    try:
        with told_within(1):
            with pytest.raises(TargetError, match="no answer from box to 'call' within 4 s"):
                sandbox.call("echo", seconds=1)
            sandbox.close()
    finally:
        os.kill(runner, signal.SIGCONT)


def test_a_device_that_stops_while_a_model_is_pushed(devices: Devices, server: Server) -> None:
    sandbox = RemoteSandbox(devices(), ENGINE)
    sandbox.call("echo")
    (runner,) = runner_processes(server)
    os.kill(runner, signal.SIGSTOP)
    try:
        with told_within(1), pytest.raises(ConnectionLost, match="the connection was lost"):
            sandbox.call("echo", bytes(64 << 20), seconds=1)
    finally:
        os.kill(runner, signal.SIGCONT)


def test_a_device_that_stops_while_it_is_locked(devices: Devices, server: Server) -> None:
    """Tidying up has a time limit of its own."""
    device = devices()
    sandbox = RemoteSandbox(device, ENGINE)
    (runner,) = runner_processes(server)
    try:
        with ExitStack() as tidying:
            with device.machine.lock():
                os.kill(runner, signal.SIGSTOP)
                tidying.enter_context(told_within(0))
            sandbox.close()
    finally:
        os.kill(runner, signal.SIGCONT)


def test_a_runner_that_is_killed_is_started_again(devices: Devices, server: Server, models: Models) -> None:
    device = devices()
    with device.target("cpu").open(models("float32")) as session, CPU.open(models("float32")) as own:
        (runner,) = runner_processes(server)
        os.kill(runner, signal.SIGKILL)
        assert (session.infer(images(3)) == own.infer(images(3))).all()
    assert device.reconnects == 1


def test_a_lost_exit_code_is_said(devices: Devices, server: Server) -> None:
    """The server's process for the connection dies: neither an exit code nor a goodbye comes."""
    sandbox = RemoteSandbox(devices(), ENGINE, limits=Limits(seconds=LIMIT))
    sandbox.call("echo")
    (runner,) = runner_processes(server)
    parent = int(Path(f"/proc/{runner}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(parent, signal.SIGKILL)
    with told_within(LIMIT), pytest.raises(ConnectionLost, match="the connection was lost"):
        sandbox.call("echo")


def test_the_model_is_hashed_there_before_a_runtime_sees_it(devices: Devices) -> None:
    device = devices()
    sandbox = RemoteSandbox(device, ENGINE)
    request = {"process": sandbox.process_id, "method": "echo", "arguments": {}, "seconds": 5, "sha256": ["0" * 64]}
    with pytest.raises(TargetError, match="arrived on the device as other bytes"):
        device.call("call", b"model", arguments=request)


# Whoever measures goes away

ORPHAN_MAKER = """
import sys
from targets.devices.device import Entry
from targets.devices.remote_sandbox import RemoteSandbox
from targets.devices.ssh import SshDevice
device = SshDevice(Entry("box", sys.argv[1], {"python": sys.argv[2]}), extra=("tests.targets.engines",))
sandbox = RemoteSandbox(device, "tests.targets.engines:Engine")
print(sandbox.process_id, flush=True)
sandbox.call(sys.argv[3])
"""


@pytest.mark.parametrize("method", ["hang", "spin"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_who_goes_away_leaves_nothing_on_the_device(server: Server, method: str, number: signal.Signals) -> None:
    command = [sys.executable, "-c", ORPHAN_MAKER, server.url, str(server.python), method]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=Path(__file__).parents[3]
    ) as one:
        assert one.stdout is not None
        child = int(one.stdout.readline())
        assert Path(f"/proc/{child}").exists()
        time.sleep(0.5)
        one.send_signal(number)
        one.wait(60)
    assert within(60, lambda: not alive({child}))


# Names that are commands


@pytest.mark.parametrize("text", HOSTILE)
def test_no_python_is_a_command_there(devices: Devices, text: str) -> None:
    with pytest.raises(EdgeresError):
        devices(python=text).call("describe")


def test_no_path_is_a_command_there(devices: Devices) -> None:
    device = devices()
    for text in HOSTILE:
        assert not device.target(f"external:{text.replace('?', '')}/no.so").check().available
