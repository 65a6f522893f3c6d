from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest
from filelock import FileLock

from edgeres.storage import sha256_bytes
from tests.targets import models as source

ROOT = Path(__file__).parents[2]
DELEGATE = Path(__file__).parent / "add_delegate.c"
WRITERS = (
    "tests/targets/forecast_models.py",
    "converters/export.py",
    "converters/quantization/post_training.py",
    "targets/runtimes/plain.py",
)
"""What the files depend on that `networks` gives, beside the packages."""

Models = Callable[[str], bytes]


@pytest.fixture(scope="session")
def model_folder(request: pytest.FixtureRequest) -> Path:
    """The files that `models.py` writes: made in a process of its own, and again only when it or TensorFlow changes."""
    made_of = Path(source.__file__).read_bytes()
    made_of += "".join(metadata.version(name) for name in ("tensorflow", "tf-keras", "litert-quantizer")).encode()
    cache = request.config.cache
    assert cache is not None
    folder = cache.mkdir("targets-models") / sha256_bytes(made_of)[:16]
    with FileLock(f"{folder}.lock"):
        if not (folder / "complete").exists():
            folder.mkdir(exist_ok=True)
            command = [sys.executable, "-m", "tests.targets.models", str(folder)]
            made = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
            assert made.returncode == 0, made.stderr[-4000:]
            (folder / "complete").touch()
    return folder


@pytest.fixture(scope="session")
def models(model_folder: Path) -> Models:
    """The bytes of one of the models, by name."""
    return lambda name: (model_folder / f"{name}.tflite").read_bytes()


@pytest.fixture(scope="session")
def networks(request: pytest.FixtureRequest) -> dict[str, bytes]:
    """The files that `forecast_models.py` writes, by name; made again only when it or a converter changes."""
    made_of = b"".join((ROOT / each).read_bytes() for each in WRITERS)
    made_of += "".join(metadata.version(name) for name in ("tensorflow", "tf-keras", "litert-quantizer")).encode()
    cache = request.config.cache
    assert cache is not None
    folder = cache.mkdir("forecast-models") / sha256_bytes(made_of)[:16]
    with FileLock(f"{folder}.lock"):
        if not (folder / "complete").exists():
            folder.mkdir(exist_ok=True)
            command = [sys.executable, "-m", "tests.targets.forecast_models", str(folder)]
            made = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
            assert made.returncode == 0, made.stderr[-4000:]
            (folder / "complete").touch()
    return {path.stem: path.read_bytes() for path in sorted(folder.glob("*.tflite"))}


@pytest.fixture(scope="session")
def delegate(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A real delegate, compiled from our own source: it takes float ADDs."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("there is no C compiler to build the delegate with")
    library = tmp_path_factory.mktemp("delegate") / "add.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, DELEGATE, "-lm"], check=True)
    return str(library)
