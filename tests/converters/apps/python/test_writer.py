"""The script runs where nothing but numpy, Pillow and a runtime is, and gives what the harness gives."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from converters.apps.embedding import embed
from edgeres.bundle import open_bundle
from targets.runtimes.cpu import CPU
from tests.converters.apps.conftest import CONTRACTS, Made
from tests.converters.apps.hostile import HOSTILE

NEEDED = ("numpy", "numpy.libs", "PIL", "pillow.libs", "ai_edge_litert")


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An environment into which the three packages are linked, and nothing else."""
    folder = tmp_path_factory.mktemp("bare") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    spec = importlib.util.find_spec("numpy")
    assert spec is not None
    assert spec.origin is not None
    for name in NEEDED:
        if (place := Path(spec.origin).parents[1] / name).exists():
            (packages / name).symlink_to(place)
    return str(folder / "bin" / "python")


def ran(python: str, *arguments: object, code: int = 0) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [python, *map(str, arguments)], capture_output=True, text=True, env=environment, encoding="utf-8"
    )
    assert done.returncode == code, done.stderr
    return done.stdout


SCORES = """
import json, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import classify
print(json.dumps({p.name: classify.scores(p.read_bytes()).tolist() for p in sorted(Path(sys.argv[2]).iterdir())}))
print(sorted(m for m in sys.modules if m.split(".")[0] in ("edgeres", "tensorflow", "targets", "converters")))
"""


@pytest.mark.parametrize("contract", CONTRACTS)
def test_its_scores_are_the_harness_scores(
    contract: str, made: Made, pictures: Path, bare_python: str, tmp_path: Path
) -> None:
    model = "gray" if contract == "gray" else "int8" if contract == "raw" else "float32"
    path = made(model, contract)
    embed(path, "python", tmp_path / "app")
    printed, foreign = ran(bare_python, "-c", SCORES, tmp_path / "app", pictures).splitlines()
    assert foreign == "[]"
    names = sorted(place.name for place in pictures.iterdir())
    bundle = open_bundle(path)
    with CPU.open(bundle.read("model.tflite")) as session:
        expected = session.infer(
            np.stack([bundle.manifest.preprocess((pictures / name).read_bytes()) for name in names])
        )
    found = json.loads(printed)
    for name, row in zip(names, expected, strict=True):
        np.testing.assert_array_equal(np.float32(found[name]), row, err_msg=name)
    assert len({tuple(row) for row in found.values()}) > 3


def test_its_check_tells_right_from_wrong(made: Made, bare_python: str, tmp_path: Path) -> None:
    embed(made(), "python", tmp_path / "app")
    assert ran(bare_python, tmp_path / "app" / "classify.py", "--check").count(": ok\n") == 4
    app = tmp_path / "app" / "app.json"
    app.write_text(app.read_text().replace('"kernel": "bilinear"', '"kernel": "nearest"'))
    assert ran(bare_python, tmp_path / "app" / "classify.py", "--check", code=1).count(": WRONG\n") == 4


def test_hostile_labels_are_printed_as_they_are(made: Made, pictures: Path, bare_python: str, tmp_path: Path) -> None:
    embed(made("fifty", "unit", HOSTILE), "python", tmp_path / "app")
    assert json.loads((tmp_path / "app" / "app.json").read_text())["labels"] == list(HOSTILE)
    printed = ran(bare_python, tmp_path / "app" / "classify.py", *sorted(pictures.glob("*.png")))
    shown = {line[11:] for line in printed.split("\n") if line[8:11] == "%  "}
    assert len(shown) > 5
    assert shown <= set(HOSTILE)


def test_a_golden_output_that_is_off_is_wrong(made: Made, bare_python: str, tmp_path: Path) -> None:
    embed(made("float32", "unit"), "python", tmp_path / "app")
    golden = dict(np.load(tmp_path / "app" / "golden.npz"))
    golden["outputs"][2] += 1
    np.savez(tmp_path / "app" / "golden.npz", **golden)
    printed = ran(bare_python, tmp_path / "app" / "classify.py", "--check", code=1)
    assert [line.endswith("WRONG") for line in printed.splitlines()] == [False, False, True, False]


@pytest.mark.tflite_runtime
@pytest.mark.slow
@pytest.mark.parametrize(("model", "contract"), [("float32", "torch"), ("int8", "raw")])
def test_it_runs_with_tflite_runtime(
    model: str,
    contract: str,
    made: Made,
    pictures: Path,
    device_python: str,
    tmp_path: Path,
) -> None:
    embed(made(model, contract), "python", tmp_path / "app")
    assert ran(device_python, tmp_path / "app" / "classify.py", "--check").count(": ok\n") == 4
    assert ran(device_python, tmp_path / "app" / "classify.py", pictures / "turned.jpg").count("%") == 4
