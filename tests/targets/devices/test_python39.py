"""The oldest Python of a device, 3.9: one of this machine with tflite-runtime 2.14, and Debian 11's on aarch64."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from filelock import FileLock

from edgeres.console import run as edgeres
from edgeres.errors import TargetError
from edgeres.results import read_result
from edgeres.storage import sha256_bytes
from targets.devices import opened
from targets.devices.patience import Patience
from targets.devices.remote_sandbox import RemoteSandbox
from targets.devices.sources import ROOTS, closure
from targets.devices.ssh import SshDevice
from tests.targets.bundles import make_bundle, write_images
from tests.targets.conftest import Models
from tests.targets.devices.aarch64 import BULLSEYE, BULLSEYE_BEFORE_LITERT, kept_userland
from tests.targets.devices.conftest import Devices
from tests.targets.devices.server import Server
from tests.targets.test_tflite_runtime import LOCK, ROOT, run, version

pytestmark = [pytest.mark.ssh, pytest.mark.slow, pytest.mark.tflite_runtime, pytest.mark.timeout(1800)]

SLOW = Patience(connect=600, reconnect=60)
ENGINE = "tests.targets.engines:Engine"


def installed_python() -> str | None:
    """A CPython 3.9 of this machine: on the path, or of pyenv, which shows none but the active version there."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates = (shutil.which("python3.9"), *map(str, sorted(pyenv.glob("3.9.*/bin/python3.9"))))
    return next((python for python in candidates if python and version(python) == (3, 9)), None)


def kept_environment(cache: pytest.Cache | None) -> Path:
    """The interpreter of an environment of Python 3.9 on this machine; kept for the next run."""
    python = installed_python()
    if python is None:
        pytest.skip("there is no Python 3.9 on this machine")
    assert cache is not None
    folder = cache.mkdir("python39") / sha256_bytes(LOCK.read_bytes() + python.encode())[:16]
    with FileLock(f"{folder}.lock"):
        if not (folder / "complete").exists():
            run(python, "-m", "venv", "--clear", str(folder))
            run(str(folder / "bin" / "python"), "-m", "pip", "install", "-q", "--require-hashes", "-r", str(LOCK))
            (folder / "complete").touch()
    return folder / "bin" / "python"


DEVICES = {
    "tflite-runtime 2.14.0": kept_environment,
    "tflite-runtime 2.13.0": partial(kept_userland, BULLSEYE_BEFORE_LITERT),
    "ai-edge-litert 2.1.0": partial(kept_userland, BULLSEYE),
}
"""By the runtime that they have: the newest ones that there are for them."""


@pytest.fixture(scope="module", params=DEVICES)
def runtime(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def python(request: pytest.FixtureRequest, runtime: str) -> Path:
    return DEVICES[runtime](request.config.cache)


@pytest.fixture
def device(devices: Devices, python: Path) -> SshDevice:
    return devices(patience=SLOW, python=str(python))


@pytest.fixture
def inventory(server: Server, python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One device, `old`."""
    path = tmp_path / "devices.toml"
    path.write_text(f'[old]\nurl = "{server.url}"\npython = "{python}"\nconnect_s = "600"\n')
    monkeypatch.setenv("EDGERES_DEVICES", str(path))
    yield
    opened.close_devices()


def test_the_device_has_what_it_needs(device: SshDevice, runtime: str) -> None:
    found = {finding.what: finding for finding in device.examine()}
    assert not [finding for finding in found.values() if finding.problem]
    assert found["python"].found.startswith("3.9.")
    assert found["runtime"].found == runtime


@pytest.mark.usefixtures("inventory")
def test_accuracy_and_latency_are_measured_there(models: Models, tmp_path: Path) -> None:
    bundles = [str(make_bundle(tmp_path / name, models(name))) for name in ("float32", "int8")]
    source, file = write_images(tmp_path / "images"), tmp_path / "result.json"
    place = ("--device", "old", "--json", str(file))
    assert edgeres(["evaluate", *bundles, "--data", source, *place]) == 0
    accurate = read_result(file).artifacts
    assert edgeres(["profile", *bundles, "--rounds", "30", *place]) == 0
    for row, timed in zip(accurate, read_result(file).artifacts, strict=True):
        assert row.accuracy is not None
        assert row.proof is not None
        assert row.proof.passed
        assert timed.latency is not None
        assert len(timed.latency.rounds) == 30
        assert timed.latency.conditions is not None
        assert timed.memory is not None
        assert timed.device is not None
        assert timed.device.environment["python"].startswith("3.9.")


def test_errors_of_an_engine_come_with_their_traceback(device: SshDevice) -> None:
    with pytest.raises(TargetError, match="a bug in the engine") as caught:
        RemoteSandbox(device, ENGINE).call("fail")
    assert any("KeyError" in line for line in caught.value.details)


def test_every_module_that_is_sent_imports_there_and_reads_a_result(
    python: Path, models: Models, tmp_path: Path
) -> None:
    bundle, file = make_bundle(tmp_path / "int8", models("int8")), tmp_path / "result.json"
    assert edgeres(["profile", str(bundle), "--rounds", "30", "--json", str(file)]) == 0
    program = (
        f"import sys; {'; '.join(f'import {name}' for name in sorted(closure(ROOTS)))}\n"
        "from edgeres.records import dump\n"
        f"sys.stdout.write(dump(edgeres.results.read_result(edgeres.storage.Path({str(file)!r}))))"
    )
    assert run(str(python), "-c", program, PYTHONPATH=str(ROOT)) == file.read_text()
