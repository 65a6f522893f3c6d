from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeres.data import SPLITS, Dataset
from edgeres.data.splits import Listing, deal
from edgeres.errors import DataError


class Numbers:
    """Images that only have a number."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __len__(self) -> int:
        return self._count

    def read(self, index: int) -> bytes:
        return str(index).encode()

    def name(self, index: int) -> str:
        return f"numbers[{index}]"


def listing(counts: list[int], **own: list[int]) -> Listing:
    classes = np.repeat(np.arange(len(counts)), counts)
    labels = tuple(f"class {i}" for i in range(len(counts)))
    kept = {name: np.asarray(indices, np.int64) for name, indices in own.items()}
    return Listing("numbers", labels, Numbers(len(classes)), classes, kept)


def dealt(counts: list[int], seed: int = 0, **own: list[int]) -> Dataset:
    return deal(listing(counts, **own), mirror=True, seed=seed)


def sizes(dataset: Dataset) -> dict[str, int]:
    return {name: len(split) for name, split in dataset.splits.items()}


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ([100] * 10, {"train": 648, "validation": 80, "test": 200, "calibration": 72}),
        ([5000] * 10, {"train": 36_988, "validation": 2500, "test": 10_000, "calibration": 512}),
        ([4, 4], {"train": 4, "validation": 1, "test": 2, "calibration": 1}),
        ([3, 2], {"train": 2, "validation": 1, "test": 1, "calibration": 1}),
        ([1] * 9 + [4], {"train": 10, "validation": 1, "test": 1, "calibration": 1}),
    ],
)
def test_sizes_follow_the_documented_shares(counts: list[int], expected: dict[str, int]) -> None:
    assert sizes(dealt(counts)) == expected


@given(st.lists(st.integers(1, 40), min_size=2, max_size=12), st.integers(0, 2**64 - 1))
def test_every_image_is_dealt_once_and_every_class_is_trained_on(counts: list[int], seed: int) -> None:
    if sum(counts) < len(counts) + 3:
        with pytest.raises(DataError, match=f"at least {len(counts) + 3} are needed"):
            dealt(counts, seed)
        return
    dataset = dealt(counts, seed)
    everything = np.concatenate([split.indices for split in dataset.splits.values()])
    assert sorted(everything) == list(range(sum(counts)))
    assert set(dataset.split("train").classes) == set(range(len(counts)))
    assert all(sizes(dataset)[name] >= 1 for name in SPLITS)


@pytest.mark.parametrize("name", SPLITS)
def test_splits_are_stratified(name: str) -> None:
    counts = [1000, 500, 250]
    split = dealt(counts).split(name)
    for label, count in enumerate(counts):
        assert abs((split.classes == label).sum() - len(split) * count / sum(counts)) <= 2


@pytest.mark.parametrize("name", SPLITS)
def test_the_head_of_a_split_is_a_random_sample(name: str) -> None:
    split = dealt([2000, 2000]).split(name).head(100)
    assert 25 < (split.classes == 0).sum() < 75
    assert (np.diff(split.indices) < 0).sum() > 20, "in the order of the listing"


def test_classes_of_a_split_belong_to_its_images() -> None:
    source = listing([30, 20, 10])
    for split in deal(source, mirror=True, seed=3).splits.values():
        np.testing.assert_array_equal(split.classes, source.classes[split.indices])
        assert split.classes.dtype == split.indices.dtype == np.int64


def test_the_seed_fixes_the_splits() -> None:
    first, again, other = dealt([50, 50], 1), dealt([50, 50], 1), dealt([50, 50], 2)
    assert first.splits["test"].indices.tolist() == again.splits["test"].indices.tolist()
    assert first.splits["test"].indices.tolist() != other.splits["test"].indices.tolist()
    assert first.seed == 1


def test_splits_are_the_same_on_every_machine() -> None:
    """These follow from the raw output of PCG64, which numpy promises not to change."""
    splits = dealt([6, 6], 7).splits
    assert {name: split.indices.tolist() for name, split in splits.items()} == {
        "train": [9, 8, 0, 1, 2, 10, 5, 7],
        "validation": [4],
        "test": [3, 6],
        "calibration": [11],
    }


def test_the_sources_own_splits_are_kept_whatever_the_seed() -> None:
    own = {"test": [0, 1, 50, 51], "validation": [2, 52]}
    for seed in range(5):
        dataset = dealt([50, 50], seed, **own)
        assert {name: sorted(dataset.split(name).indices) for name in own} == own
        assert sizes(dataset) == {"train": 85, "validation": 2, "test": 4, "calibration": 9}


def test_an_own_test_split_leaves_validation_and_calibration_to_be_dealt() -> None:
    assert sizes(dealt([50, 50], test=list(range(40, 60)))) == {
        "train": 65,
        "validation": 8,
        "test": 20,
        "calibration": 7,
    }


def test_too_few_images_say_how_many_are_needed() -> None:
    with pytest.raises(DataError, match="numbers has 4 images of 2 classes, at least 5 are needed") as caught:
        dealt([2, 2])
    assert "one each for test, validation, calibration" in str(caught.value)


def test_a_class_that_is_only_in_the_test_split_is_refused() -> None:
    with pytest.raises(DataError, match="without an image to train on: class 1"):
        dealt([20, 3], test=[20, 21, 22])


def test_splits_are_disjoint() -> None:
    for a, b in itertools.combinations(dealt([300, 200]).splits.values(), 2):
        assert not set(a.indices) & set(b.indices)
