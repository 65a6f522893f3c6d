from __future__ import annotations

import logging
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tf_keras

from converters.cache import folder
from converters.job import Job
from converters.pipeline import convert, float_flatbuffer
from converters.quantization.fitting_preset import fitting_preset
from converters.quantization.measured import measured
from converters.recipe import load_recipe
from edgeres.contracts import contract_for
from edgeres.errors import DataError
from edgeres.keras_file import CARD, read_keras_file
from edgeres.preprocess import named
from tests.edgeres.keras_models import classifier, edit_archive, saved
from tests.trained import Trained


@pytest.fixture(scope="module")
def bare(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Job:
    """The trained network, in a file that does not say that it was trained on `raw`."""
    path = shutil.copy(trained.model, tmp_path_factory.mktemp("bare") / "bare.keras")
    return replace(trained.job, file=read_keras_file(edit_archive(Path(path), CARD, None)))


def preset_of(job: Job, preset: str) -> Job:
    return replace(job, contract=contract_for(job.file, preset))


@pytest.mark.parametrize("preset", ["unit", "torch"])
def test_a_preprocessing_of_another_scale_is_refused_and_the_right_one_named(bare: Job, preset: str) -> None:
    with pytest.raises(DataError, match="another preprocessing than the one given: 'raw' fits") as caught:
        measured(float_flatbuffer(bare.file), preset_of(bare, preset), 256)
    assert caught.value.fix == "--preprocess raw"
    assert "with 'raw': +" in caught.value.details[0]


def test_nothing_is_converted_by_a_wrong_one(bare: Job, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="'raw' fits"):
        convert(preset_of(bare, "unit"), load_recipe("int8"), tmp_path / "b")
    assert list(tmp_path.iterdir()) == []


def test_the_right_one_costs_no_further_run(bare: Job) -> None:
    before = set((folder() / "preset").glob("*"))
    measured(float_flatbuffer(bare.file), preset_of(bare, "raw"), 256)
    assert set((folder() / "preset").glob("*")) == before


def test_a_model_that_carries_its_own_is_warned_of(
    trained: Trained, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    job = replace(trained.job, contract=named("unit", height=32, width=32))
    with caplog.at_level(logging.WARNING):
        bundle = convert(job, load_recipe("int8"), tmp_path / "b")
    assert "calibration: other preprocessing (images): the preset 'raw' fits better" in caplog.text
    assert bundle.calibration is not None
    assert bundle.calibration.top1.value < 0.5


@pytest.fixture(scope="module")
def untrained(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Job:
    tf_keras.utils.set_random_seed(3)
    path = saved(classifier(tf_keras, classes=10), tmp_path_factory.mktemp("untrained") / "new.keras")
    return replace(trained.job, file=read_keras_file(path))


@pytest.mark.parametrize("preset", ["raw", "unit", "caffe"])
def test_an_untrained_network_is_not_refused(untrained: Job, preset: str) -> None:
    job, model = preset_of(untrained, preset), float_flatbuffer(untrained.file)
    found, split = measured(model, job, 256), job.calibration(256)
    fit = fitting_preset(model, found.scores, split, job.contract)
    assert fit is None or not fit.certain
    assert np.mean(found.scores.argmax(axis=1) == split.classes) < 0.4, "it was doubtful"
