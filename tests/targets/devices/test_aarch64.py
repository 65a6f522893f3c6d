"""Another processor: an aarch64 userland under qemu behind the sshd. What it computes, never how fast."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from targets.artifact import Artifact
from targets.devices.patience import Patience
from targets.devices.ssh import SshDevice
from targets.proof import prove
from targets.runtimes.cpu import REFERENCE
from tests.targets.conftest import Models
from tests.targets.devices import aarch64
from tests.targets.devices.aarch64 import BOOKWORM, kept_userland
from tests.targets.devices.conftest import Devices

pytestmark = [pytest.mark.ssh, pytest.mark.slow, pytest.mark.timeout(1800)]

SLOW = Patience(connect=600, reconnect=60)


@pytest.fixture(scope="module")
def python(request: pytest.FixtureRequest) -> Path:
    return kept_userland(BOOKWORM, request.config.cache)


@pytest.fixture
def device(devices: Devices, python: Path) -> SshDevice:
    return devices(patience=SLOW, python=str(python))


def images() -> np.ndarray:
    return np.random.default_rng(3).uniform(0, 255, (20, 16, 16, 3)).astype(np.float32)


def test_only_what_is_not_there_is_a_reason_to_skip() -> None:
    for words in ("E: Unable to locate package python3.11-minimal", "ERROR: No matching distribution found for numpy"):
        with pytest.raises(aarch64.Absent, match="Python: "):
            aarch64.fetch("Python", "sh", "-c", f"echo '{words}' >&2; exit 100")
    with pytest.raises(aarch64.Absent, match="does not answer within"):
        aarch64.fetch("Python", "sleep", "60", seconds=0.5)
    with pytest.raises(aarch64.Absent, match="no-such-program is not installed"):
        aarch64.need("no-such-program")
    with pytest.raises(AssertionError, match="exit code 100: E: The value"):
        aarch64.fetch("Python", "sh", "-c", "echo 'E: The value of the option is unknown' >&2; exit 100")
    with pytest.raises(AssertionError):
        aarch64.run(aarch64.need("dpkg"), "-x", "no-such-package.deb", "nowhere")


def test_the_device_is_another_machine(device: SshDevice) -> None:
    environment = device.machine.describe()
    assert environment["machine"] == "aarch64"
    assert environment["versions"]["ai-edge-litert"].startswith("2.1.")
    assert not [finding for finding in device.examine() if finding.problem]


def test_the_reference_kernels_repeat_int8_bit_for_bit_on_another_processor(device: SshDevice, models: Models) -> None:
    with device.target("reference").open(models("int8")) as there, REFERENCE.open(models("int8")) as here:
        assert (there.infer(images()) == here.infer(images())).all()


@pytest.mark.parametrize("name", ["int8", "float32"])
def test_the_fast_kernels_of_another_processor_are_within_their_tolerance(
    device: SshDevice, models: Models, name: str
) -> None:
    artifact, target = Artifact(name, f"{name}.tflite", "tflite", models(name)), device.target("cpu")
    with target.open(artifact.model) as session:
        proof = prove(artifact, session, target)
        assert session.operators().delegated > 0
    assert proof is not None
    assert proof.passed
