"""Measurements on a fake phone behind the real `adb`; what fails on the way is in `test_android_faults.py`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from edgeres.console import cli
from edgeres.errors import ConfigError, ModelError, TargetError
from edgeres.results import read_result
from targets import latency
from targets.artifact import Artifact, open_artifact
from targets.catalogue import find_target
from targets.devices import opened
from targets.devices.android import AndroidDevice
from targets.devices.device import DeviceTarget, Entry
from targets.latency import Block, Protocol
from targets.machine import machine_of
from targets.proof import prove
from targets.runtimes.cpu import BUILTIN, CPU, REFERENCE
from tests.targets.bundles import make_bundle, write_images
from tests.targets.conftest import Models
from tests.targets.devices.adbd import Phone

pytestmark = [pytest.mark.adb, pytest.mark.slow]

NAMES = ("float32", "int8")
QUICK = Protocol(block=Block(1, 0), warm_up=Block(1, 0), warm_up_runs=2, warm_up_seconds=0, settled=10)


def images(count: int = 2) -> np.ndarray:
    return np.random.default_rng(3).uniform(0, 255, (count, 16, 16, 3)).astype(np.float32)


def artifact(model: bytes, name: str = "tiny") -> Artifact:
    return Artifact(name=name, path=f"{name}.tflite", kind="tflite", model=model)


@pytest.mark.parametrize("name", NAMES)
def test_a_model_gives_there_what_it_gives_here(android: AndroidDevice, models: Models, name: str) -> None:
    for place, here in (("", CPU), ("builtin", BUILTIN)):
        target = android.target(place)
        assert isinstance(target, DeviceTarget)
        with target.open(models(name)) as session, here.open(models(name)) as own:
            assert session.signature == own.signature
            assert (session.infer(images()) == own.infer(images())).all()
            found, expected = session.operators(), own.operators()
            assert (found.nodes, found.kinds, found.left) == (expected.nodes, expected.kinds, expected.left)
            assert found.delegated == expected.delegated
            assert session.memory().arena_bytes == own.memory().arena_bytes
            assert session.memory().peak_bytes > 0
            assert len(session.time(runs=3, seconds=0)) == 3
            proof = prove(artifact(models(name)), session, target)
            assert proof is not None
            assert proof.passed
            assert not proof.golden


def test_a_start_is_that_of_a_process_of_its_own(android: AndroidDevice, models: Models) -> None:
    with android.target("cpu").open(models("int8")) as session:
        start = session.start()
    assert start.initialization_ms > 0
    assert start.first_ms > 0
    assert start.peak_bytes >= start.load_bytes > 0


def test_the_golden_inputs_of_a_bundle_are_the_proof(android: AndroidDevice, models: Models, tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "bundle", models("int8"))
    target = android.target("gpu")
    with target.open(models("int8")) as session:
        proof = prove(open_artifact(bundle), session, target)
    assert proof is not None
    assert proof.golden
    assert proof.passed


def test_a_device_that_computes_something_else_is_not_proved(
    phone: Phone, android: AndroidDevice, models: Models
) -> None:
    phone.environment["FAKE_WRONG"] = "1"
    target = android.target("cpu")
    with target.open(models("int8")) as session:
        proof = prove(artifact(models("int8")), session, target)
    assert proof is not None
    assert not proof.passed
    assert proof.largest > proof.accepted


def test_latency_is_measured_in_rounds(phone: Phone, android: AndroidDevice, models: Models) -> None:
    target = android.target("cpu")
    with target.open(models("int8")) as one, target.open(models("float32")) as two:
        found = latency.measure([one, two], QUICK, baseline=0, machine=machine_of(target))
    assert [len(each.rounds) for each in found] == [30, 30]
    assert {len(block) for each in found for block in each.rounds} == {1}
    assert found[1].speedup is not None
    assert found[1].speedup.n == 30
    conditions = found[0].conditions
    assert conditions is not None
    assert len(conditions.reference_ms) == 30
    assert conditions.throttled == 0
    witnessed = android.witnessed()
    blocks = [row for rows in witnessed["benchmark_model_us"].values() for row in rows]
    told = [1000 * time for each in found for block in each.rounds for time in block]
    assert np.allclose([row["curr"] for row in blocks], told)
    assert {row["count"] for row in blocks} == {2}
    assert witnessed["fixed_performance"] == "held"
    assert witnessed["afterwards"]["thermal"] == "none"
    assert (phone.state / "cmd").read_text().split("\n")[:2] == [
        "power set-fixed-performance-mode-enabled true",
        "power set-fixed-performance-mode-enabled false",
    ]


def test_a_phone_that_is_hot_is_said_to_throttle(phone: Phone, android: AndroidDevice, models: Models) -> None:
    phone.set(thermal="Thermal Status: 3")
    (phone.state / "no_fixed").touch()
    target = android.target("cpu")
    with target.open(models("int8")) as session:
        (found,) = latency.measure([session], QUICK, machine=machine_of(target))
    assert found.conditions is not None
    assert "throttling" in found.conditions.flags
    assert android.witnessed()["afterwards"]["thermal"] == "severe"
    assert android.witnessed()["fixed_performance"] == "not supported"


def test_a_phone_that_hides_its_clock_is_measured_all_the_same(
    phone: Phone, android: AndroidDevice, models: Models
) -> None:
    """Some systems let nobody read `/proc/uptime`: what is a share of it is not known then."""
    denied = (
        'case "$*" in */uptime*) echo "cat: /proc/uptime: Permission denied" >&2; exit 1;; esac; exec /bin/cat "$@"'
    )
    (phone.tools / "cat").write_text(f"#!/bin/sh\n{denied}\n")
    (phone.tools / "cat").chmod(0o755)
    target = android.target("cpu")
    with target.open(models("int8")) as session:
        (found,) = latency.measure([session], QUICK, machine=machine_of(target))
    assert len(found.rounds) == 30
    assert found.conditions is not None
    assert found.conditions.pressure is None


def test_a_device_is_described_with_what_its_times_depend_on(phone: Phone, android: AndroidDevice) -> None:
    phone.set(
        battery="  AC powered: false\n  USB powered: true\n  level: 15\n  temperature: 412",
        screen="mWakefulness=Dozing",
    )
    found = android.machine.describe()
    assert found["cpu"] == "Testing T1000"
    assert found["os"] == "Android 14 (API 34)"
    assert found["machine"] == "arm64-v8a"
    assert found["battery"] == {"percent": 15, "celsius": 41.2, "charging": True}
    assert (found["thermal"], found["screen"]) == ("none", "off")
    assert found["versions"]["benchmark_model"] == f"sha256:{android.tool.sha256}"
    json.dumps(found)
    advice = {finding.what: finding.fix for finding in android.examine()}
    assert "slower below 20 %" in str(advice["battery"])
    assert "stayon" in str(advice["screen"])


def test_an_old_device_without_exit_codes_is_measured_too(phone: Phone, android: AndroidDevice, models: Models) -> None:
    phone.features = ()
    with android.target("cpu").open(models("int8")) as session, CPU.open(models("int8")) as own:
        assert (session.infer(images()) == own.infer(images())).all()


def test_an_old_tool_times_and_says_that_it_gives_no_outputs(
    phone: Phone, android: AndroidDevice, models: Models
) -> None:
    phone.environment["FAKE_OLD"] = "1"
    with android.target("cpu").open(models("int8")) as session:
        assert len(session.time(runs=2, seconds=0)) == 2
        with pytest.raises(TargetError, match="does not know --output_filepath"):
            session.infer(images(1))


def test_a_vendor_s_delegate_is_pushed_and_runs_on_npu(phone: Phone, tool: Path, delegate: str, models: Models) -> None:
    options = {"benchmark": str(tool), "delegate": delegate, "delegate_options": "activation_limit:1000000"}
    device = AndroidDevice(Entry("phone", f"adb://{phone.serial}", options))
    target = device.target("npu")
    try:
        with target.open(models("float32")) as session:
            found = session.operators()
            assert (found.delegate, found.delegated) == ("the external delegate", 1)
            proof = prove(artifact(models("float32")), session, target)
            assert proof is not None
            assert proof.passed
        with pytest.raises(TargetError, match="takes none of the model's"):
            target.open(models("int8"))
    finally:
        device.close()


def test_npu_without_a_delegate_says_what_it_needs(android: AndroidDevice) -> None:
    found = android.target("npu").check()
    assert not found.available
    assert "needs the delegate of the chip's vendor" in str(found.why)


def test_a_gpu_that_takes_nothing_is_not_measured(phone: Phone, android: AndroidDevice, models: Models) -> None:
    phone.environment["FAKE_GPU"] = "none"
    with pytest.raises(TargetError, match="the GPU delegate takes none of the model's"):
        android.target("gpu").open(models("int8"))


@pytest.mark.parametrize("name", ["nnapi", "nnapi:fast"])
def test_nnapi_is_refused(android: AndroidDevice, name: str) -> None:
    with pytest.raises(TargetError, match="NNAPI is deprecated"):
        android.target(name)


def test_other_names_are_refused(android: AndroidDevice) -> None:
    with pytest.raises(TargetError, match=r"known: cpu, builtin, gpu, npu"):
        android.target("cpv")
    with pytest.raises(ConfigError, match="threads"):
        android.target("cpu").open(b"", threads=0)


def test_keys_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ConfigError, match="unknown key 'benchmrk'"):
        AndroidDevice(Entry("phone", "adb://1234", {"benchmrk": "x"}))
    with pytest.raises(ConfigError, match='fixed_performance = "yes" or "no"'):
        AndroidDevice(Entry("phone", "adb://1234", {"fixed_performance": "maybe"}))


def test_a_bundle_is_profiled_on_a_phone_by_the_command(
    phone: Phone, tool: Path, models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGERES_BENCHMARK_MODEL", str(tool))
    (tmp_path / "int8.tflite").write_bytes(models("int8"))
    out, url = tmp_path / "result.json", f"adb://{phone.serial}"
    arguments = [
        "profile",
        str(tmp_path / "int8.tflite"),
        "--target",
        f"{url}/cpu",
        "--rounds",
        "30",
        "--json",
        str(out),
    ]
    done = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    (row,) = read_result(out).artifacts
    assert row.target == f"{url}/cpu"
    assert row.proof is not None
    assert row.proof.passed
    assert row.device is not None
    assert row.device.environment["os"] == "Android 14 (API 34)"
    assert row.device.witnessed is not None
    assert len(row.device.witnessed["benchmark_model_us"][row.sha256]) == 30
    opened.close_devices()
    assert not list(phone.storage.iterdir())


def test_two_phones_are_told_apart(
    phone: Phone, android: AndroidDevice, tool: Path, tmp_path: Path, models: Models
) -> None:
    other = Phone(tmp_path / "other", properties={**phone.properties, "ro.soc.model": "T2000"})
    second = AndroidDevice(Entry("second", f"adb://{other.serial}", {"benchmark": str(tool)}))
    try:
        assert android.machine.describe()["cpu"] == "Testing T1000"
        assert second.machine.describe()["cpu"] == "Testing T2000"
        assert REFERENCE.tolerance is None
    finally:
        second.close()
        other.close()


def test_targets_are_found_by_url(adb_home: Path) -> None:
    assert find_target("adb://R58M12ABCDE/gpu").name == "adb://R58M12ABCDE/gpu"
    assert find_target("adb://emulator-5554").name == "adb://emulator-5554/cpu"


def test_images_are_evaluated_on_a_phone_as_here(
    phone: Phone, tool: Path, models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGERES_BENCHMARK_MODEL", str(tool))
    bundle, source = make_bundle(tmp_path / "bundle", models("int8")), write_images(tmp_path / "images", each=5)
    rows = []
    for target in (f"adb://{phone.serial}", "cpu"):
        out = tmp_path / "result.json"
        arguments = ["evaluate", str(bundle), "--data", source, "--target", target, "--images", "4", "--json", str(out)]
        done = CliRunner().invoke(cli, arguments, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        rows += read_result(out).artifacts
    there, here = (row.accuracy for row in rows)
    assert there is not None
    assert here is not None
    assert there.predictions == here.predictions
    assert rows[0].proof is not None
    assert rows[0].proof.golden
    opened.close_devices()


def test_threads_reach_the_tool(phone: Phone, android: AndroidDevice, models: Models) -> None:
    with android.target("cpu").open(models("int8"), threads=2):
        assert any("--num_threads=2" in command for command in phone.commands)


@pytest.mark.parametrize("name", ["$(touch OWNED).so", "benchmark_model", "a b.so", "tool.pid", "-rf.so;"])
def test_a_library_has_a_plain_name(
    phone: Phone, tool: Path, delegate: str, models: Models, tmp_path: Path, name: str
) -> None:
    (tmp_path / name).write_bytes(b"library")
    options = {"benchmark": str(tool), "delegate": delegate, "delegate_libraries": str(tmp_path / name)}
    device = AndroidDevice(Entry("phone", f"adb://{phone.serial}", options))
    try:
        with pytest.raises(ConfigError, match="a library with a name like"):
            device.target("npu").open(models("float32"))
    finally:
        device.close()


def test_a_model_of_another_size_or_type_is_measured_or_refused_as_here(android: AndroidDevice, models: Models) -> None:
    for name in ("float16", "gray_int8", "int16"):
        with android.target("builtin").open(models(name)) as session, BUILTIN.open(models(name)) as own:
            assert session.signature == own.signature
            shape = (1, *own.signature.input_shape[1:])
            noise = np.random.default_rng(1).uniform(0, 200, shape).astype(np.float32)
            assert (session.infer(noise) == own.infer(noise)).all()
    with pytest.raises(ModelError):
        android.target("cpu").open(models("two_inputs"))
