from __future__ import annotations

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from converters.quantization.thumbnails import SIDE, copies, flat, thumbnail
from edgeres.data import open_dataset
from edgeres.preprocess import Preprocess

Pictures = NDArray[np.uint8]


def pictures(count: int = 6, height: int = 32, width: int = 32) -> Pictures:
    """Smooth, of one hue each: uint8 (count, height, width, 3)."""
    random = np.random.default_rng(0)
    coarse = (random.integers(0, 206, (count, 8, 8, 1)) + random.integers(0, 50, (count, 1, 1, 3))).astype(np.uint8)
    return np.stack([np.asarray(Image.fromarray(each).resize((width, height))) for each in coarse])


def small(images: Pictures) -> NDArray[np.float32]:
    return np.stack([thumbnail(image[np.newaxis].astype(np.float32) / 255) for image in images])


def as_jpeg(image: Pictures) -> Pictures:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=75)
    return np.asarray(Image.open(buffer))


@pytest.mark.parametrize(
    ("height", "width", "shape"), [(32, 32, (SIDE, SIDE)), (45, 37, (SIDE, SIDE)), (12, 9, (12, 9)), (1, 40, (1, SIDE))]
)
def test_a_thumbnail_turns_as_its_image_does(height: int, width: int, shape: tuple[int, int]) -> None:
    image = pictures(1, height, width)
    assert small(image).shape == (1, *shape, 3)
    np.testing.assert_allclose(np.linalg.norm(small(image)), 1, rtol=1e-5)
    np.testing.assert_allclose(small(image[:, :, ::-1]), small(image)[:, :, ::-1], atol=1e-5)
    np.testing.assert_allclose(small(np.rot90(image, axes=(1, 2))), np.rot90(small(image), axes=(1, 2)), atol=1e-5)


def test_different_images_are_no_copies() -> None:
    assert copies(small(pictures(40))) == ([], [])


def test_no_two_digits_are_copies() -> None:
    split, contract = open_dataset("digits").split("train").head(500), Preprocess(32, 32)
    found = np.stack([thumbnail(contract(content)[np.newaxis]) for content, _ in split])
    assert copies(found) == ([], [])


@pytest.mark.parametrize("keep", [lambda image: image, as_jpeg])
def test_copies_are_told_from_mirrored_and_turned_ones(keep: object) -> None:
    images = pictures()
    changed = [images[1], images[3][:, ::-1], np.rot90(images[0]), np.rot90(images[0])[::-1]]
    again = np.stack([keep(np.ascontiguousarray(each)) for each in changed])  # type: ignore[operator]
    same, turned = copies(small(np.concatenate([images, again])))
    assert same == [(1, 6)]
    assert turned == [(0, 8), (0, 9), (3, 7)]


def test_what_is_not_square_is_mirrored_but_not_turned() -> None:
    images = pictures(4, 12, 9)
    assert copies(small(np.concatenate([images, images[:1, ::-1], images[2:3, ::-1, ::-1]]))) == ([], [(0, 4), (2, 5)])


def test_a_single_colour_is_flat_and_a_copy_of_nothing() -> None:
    images = pictures(4)
    images[1:3] = (200, 30, 90)
    almost = np.full((1, 224, 224, 3), 255, np.uint8)
    almost[0, 3, 3] = 254
    assert flat(small(images)).tolist() == [False, True, True, False]
    assert copies(small(images)) == ([], [])
    assert not flat(small(almost)).any()
