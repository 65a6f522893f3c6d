"""Random changes of a batch of images between geometry and normalization: uint8 (n, h, w, c) in and out.

What is drawn follows from a key (int64 (2,)) alone, so that a resumed training sees what an uninterrupted one would.
"""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf

Tensor = Any

CROP_MARGIN = 8 / 7
"""Images to be cropped are decoded larger by this factor (256 for 224), or every crop would be blurred."""


def augmented(pixels: Tensor, augment: str, key: Tensor, *, size: tuple[int, int], crop_area: float) -> Tensor:
    """`augment` ("none", "shift", "shift-flip", "crop", "crop-flip") done; `size` is (h, w) of what comes out."""
    move, _, flip = augment.partition("-")
    if move == "shift":
        pixels = _shifted(pixels, key, size)
    elif move == "crop":
        pixels = _cropped(pixels, key, size, crop_area)
    return _flipped(pixels, key) if flip else pixels


def _shifted(pixels: Tensor, key: Tensor, size: tuple[int, int]) -> Tensor:
    """Each image moved by its own random offset of up to an eighth, the border black (He et al., 2015, section 4.2)."""
    for axis, side in ((1, size[0]), (2, size[1])):
        border = max(1, side // 8)
        padding = [[0, 0], [0, 0], [0, 0], [0, 0]]
        padding[axis] = [border, border]
        offsets = tf.random.stateless_uniform(tf.shape(pixels)[:1], key + axis, maxval=2 * border + 1, dtype=tf.int64)
        window = offsets[:, tf.newaxis] + tf.range(side, dtype=tf.int64)
        pixels = tf.gather(tf.pad(pixels, padding), window, axis=axis, batch_dims=1)
    return pixels


def _flipped(pixels: Tensor, key: Tensor) -> Tensor:
    chosen = tf.random.stateless_uniform(tf.shape(pixels)[:1], key + 3) < 0.5
    return tf.where(chosen[:, tf.newaxis, tf.newaxis, tf.newaxis], tf.reverse(pixels, [2]), pixels)


def _cropped(pixels: Tensor, key: Tensor, size: tuple[int, int], smallest: float) -> Tensor:
    """A random part of each image resized to `size`: its area from `smallest` on, its sides 3:4 to 4:3.

    Szegedy et al., 2015, section 6.
    """
    count = tf.shape(pixels)[:1]

    def draw(number: int, low: float, high: float) -> Tensor:
        return tf.random.stateless_uniform(count, key + number, low, high)

    area, ratio = draw(4, smallest, 1.0), tf.exp(draw(5, math.log(3 / 4), math.log(4 / 3)))
    height, width = tf.minimum(1.0, tf.sqrt(area / ratio)), tf.minimum(1.0, tf.sqrt(area * ratio))
    top, left = draw(6, 0.0, 1.0) * (1 - height), draw(7, 0.0, 1.0) * (1 - width)
    boxes = tf.stack([top, left, top + height, left + width], axis=-1)
    parts = tf.image.crop_and_resize(pixels, boxes, tf.range(count[0]), size)
    return tf.saturate_cast(tf.round(parts), tf.uint8)
