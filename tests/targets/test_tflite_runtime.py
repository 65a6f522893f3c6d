"""The oldest device: tflite-runtime 2.14 with numpy 1.26, in an environment of its own, without TensorFlow."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock

from edgeres.storage import sha256_bytes
from targets.runtimes.cpu import CPU
from tests.targets import on_device
from tests.targets.conftest import Models

pytestmark = [pytest.mark.tflite_runtime, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "tests" / "tflite-runtime.lock"
PYTHONS = ((3, 11), (3, 10))
"""The newest versions of Python that tflite-runtime was published for."""


def version(python: str) -> tuple[int, ...]:
    """The version of an interpreter; nothing where it does not start (a pyenv shim of an inactive version)."""
    found = subprocess.run([python, "-c", "import sys; print(*sys.version_info[:2])"], capture_output=True, text=True)
    return tuple(map(int, found.stdout.split())) if found.returncode == 0 else ()


def suitable_python() -> str | None:
    candidates = [sys.executable, *(shutil.which(f"python{major}.{minor}") for major, minor in PYTHONS)]
    return next((python for python in candidates if python and version(python) in PYTHONS), None)


def clean_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


def run(*command: str, **environment: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, env={**clean_environment(), **environment})
    assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def device_python(request: pytest.FixtureRequest) -> str:
    """The interpreter of a second environment, installed from its lock; kept for the next run."""
    python = suitable_python()
    if python is None:
        pytest.skip("tflite-runtime needs Python 3.11 or 3.10, and neither is on this machine")
    cache = request.config.cache
    assert cache is not None
    key = sha256_bytes(LOCK.read_bytes() + repr(version(python)).encode())[:16]
    folder = cache.mkdir("tflite-runtime") / key
    with FileLock(f"{folder}.lock"):
        if not (folder / "complete").exists():
            run(python, "-m", "venv", "--clear", str(folder))
            run(str(folder / "bin" / "python"), "-m", "pip", "install", "-q", "--require-hashes", "-r", str(LOCK))
            (folder / "complete").touch()
    return str(folder / "bin" / "python")


@pytest.fixture(scope="module")
def inputs() -> np.ndarray:
    return np.random.default_rng(5).uniform(0, 255, (8, 16, 16, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def found(
    device_python: str, model_folder: Path, inputs: np.ndarray, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("device")
    np.save(folder / "inputs.npy", inputs)
    arguments = [str(on_device.__file__), str(model_folder), str(folder / "inputs.npy"), str(folder / "out.npz")]
    printed = run(device_python, *arguments, PYTHONPATH=str(ROOT))
    with np.load(folder / "out.npz") as outputs:
        return {**json.loads(printed), "outputs": dict(outputs)}


def test_the_contracts_and_the_targets_import_without_tensorflow(found: dict[str, Any]) -> None:
    assert found["present"] == []
    assert {"edgeres.bundle", "targets.runtimes.cpu", "targets.flatbuffer"} <= set(found["imported"])


def test_the_runtime_there_is_tflite_runtime_with_numpy_1(found: dict[str, Any]) -> None:
    assert found["version"] == "tflite-runtime 2.14.0"
    assert found["numpy"].startswith("1.26.")


@pytest.mark.parametrize(("name", "tolerance"), [("float32", 1e-5), ("float16", 1e-3), ("int8", 0.02)])
@pytest.mark.parametrize("target", ["cpu", "reference", "builtin"])
def test_its_outputs_are_close_to_those_of_litert_here(
    found: dict[str, Any], models: Models, inputs: np.ndarray, target: str, name: str, tolerance: float
) -> None:
    with CPU.open(models(name)) as session:
        expected = session.infer(inputs)
    outputs = found["outputs"][f"{target}_{name}"]
    assert outputs.shape == expected.shape == (8, 4)
    assert np.abs(outputs - expected).max() <= tolerance


def test_its_xnnpack_takes_float_and_leaves_int8(found: dict[str, Any]) -> None:
    assert found["delegated"]["cpu_float32"] == 9
    assert found["delegated"]["cpu_int8"] == 0
    assert found["delegated"]["reference_float32"] == 0


def test_numpy_2_beside_tflite_runtime_is_explained(device_python: str, tmp_path: Path) -> None:
    newer = tmp_path / "numpy-2.0.0.dist-info"
    newer.mkdir()
    (newer / "METADATA").write_text("Metadata-Version: 2.1\nName: numpy\nVersion: 2.0.0\n")
    program = "from targets.runtimes.cpu import CPU; print(CPU.check())"
    printed = run(device_python, "-c", program, PYTHONPATH=f"{tmp_path}{os.pathsep}{ROOT}")
    assert "available=False" in printed
    assert "tflite-runtime 2.14.0 needs numpy 1, 2.0.0 is installed" in printed
    assert "pip install 'numpy<2'" in printed
