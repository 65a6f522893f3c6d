"""Measurements on a device behind a real sshd; what fails on the way is in `test_faults.py`."""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from edgeres.console import cli
from edgeres.errors import ConfigError, ModelError, TargetError
from targets import latency
from targets.artifact import Artifact
from targets.catalogue import find_target, split_device
from targets.conditions import Watch
from targets.crew import sessions_each
from targets.devices import opened
from targets.devices.device import DeviceTarget
from targets.devices.remote_sandbox import RemoteSandbox
from targets.environment import describe
from targets.latency import Block, Protocol
from targets.lock import LOCK
from targets.machine import machine_of
from targets.proof import prove
from targets.runtimes.cpu import CPU, REFERENCE
from targets.startup import MIN_STARTS
from targets.startup import measure as start_up
from tests.targets.conftest import Models
from tests.targets.devices.conftest import Devices
from tests.targets.devices.server import Server, left_behind, make_python
from tests.targets.forge import forge
from tests.targets.test_sandbox import within

pytestmark = [pytest.mark.ssh, pytest.mark.slow]

QUICK = Protocol(block=Block(1, 0), warm_up=Block(1, 0), warm_up_runs=2, warm_up_seconds=0)
NAMES = ("float32", "int8")
ENGINE = "tests.targets.engines:Engine"


def images(count: int = 6) -> np.ndarray:
    return np.random.default_rng(3).uniform(0, 255, (count, 16, 16, 3)).astype(np.float32)


@pytest.mark.parametrize("name", NAMES)
def test_a_model_gives_there_what_it_gives_here_bit_for_bit(devices: Devices, models: Models, name: str) -> None:
    for target, here in (("", CPU), ("reference", REFERENCE)):
        placed = devices().target(target)
        assert isinstance(placed, DeviceTarget)
        with placed.open(models(name)) as session, here.open(models(name)) as own:
            assert session.signature == own.signature
            assert (session.infer(images()) == own.infer(images())).all()
            assert session.operators() == own.operators()
            assert session.memory().arena_bytes == own.memory().arena_bytes
            assert len(session.time(runs=5, seconds=0)) >= 5
            assert session.process_id != own.process_id


