from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tf_keras

from converters.job import Job, require_classes, require_fitting
from converters.steps import Material
from edgeres.contracts import contract_for
from edgeres.data import open_dataset
from edgeres.errors import ConfigError, DataError
from edgeres.keras_file import KerasFile, read_keras_file
from edgeres.preprocess import Preprocess, named
from tests.edgeres.keras_models import classifier, saved
from tests.trained import Trained


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> KerasFile:
    """A file that no edgeres wrote."""
    return read_keras_file(saved(classifier(tf_keras), tmp_path_factory.mktemp("foreign") / "small.keras"))


def test_a_card_says_how_pixels_become_the_input(trained: Trained) -> None:
    file = read_keras_file(trained.model)
    assert contract_for(file, None) == contract_for(file, "raw") == Preprocess(32, 32)
    with pytest.raises(ConfigError, match="carries its own preprocessing, which is not 'unit'") as caught:
        contract_for(file, "unit")
    assert caught.value.fix == "leave out --preprocess"


def test_a_foreign_file_needs_the_option(foreign: KerasFile, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not say how pixels become its input") as caught:
        contract_for(foreign, None)
    assert "--preprocess raw|unit|symmetric|torch|caffe" in str(caught.value.fix)
    assert contract_for(foreign, "torch") == named("torch", height=8, width=8)
    (tmp_path / "mine.yaml").write_text("scale: 0.5\nresize: crop\n")
    assert contract_for(foreign, str(tmp_path / "mine.yaml")) == Preprocess(8, 8, scale=0.5, resize="crop")


def test_labels_and_splits_must_be_those_of_the_card(trained: Trained) -> None:
    file, dataset = trained.job.file, trained.job.dataset
    require_fitting(file, dataset)
    swapped = replace(dataset, labels=("1", "0", *dataset.labels[2:]))
    with pytest.raises(DataError, match="trained on other classes") as caught:
        require_fitting(file, swapped)
    assert caught.value.details[0].startswith("model: 10: 0, 1, 2")
    assert caught.value.details[1].startswith("data:  10: 1, 0, 2")
    with pytest.raises(DataError, match="dealt by seed 0") as caught:
        require_fitting(file, open_dataset("digits", seed=1))
    assert caught.value.fix == "--split-seed 0"


def test_a_foreign_file_fits_any_labels_but_not_any_number(foreign: KerasFile, trained: Trained) -> None:
    job = Job(foreign, trained.job.dataset, contract_for(foreign, "raw"))
    require_fitting(foreign, job.dataset)
    require_classes(10, job)
    with pytest.raises(DataError, match="has 3 outputs, digits has 10 classes"):
        require_classes(3, job)


def test_a_fingerprint_is_of_the_part_of_the_data_that_a_step_reads(trained: Trained) -> None:
    job: Job = trained.job
    assert len(job.calibration(7)) == 7
    assert len(job.calibration(None)) == len(job.calibration(10_000)) == 129
    assert job.fingerprint(Material("calibration", 7)) == job.calibration(7).fingerprint()
    assert job.calibration(7).fingerprint() != job.dataset.split("calibration").head(7).fingerprint()
    assert sorted(job.calibration(10).classes) == list(range(10))
    np.testing.assert_array_equal(job.calibration(7).indices, job.calibration(100).indices[:7])
    assert job.fingerprint(Material("train")) == job.dataset.split("train").fingerprint()
    assert job.fingerprint(Material("calibration", 7)) != job.fingerprint(Material("calibration", 8))
