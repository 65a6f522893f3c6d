from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from converters.quantization.calibration import inputs, require_disjoint
from edgeres.data import open_dataset
from edgeres.errors import DataError
from edgeres.preprocess import Preprocess
from tests.targets.bundles import write_images

CONTRACT = Preprocess(16, 16, scale=1 / 255)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    write_images(tmp_path / "images")
    return tmp_path / "images"


def test_splits_of_different_images_pass(source: Path) -> None:
    dataset = open_dataset(f"folder:{source}")
    require_disjoint(dataset.split("calibration"), dataset.split("test"))


def test_an_image_of_the_test_split_is_refused_by_its_content(source: Path) -> None:
    dataset = open_dataset(f"folder:{source}")
    calibration, test = dataset.split("calibration"), dataset.split("test")
    for position in (2, 4):
        shutil.copy(source / test.where(position), source / calibration.where(position))
    with pytest.raises(DataError) as caught:
        require_disjoint(calibration, test)
    assert f"(2 of {len(calibration)} images, by content hash)" in caught.value.message
    assert caught.value.details == (f"first: {calibration.where(2)}",)


def test_inputs_are_what_the_contract_makes_of_each_image(source: Path) -> None:
    split = open_dataset(f"folder:{source}").split("calibration")
    found = list(inputs(split, CONTRACT))
    assert {image.shape for image in found} == {(1, 16, 16, 3)}
    for position, image in enumerate(found):
        np.testing.assert_array_equal(image[0], CONTRACT(split.read(position)))


def test_a_corrupt_image_is_named(source: Path) -> None:
    split = open_dataset(f"folder:{source}").split("calibration")
    (source / split.where(1)).write_text("no picture")
    with pytest.raises(DataError, match="not an image") as caught:
        list(inputs(split, CONTRACT))
    assert split.where(1) in caught.value.message
