"""RandAugment (Cubuk et al., 2020): a few operations on colour and geometry, drawn for each image.

Images are uint8 (h, w, c) in and out; what is drawn follows from a key (int64 (2,)) alone. `level` is a magnitude in
-1…1, its sign drawn as well; operations without a direction take its size. What comes in from outside is black.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

Tensor = Any
Operation = Callable[[Tensor, Tensor], Tensor]
"""float32 (h, w, c) in 0…255 and a level to float32 of the same shape."""

_LUMA = (0.299, 0.587, 0.114)


def randaugmented(pixels: Tensor, key: Tensor, *, layers: int, magnitude: float, channels: str) -> Tensor:
    """`layers` operations on each image of a batch: uint8 (n, h, w, c). `magnitude`: of each, 0…10.

    `channels`: the order of the last axis, "rgb", "bgr" or "gray".
    """
    if not layers:
        return pixels
    operations = _operations(channels)
    shape = (tf.shape(pixels)[0], layers)
    chosen = tf.random.stateless_uniform(shape, key + 8, maxval=len(operations) + 1, dtype=tf.int32)  # or none
    signs = tf.sign(tf.random.stateless_uniform(shape, key + 9) - 0.5)

    def change(item: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        image, numbers, directions = tf.cast(item[0], tf.float32), item[1], item[2]
        for layer in range(layers):
            level = directions[layer] * (magnitude / 10)
            branches = [
                lambda do=operation, image=image, level=level: tf.clip_by_value(do(image, level), 0.0, 255.0)
                for operation in operations
            ]
            image = tf.switch_case(numbers[layer], [*branches, lambda image=image: image])
        return tf.cast(tf.round(image), tf.uint8)

    signature = tf.TensorSpec(pixels.shape[1:], tf.uint8)
    return tf.map_fn(change, (pixels, chosen, signs), fn_output_signature=signature)


def _operations(channels: str) -> list[Operation]:
    found: list[Operation] = [_autocontrast, _equalize, _rotate, _solarize, _posterize, _contrast, _brightness]
    found += [_sharpness, _shear(True), _shear(False), _translate(True), _translate(False)]
    return found if channels == "gray" else [*found, _colour(_LUMA if channels == "rgb" else _LUMA[::-1])]


def _blend(base: Tensor, image: Tensor, level: Tensor) -> Tensor:
    """From `base` (at -1, nearly) through the image (at 0) to as far beyond it."""
    return base + (1 + 0.9 * level) * (image - base)


def _autocontrast(image: Tensor, _: Tensor) -> Tensor:
    low, high = tf.reduce_min(image, (0, 1)), tf.reduce_max(image, (0, 1))
    return tf.where(high > low, (image - low) * (255 / tf.maximum(high - low, 1.0)), image)


def _equalize(image: Tensor, _: Tensor) -> Tensor:
    """Each channel's values spread so that all are as frequent."""
    flat = tf.cast(tf.reshape(image, (-1, image.shape[-1])), tf.int32)
    counts = tf.map_fn(lambda channel: tf.math.bincount(channel, minlength=256), tf.transpose(flat))
    ranks = tf.cast(tf.cumsum(counts, axis=1), tf.float32)
    least = tf.reduce_min(tf.where(counts > 0, ranks, tf.float32.max), axis=1, keepdims=True)
    table = (ranks - least) * 255 / tf.maximum(ranks[:, -1:] - least, 1.0)
    spread = tf.gather(table, tf.transpose(flat), axis=1, batch_dims=1)
    return tf.reshape(tf.transpose(spread), tf.shape(image))


def _solarize(image: Tensor, level: Tensor) -> Tensor:
    return tf.where(image >= 256 * (1 - tf.abs(level)), 255 - image, image)


def _posterize(image: Tensor, level: Tensor) -> Tensor:
    step = 2.0 ** tf.round(4 * tf.abs(level))
    return tf.floor(image / step) * step


def _contrast(image: Tensor, level: Tensor) -> Tensor:
    return _blend(tf.reduce_mean(image), image, level)


def _brightness(image: Tensor, level: Tensor) -> Tensor:
    return _blend(tf.zeros_like(image), image, level)


def _sharpness(image: Tensor, level: Tensor) -> Tensor:
    smooth = tf.nn.avg_pool2d(image[tf.newaxis], 3, 1, "SAME")[0]
    return _blend(smooth, image, level)


def _colour(luma: tuple[float, ...]) -> Operation:
    def change(image: Tensor, level: Tensor) -> Tensor:
        return _blend(tf.reduce_sum(image * tf.constant(luma), axis=-1, keepdims=True), image, level)

    return change


def _rotate(image: Tensor, level: Tensor) -> Tensor:
    """By up to 30 degrees about the centre."""
    angle = level * 0.5236
    sine, cosine = tf.sin(angle), tf.cos(angle)
    height, width = image.shape[0], image.shape[1]
    middle_x, middle_y = (width - 1) / 2, (height - 1) / 2
    right = middle_x - cosine * middle_x + sine * middle_y
    down = middle_y - sine * middle_x - cosine * middle_y
    return _projected(image, (cosine, -sine, right, sine, cosine, down))


def _shear(horizontal: bool) -> Operation:
    def change(image: Tensor, level: Tensor) -> Tensor:
        amount = 0.3 * level
        return _projected(image, (1, amount, 0, 0, 1, 0) if horizontal else (1, 0, 0, amount, 1, 0))

    return change


def _translate(horizontal: bool) -> Operation:
    """By up to 3 tenths of the side."""

    def change(image: Tensor, level: Tensor) -> Tensor:
        amount = 0.3 * level * float(image.shape[1 if horizontal else 0])
        return _projected(image, (1, 0, amount, 0, 1, 0) if horizontal else (1, 0, 0, 0, 1, amount))

    return change


def _projected(image: Tensor, rows: tuple[Any, ...]) -> Tensor:
    """The image where (x, y) shows what was at (a x + b y + c, d x + e y + f); `rows` are a…f."""
    matrix = tf.stack([*(tf.cast(value, tf.float32) for value in (*rows, 0, 0))])
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=image[tf.newaxis],
        transforms=matrix[tf.newaxis],
        output_shape=image.shape[:2],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )
    return tf.ensure_shape(moved[0], image.shape)
