from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from edgeres.data import Dataset, Split, open_dataset
from edgeres.data.dataset import Images
from edgeres.errors import DataError
from edgeres.preprocess import Content, Preprocess
from edgeres.training.feed import Fetch, augmentation, measuring_feed, training_feed, typed_failures
from tests.edgeres.pictures import encoded, gradient

SIDE = 16
RAW = Preprocess(SIDE, SIDE)
TORCH = Preprocess(
    SIDE, SIDE, resize="crop", scale=1 / 255, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225), crop_fraction=0.9
)
CAFFE = Preprocess(SIDE, SIDE, channels="bgr", resize="pad", mean=(103.939, 116.779, 123.68))
GRAY = Preprocess(SIDE, SIDE, channels="gray", scale=1 / 255)


class Gradients(Images):
    """Images that all differ and in which every move shows: red grows to the right, green downwards."""

    def __len__(self) -> int:
        return 24

    def read(self, index: int) -> Content:
        return encoded(gradient(20 + index, 40))

    def name(self, index: int) -> str:
        return f"images/{index}.png"


@pytest.fixture(scope="module")
def split() -> Split:
    indices = np.arange(24, dtype=np.int64)
    return Split("train", Gradients(), indices, indices % 3, "folder:images")


def batches(feed: tf.data.Dataset) -> tuple[np.ndarray, np.ndarray]:
    seen = [(inputs.numpy(), classes.numpy()) for inputs, classes in feed]
    return np.concatenate([inputs for inputs, _ in seen]), np.concatenate([classes for _, classes in seen])


def train_feed(split: Split, **options: Any) -> tuple[np.ndarray, np.ndarray]:
    held = options.pop("held_bytes", 1 << 30)
    settings = {"batch": 7, "seed": 3, "epoch": 0, "augment": "shift-flip", **options}
    return batches(training_feed(Fetch(split, RAW, held_bytes=held), split.classes, RAW, **settings))


@pytest.mark.parametrize("contract", [RAW, TORCH, CAFFE, GRAY])
@pytest.mark.parametrize("held", [1 << 30, 0])
def test_the_measuring_feed_is_the_contract_applied_to_each_image_in_order(
    split: Split, contract: Preprocess, held: int
) -> None:
    inputs, classes = batches(measuring_feed(Fetch(split, contract, held_bytes=held), split.classes, contract, batch=7))
    expected = np.stack([contract(split.read(position)) for position in range(len(split))])
    assert inputs.dtype == np.float32
    np.testing.assert_array_equal(inputs, expected)
    np.testing.assert_array_equal(classes, split.classes)


def test_an_epoch_shows_every_image_once_in_an_order_of_its_own(split: Split) -> None:
    plain, _ = batches(measuring_feed(Fetch(split, RAW), split.classes, RAW, batch=24))
    orders = []
    for epoch in (0, 1):
        inputs, classes = train_feed(split, augment="none", epoch=epoch)
        order = [int(np.argmin(np.abs(plain - image).sum(axis=(1, 2, 3)))) for image in inputs]
        np.testing.assert_array_equal(inputs, plain[order])
        np.testing.assert_array_equal(classes, split.classes[order])
        assert sorted(order) == list(range(24))
        orders.append(order)
    assert orders[0] != orders[1]
    assert orders[0] != list(range(24))


def test_seed_and_epoch_fix_order_and_augmentation(split: Split) -> None:
    first, same = train_feed(split, epoch=2), train_feed(split, epoch=2)
    np.testing.assert_array_equal(first[0], same[0])
    np.testing.assert_array_equal(first[1], same[1])
    for other in ({"epoch": 3}, {"epoch": 2, "seed": 4}):
        assert not np.array_equal(train_feed(split, **other)[0], first[0])


@pytest.mark.parametrize("augment", ["none", "shift", "shift-flip"])
def test_streamed_images_are_those_that_are_held(split: Split, augment: str) -> None:
    held, streamed = (train_feed(split, augment=augment, held_bytes=size) for size in (1 << 30, 0))
    np.testing.assert_array_equal(streamed[0], held[0])
    np.testing.assert_array_equal(streamed[1], held[1])


@pytest.fixture(scope="module")
def moves(split: Split) -> dict[bytes, tuple[int, int, bool]]:
    """What moved an image, (down, right, flipped), by the bytes of the image that it gives; up to twice the limit."""
    found = {}
    for position in range(len(split)):
        canvas = np.pad(RAW(split.read(position)), ((4, 4), (4, 4), (0, 0)))
        for down in range(-4, 5):
            for right in range(-4, 5):
                moved = canvas[4 - down : 4 - down + SIDE, 4 - right : 4 - right + SIDE]
                found[np.ascontiguousarray(moved[:, ::-1]).tobytes()] = (down, right, True)
                found[np.ascontiguousarray(moved).tobytes()] = (down, right, False)
    return found


@pytest.mark.parametrize("augment", ["shift", "shift-flip"])
def test_an_image_moves_by_an_eighth_at_most_and_flips_only_where_allowed(
    split: Split, moves: dict[bytes, tuple[int, int, bool]], augment: str
) -> None:
    epochs = [train_feed(split, augment=augment, epoch=epoch)[0] for epoch in range(3)]
    seen = [moves[image.tobytes()] for image in np.concatenate(epochs)]
    assert {down for down, _, _ in seen} == {right for _, right, _ in seen} == {-2, -1, 0, 1, 2}
    assert {flipped for _, _, flipped in seen} == ({False, True} if augment == "shift-flip" else {False})


def test_auto_flips_only_where_a_mirrored_image_keeps_its_class() -> None:
    digits = open_dataset("digits")
    photos = Dataset("folder:x", ("a", "b"), {}, mirror=True, seed=0)
    assert augmentation("auto", digits) == "shift"
    assert augmentation("auto", photos) == "shift-flip"
    assert augmentation("shift-flip", digits) == "shift-flip"
    assert augmentation("none", photos) == "none"


@pytest.mark.parametrize("held", [1 << 30, 0])
@pytest.mark.parametrize("feed", ["training", "measuring"])
def test_a_corrupt_image_is_named_in_both_modes(tmp_path: Path, held: int, feed: str) -> None:
    for label in ("cat", "dog"):
        (tmp_path / label).mkdir()
        for number in range(12):
            (tmp_path / label / f"{number}.png").write_bytes(encoded(gradient()))
    split = open_dataset(f"folder:{tmp_path}").split("train")
    victim = tmp_path / split.where(5)
    victim.write_bytes(victim.read_bytes()[:90])

    def read() -> None:
        fetch = Fetch(split, RAW, held_bytes=held)
        with typed_failures(fetch):
            if feed == "training":
                batches(training_feed(fetch, split.classes, RAW, batch=4, seed=0, epoch=0, augment="shift"))
            else:
                batches(measuring_feed(fetch, split.classes, RAW, batch=4))

    with pytest.raises(DataError) as caught:
        read()
    assert split.where(5) in caught.value.message
    assert "corrupt" in caught.value.message
    assert caught.value.fix == "remove or replace the file"


def test_an_error_of_tensorflow_itself_passes_through(split: Split) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError), typed_failures(Fetch(split, RAW)):
        tf.reshape(tf.zeros(3), (2, 2))
