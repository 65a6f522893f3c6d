from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from converters.quantization.calibration import inputs, require_disjoint, stratified
from edgeres.data import Split, open_dataset
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


def of_classes(counts: list[int]) -> Split:
    """A shuffled split with so many images of each class."""
    classes = np.random.default_rng(1).permutation(np.repeat(np.arange(len(counts)), counts))
    return Split("calibration", (), np.arange(len(classes)) + 100, classes)  # type: ignore[arg-type]


@pytest.mark.parametrize("counts", [[26, 26, 25], [200, 40, 10], [90, 1, 1], [5], [30, 0, 12]])
def test_any_beginning_holds_the_classes_as_the_whole_does(counts: list[int]) -> None:
    split = of_classes(counts)
    ordered, present = stratified(split), np.asarray(counts) > 0
    assert sorted(ordered.indices) == sorted(split.indices)
    own = dict(zip(split.indices.tolist(), split.classes.tolist(), strict=True))
    assert [own[index] for index in ordered.indices.tolist()] == ordered.classes.tolist()
    for images in range(1, len(split) + 1):
        found = np.bincount(ordered.head(images).classes, minlength=len(counts))
        even = images * np.asarray(counts) / sum(counts)
        assert (found > 0).sum() == min(images, present.sum()), "every class comes before any comes twice"
        assert (found[present] < even[present] + 1 + 1e-9).all()


def test_within_a_class_the_order_is_that_of_the_split() -> None:
    split = of_classes([20, 30])
    ordered = stratified(split)
    for label in (0, 1):
        np.testing.assert_array_equal(ordered.indices[ordered.classes == label], split.indices[split.classes == label])
    again, other = (stratified(open_dataset("digits", seed=seed).split("calibration")) for seed in (0, 1))
    np.testing.assert_array_equal(again.indices, stratified(open_dataset("digits").split("calibration")).indices)
    assert again.indices.tolist() != other.indices.tolist()


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
