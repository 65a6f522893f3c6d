"""The trained networks of the assets: what the documents claim of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from converters.job import Job
from converters.keras_artifact import float_artifact
from converters.pipeline import convert
from converters.recipe import load_recipe
from edgeres.contracts import contract_for
from edgeres.data import open_dataset
from edgeres.keras_file import read_keras_file
from edgeres.training.run import read_config, read_history
from targets.artifact import open_artifact
from targets.evaluation import evaluate

ASSETS = Path(__file__).parent / "assets"
MLPERF_TINY_BYTES = 98_496


@pytest.mark.parametrize(
    ("name", "parameters", "epochs", "accuracy"), [("resnet8", 78_042, 40, 0.83), ("resnet20", 272_474, 40, 0.86)]
)
def test_a_run_says_how_to_repeat_it(name: str, parameters: int, epochs: int, accuracy: float) -> None:
    asset = ASSETS / f"{name}-cifar10"
    config, history = read_config(asset), read_history(asset)
    assert (config.network.name, config.network.parameters) == (name, parameters)
    assert len(history.epochs) == config.training["epochs"] == epochs
    assert history.test_accuracy is not None
    assert history.test_accuracy.n == 10_000
    assert history.test_accuracy.value >= accuracy


@pytest.mark.slow
@pytest.mark.cifar10
def test_int8_is_small_and_as_accurate_on_all_test_images(cifar10: Path, tmp_path: Path) -> None:
    file = read_keras_file(ASSETS / "resnet8-cifar10" / "model.keras")
    job = Job(file, open_dataset(f"cifar10:{cifar10}"), contract_for(file, None))
    bundle = convert(job, load_recipe("int8"), tmp_path / "int8")
    assert len(bundle.read("model.tflite")) <= MLPERF_TINY_BYTES
    artifacts = (float_artifact(file, job.contract), open_artifact(bundle.path))
    whole, integer = (found.accuracy for found in evaluate(artifacts, job.dataset, baseline=0).artifacts)
    assert whole is not None
    assert integer is not None
    assert integer.top1_drop_points is not None
    assert whole.top1.value >= 0.80
    assert integer.top1_drop_points.value <= 0.5
