"""What augmentation draws stays within its limits; where each pixel goes is tested with the feed."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from edgeres.training import randaugment
from edgeres.training.augment import augmented
from edgeres.training.randaugment import randaugmented

KEY = tf.constant([0, 5], tf.int64)
IMAGES = np.random.default_rng(0).integers(0, 256, (16, 20, 24, 3), np.uint8)


def ramp() -> np.ndarray:
    """Red grows to the right, green downwards: where a part came from shows in its corners."""
    across, down = np.meshgrid(np.linspace(0, 255, 64), np.linspace(0, 255, 64))
    return np.repeat(np.stack([across, down, 0 * down], axis=-1).astype(np.uint8)[None], 200, axis=0)


@pytest.mark.parametrize("smallest", [0.08, 0.5])
def test_a_crop_keeps_area_and_sides_within_their_limits(smallest: float) -> None:
    parts = augmented(ramp(), "crop", KEY, size=(32, 32), crop_area=smallest).numpy().astype(float)
    assert parts.shape == (200, 32, 32, 3)
    width, height = (np.ptp(parts[..., axis], axis=(1, 2)) / 255 for axis in (0, 1))
    area = width * height
    assert area.min() > smallest * 0.85
    assert area.min() < smallest + 0.15  # and reaches down to it
    assert area.max() > 0.85
    inner = (width < 0.95) & (height < 0.95)
    assert 0.7 < (width / height)[inner].min() < (width / height)[inner].max() < 1.4


def test_a_crop_flips_only_where_asked() -> None:
    plain = augmented(ramp(), "crop", KEY, size=(32, 32), crop_area=0.5).numpy().astype(int)
    flipped = augmented(ramp(), "crop-flip", KEY, size=(32, 32), crop_area=0.5).numpy().astype(int)
    assert (plain[:, 0, -1, 0] > plain[:, 0, 0, 0]).all()
    mirrored = flipped[:, 0, -1, 0] < flipped[:, 0, 0, 0]
    assert 60 < mirrored.sum() < 140
    np.testing.assert_array_equal(flipped[mirrored], plain[mirrored][:, :, ::-1])


@pytest.mark.parametrize("channels", ["rgb", "bgr", "gray"])
def test_randaugment_changes_images_by_its_key_alone(channels: str) -> None:
    images = IMAGES[..., :1] if channels == "gray" else IMAGES
    first, same, other = (
        randaugmented(images, tf.constant(key, tf.int64), layers=2, magnitude=9, channels=channels).numpy()
        for key in ([0, 5], [0, 5], [0, 6])
    )
    assert first.dtype == np.uint8
    assert first.shape == images.shape
    np.testing.assert_array_equal(first, same)
    assert not np.array_equal(first, other)
    changed = (first != images).any(axis=(1, 2, 3))
    assert changed.sum() > 8


def test_without_layers_it_does_nothing() -> None:
    assert randaugmented(IMAGES, KEY, layers=0, magnitude=9, channels="rgb") is IMAGES


@pytest.mark.parametrize("name", ["_rotate", "_solarize", "_posterize", "_contrast", "_brightness", "_sharpness"])
def test_at_level_0_an_operation_leaves_the_image(name: str) -> None:
    image = tf.constant(IMAGES[0], tf.float32)
    np.testing.assert_allclose(getattr(randaugment, name)(image, tf.constant(0.0)), image, atol=1e-2)


def test_geometry_moves_what_it_says() -> None:
    image = tf.constant(ramp()[0], tf.float32)
    right = randaugment._translate(True)(image, tf.constant(1.0)).numpy()
    shift = round(0.3 * 64)
    np.testing.assert_allclose(right[:, :40], image.numpy()[:, shift : shift + 40], atol=3)
    assert not right[:, -shift:].any()  # black comes in
    turned = randaugment._rotate(image, tf.constant(1.0)).numpy()
    np.testing.assert_allclose(turned[32, 32], image.numpy()[32, 32], atol=5)  # about the centre
    sheared = randaugment._shear(True)(image, tf.constant(0.5)).numpy()
    np.testing.assert_allclose(sheared[0], image.numpy()[0], atol=1)


def test_colour_operations_do_what_they_say() -> None:
    image = tf.constant(IMAGES[0] // 2 + 30, tf.float32)
    spread = randaugment._autocontrast(image, tf.constant(0.0)).numpy()
    assert spread.min() == 0
    assert spread.max() == pytest.approx(255)
    equal = randaugment._equalize(image, tf.constant(0.0)).numpy()[..., 0]
    assert np.ptp(np.histogram(equal, bins=4, range=(0, 255.1))[0]) < 0.1 * equal.size
    gray = randaugment._colour((0.299, 0.587, 0.114))(image, tf.constant(-1.0)).numpy()
    assert np.ptp(gray, axis=-1).mean() < 0.2 * np.ptp(image.numpy(), axis=-1).mean()
    dark = randaugment._brightness(image, tf.constant(-1.0)).numpy()
    np.testing.assert_allclose(dark, image.numpy() * 0.1, atol=1e-3)