def test_sessions_of_one_device_run_side_by_side(devices: Devices, models: Models) -> None:
    target = devices().target("cpu")
    with target.open(models("float32")) as first, target.open(models("int8")) as second:
        found: dict[str, np.ndarray] = {}
        work = {"first": first, "second": second}
        threads = [
            threading.Thread(target=lambda name=name, each=each: found.update({name: each.infer(images(50))}))
            for name, each in work.items()
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        for name, each in work.items():
            assert (found[name] == each.infer(images(50))).all()


def test_latency_is_measured_there_with_the_conditions_of_the_device(devices: Devices, models: Models) -> None:
    target = devices().target("cpu")
    with target.open(models("float32")) as first, target.open(models("int8")) as second:
        machine = machine_of(target)
        found = latency.measure([first, second], QUICK, baseline=0, machine=machine)
        pinned = latency.measure([first, second], Protocol(**{**vars(QUICK), "pin": True}), machine=machine)
    for each in (*found, *pinned):
        assert len(each.rounds) == 30
        assert each.conditions is not None
        assert len(each.conditions.reference_ms) == 30
        assert each.conditions.switches_per_s is not None
    assert found[1].speedup is not None
    assert found[0].cores is None
    assert pinned[0].cores is not None or len(os.sched_getaffinity(0)) == 1


def test_rounds_keep_the_order_and_the_blocks_that_were_asked_for(devices: Devices, models: Models) -> None:
    """The session that runs three times as long is told apart whatever its place in a round."""
    target = devices().target("cpu")
    with target.open(models("float32")) as first, target.open(models("int8")) as second:
        watch = Watch([None, None])
        orders = [(0, 1), (1, 0)] * 20
        rounds = list(target.device.machine.rounds([first, second], orders, Block(4, 0), watch=watch))
    assert [[len(own) for own in times] for times in rounds] == [[4, 4]] * 40


def test_the_lock_of_a_device_keeps_a_second_measurement_waiting(
    devices: Devices, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    one, two = devices().machine, devices().machine
    entered = threading.Event()

    def second() -> None:
        with two.lock():
            entered.set()

    thread = threading.Thread(target=second)
    with caplog.at_level(logging.WARNING), one.lock():
        thread.start()
        assert within(60, lambda: "waiting" in caplog.text)
        assert not entered.is_set()
    thread.join(60)
    assert entered.is_set()
    assert (server.temporary / LOCK).exists()


def test_the_lock_of_a_device_is_free_once_its_holder_is_gone(devices: Devices) -> None:
    holder, other = devices(), devices()
    holding = holder.machine.lock()
    holding.__enter__()
    holder.close()
    with other.machine.lock():
        pass


def test_a_lock_that_cannot_be_opened_is_done_without_and_said(
    devices: Devices, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    lock = server.temporary / LOCK
    lock.unlink(missing_ok=True)
    lock.symlink_to(server.temporary / "elsewhere")
    try:
        with caplog.at_level(logging.WARNING), devices().machine.lock():
            assert "without its lock" in caplog.text
        assert not (server.temporary / "elsewhere").exists()
    finally:
        lock.unlink()


def test_start_up_is_measured_in_fresh_processes_there(devices: Devices, models: Models) -> None:
    artifact = Artifact("m", "m.tflite", "tflite", models("int8"))
    (found,) = start_up([artifact], devices().target("cpu"), starts=MIN_STARTS)
    assert len(found.starts) == MIN_STARTS
    assert all(each.first_ms > 0 and each.load_bytes > 0 for each in found.starts)


def test_the_time_limit_of_a_call_is_a_key_of_the_inventory(devices: Devices, models: Models) -> None:
    with devices(patience=None, timeout_s="240").target("cpu").open(models("int8")) as session:
        assert session._limits.seconds == 240
        session.infer(images(1))
        assert session._sandbox.longest_seconds == 240


def test_the_environment_is_the_devices(devices: Devices, device_python: Path) -> None:
    found, here = devices().machine.describe(), describe()
    assert found["machine"] == here["machine"]
    assert set(found["versions"]) == {"edgeres", "numpy", "ai-edge-litert"}


def test_what_runs_there_is_held_against_the_reference_kernels_here(devices: Devices, models: Models) -> None:
    artifact, target = Artifact("m", "m.tflite", "tflite", models("int8")), devices().target("cpu")
    with target.open(artifact.model) as session:
        proof = prove(artifact, session, target)
    assert proof is not None
    assert proof.passed


def test_nothing_stays_on_the_device(devices: Devices, models: Models, server: Server) -> None:
    device = devices()
    with device.target("cpu").open(models("int8")) as session:
        session.infer(images(1))
        assert left_behind(server)
        assert not list(server.temporary.glob("[!e]*"))
    device.close()
    assert within(30, lambda: not left_behind(server)), left_behind(server)


def test_errors_of_an_engine_come_as_they_were(devices: Devices) -> None:
    sandbox = RemoteSandbox(devices(), ENGINE)
    with pytest.raises(ModelError) as caught:
        sandbox.call("refuse")
    assert (caught.value.message, caught.value.details) == ("the model is too blue", ("blue: 3",))
    with pytest.raises(TargetError, match="SIGSEGV"):
        sandbox.call("crash")
    with pytest.raises(TargetError, match="has ended"):
        sandbox.call("echo")
    sandbox.close()
    with pytest.raises(TargetError, match="has ended"):
        sandbox.call("echo")


def test_a_model_that_the_runtime_refuses_is_an_error_and_the_device_goes_on(devices: Devices, models: Models) -> None:
    device = devices()
    forged = forge(models("float32"), lambda model: setattr(model.operatorCodes[0], "builtinCode", 250))
    with pytest.raises(TargetError, match="refuses the model"):
        device.target("cpu").open(forged)
    with device.target("cpu").open(models("float32")) as session:
        assert session.infer(images(1)).shape == (1, 4)


def test_an_evaluation_keeps_the_cores_of_the_device_busy(devices: Devices, models: Models) -> None:
    target = devices().target("cpu")
    artifact = Artifact("m", "m.tflite", "tflite", models("int8"))
    cores = target.device.machine.describe()["cores"]
    assert sessions_each(target, [artifact], images=10_000) == min(cores + 1, 2 * cores)
    assert sessions_each(target, [artifact], images=1) == 1


def test_a_delegate_that_is_not_there_is_missed_on_the_device(devices: Devices) -> None:
    found = devices().target("external:/usr/lib/libno.so").check()
    assert not found.available
    assert "no file /usr/lib/libno.so on box" in str(found.why)


@pytest.mark.parametrize("name", ["micro", "ethosu:u55-256", "nonsense", "cpu:8"])
def test_targets_that_do_not_run_on_a_device_are_refused(devices: Devices, name: str) -> None:
    with pytest.raises(TargetError):
        devices().target(name)


def test_examining_a_device_says_what_is_there(devices: Devices) -> None:
    found = {finding.what: finding for finding in devices().examine()}
    assert {"connection", "processor", "memory", "python", "numpy", "runtime", "storage"} <= set(found)
    assert not any(finding.problem for finding in found.values())
    assert found["runtime"].found.startswith("ai-edge-litert")


@pytest.mark.parametrize(("packages", "missing"), [((), "numpy"), (("numpy",), "runtime")])
def test_a_device_that_lacks_something_says_what_and_how_to_get_it(
    devices: Devices, tmp_path: Path, packages: tuple[str, ...], missing: str
) -> None:
    device = devices(python=str(make_python(tmp_path / "venv", *packages)))
    found = {finding.what: finding for finding in device.examine()}
    assert found[missing].problem
    assert "-m pip install" in str(found[missing].fix)
    assert not found["python"].problem
    available = device.target("cpu").check()
    assert not available.available
    assert f"{tmp_path}/venv/bin/python3 -m pip install" in str(available.fix)


def test_targets_by_url_and_by_name(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGERES_DEVICES", str(tmp_path / "devices.toml"))
    (tmp_path / "devices.toml").write_text(f'[box]\nurl = "{server.url}"\npython = "{server.python}"\n')
    assert find_target(f"{server.url}/reference").name == f"{server.url}/reference"
    assert find_target(server.url).name == f"{server.url}/cpu"
    assert find_target("box/external:/a/b.so?c=/d").name == "box/external:/a/b.so?c=/d"
    assert find_target("box/").check().available
    assert opened.device_named("box") is opened.device_named("box")
    opened.close_devices()
    with pytest.raises(ConfigError, match="did you mean 'box'"):
        find_target("bux/cpu")
    assert split_device("external:/usr/lib/x.so") is None
    assert split_device("ethosu:u55-256") is None


def test_the_package_asyncssh_missing_names_its_extra(devices: Devices, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "asyncssh", None)
    found = devices().target("cpu").check()
    assert "edgeres[ssh]" in str(found.fix)


def test_the_inventory_and_the_examination_as_commands(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    monkeypatch.setenv("EDGERES_DEVICES", str(tmp_path / "devices.toml"))

    def edgeres(*arguments: str) -> str:
        done = CliRunner().invoke(cli, ["devices", *arguments], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.output

    assert "has no devices" in edgeres()
    edgeres("add", "box", server.url, "--set", f"python={server.python}")
    assert server.url in edgeres("list")
    assert "PROBLEM" not in edgeres("check", "--json", str(tmp_path / "found.json"))
    found = json.loads((tmp_path / "found.json").read_text())["devices"]
    assert [each["name"] for each in found] == ["box"]
    assert "runtime" in {finding["what"] for finding in found[0]["findings"]}
    edgeres("remove", "box")
    assert "has no devices" in edgeres()
    opened.close_devices()
