"""The wheel, installed where the checkout is not on the path, does what the checkout does."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from edgeres.bundle import GOLDEN, LABELS, MODEL
from tests.trained import Trained

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]


def ran(*command: str | Path, cwd: Path, **environment: str) -> str:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, env={**inherited, **environment})
    assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    ran(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel, which borrows its dependencies from the present one.

    A path in a .pth file is added without reading the .pth files that lie there: an editable install of the checkout
    stays out.
    """
    folder = tmp_path_factory.mktemp("installed") / "venv"
    ran(sys.executable, "-m", "venv", "--without-pip", folder, cwd=wheel.parent)
    python = folder / "bin" / "python"
    ran(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", wheel, cwd=wheel.parent)
    (packages,) = folder.glob("lib/python*/site-packages")
    borrowed = dict.fromkeys(sysconfig.get_path(name) for name in ("purelib", "platlib"))
    (packages / "borrowed.pth").write_text("".join(f"{path}\n" for path in borrowed))
    return folder


def test_the_wheel_holds_the_packages_with_their_data_and_nothing_else(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for package in ("edgeres", "converters", "targets"):
        listed = {str(path.relative_to(ROOT)) for path in (ROOT / package).rglob("*") if path.is_file()}
        missing = {name for name in listed if "__pycache__" not in name} - names
        assert not missing
        assert f"{package}/py.typed" in names
    assert {"edgeres/models/figures.json", "converters/recipes/int8.yaml"} <= names
    for templates in ("edgeres/report", "converters/apps/python", "converters/apps/c", "converters/apps/web"):
        assert any(name.startswith(f"{templates}/templates/") for name in names)
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"edgeres", "converters", "targets"}
    assert "cli.py" not in names


def test_it_runs_from_where_it_is_installed(environment: Path, tmp_path: Path) -> None:
    script = "import edgeres, converters, targets; print(*(m.__file__ for m in (edgeres, converters, targets)))"
    for place in ran(environment / "bin" / "python", "-c", script, cwd=tmp_path).split():
        assert Path(place).is_relative_to(environment)
    assert "resnet50" in ran(environment / "bin" / "edgeres", "models", cwd=tmp_path)


def test_it_converts_to_the_same_bytes_as_the_checkout(environment: Path, trained: Trained, tmp_path: Path) -> None:
    arguments = ["convert", trained.model, "--recipe", "int8", "--data", "digits", "--out"]
    ran(sys.executable, ROOT / "cli.py", *arguments, "checkout", cwd=tmp_path)
    own = str(tmp_path / "cache")  # nothing is taken over from the checkout
    ran(environment / "bin" / "edgeres", *arguments, "installed", cwd=tmp_path, EDGERES_CACHE=own)
    for name in (MODEL, LABELS, GOLDEN):
        assert (tmp_path / "installed" / name).read_bytes() == (tmp_path / "checkout" / name).read_bytes()
    ran(environment / "bin" / "edgeres", "verify", "installed", cwd=tmp_path)
    ran(environment / "bin" / "edgeres", "embed", "installed", "--platform", "python", "--out", "app", cwd=tmp_path)
    assert ran(environment / "bin" / "python", "app/classify.py", "--check", cwd=tmp_path).count(": ok\n") == 4
