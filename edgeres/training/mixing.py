"""Targets of a batch, one row of shares an image: one class, or two where mixup or cutmix laid two images together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from edgeres.training.settings import TrainingSettings

Tensor = Any
Batches = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


def with_targets(feed: tf.data.Dataset, classes: int) -> tf.data.Dataset:
    """Batches (images, int64 (n,)) as (images, float32 (n, classes)), 1 at the class."""
    return feed.map(lambda images, truth: (images, tf.one_hot(truth, classes)), num_parallel_calls=2)


def mixed(feed: tf.data.Dataset, settings: TrainingSettings, *, epoch: int) -> tf.data.Dataset:
    """Batches (images (n, h, w, c), targets (n, classes)) with mixup and cutmix as the settings say.

    Which batches, which pairs and how much follow from seed and epoch alone.
    """
    kinds = [(_mixup, settings.mixup), (_cutmix, settings.cutmix)]
    wanted = [(mix, alpha) for mix, alpha in kinds if alpha > 0]
    if not wanted:
        return feed

    def apply(step: Tensor, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        key = tf.stack([settings.seed, epoch * 1_000_003 + step])
        chance = tf.random.stateless_uniform((), key + 11)
        each = settings.mix_probability / len(wanted)
        images, targets = batch
        for number, (mix, alpha) in enumerate(wanted):
            hit = (chance >= each * number) & (chance < each * (number + 1))
            images, targets = tf.cond(
                hit,
                lambda mix=mix, alpha=alpha, now=(images, targets): mix(*now, _beta(alpha, key), key),
                lambda now=(images, targets): now,
            )
        return images, targets

    return feed.enumerate().map(apply, num_parallel_calls=2, deterministic=True).prefetch(2)


def _beta(alpha: float, key: Tensor) -> Tensor:
    """A draw from Beta(alpha, alpha), float32 scalar."""
    draws = tf.random.stateless_gamma((2,), key + 12, alpha)
    return draws[0] / tf.maximum(tf.reduce_sum(draws), 1e-12)


def _mixup(images: Tensor, targets: Tensor, share: Tensor, key: Tensor) -> tuple[Tensor, Tensor]:
    """Each image and its target blended with those of another (Zhang et al., 2018)."""
    others = _partners(images, key)
    return (
        share * images + (1 - share) * tf.gather(images, others),
        share * targets + (1 - share) * tf.gather(targets, others),
    )


def _cutmix(images: Tensor, targets: Tensor, share: Tensor, key: Tensor) -> tuple[Tensor, Tensor]:
    """A box of another image laid over each, targets in proportion to the area (Yun et al., 2019)."""
    others = _partners(images, key)
    height, width = tf.shape(images)[1], tf.shape(images)[2]
    rows, columns = _covered(height, share, key + 14), _covered(width, share, key + 15)
    box = rows[:, tf.newaxis] & columns[tf.newaxis, :]
    left = 1 - tf.reduce_mean(tf.cast(box, tf.float32))  # the box may reach beyond the border
    return (
        tf.where(box[tf.newaxis, :, :, tf.newaxis], tf.gather(images, others), images),
        left * targets + (1 - left) * tf.gather(targets, others),
    )


def _covered(size: Tensor, share: Tensor, key: Tensor) -> Tensor:
    """Which places of a side the box covers: bool (size,)."""
    side = tf.cast(size, tf.float32) * tf.sqrt(1 - share)
    centre = tf.random.stateless_uniform((), key) * tf.cast(size, tf.float32)
    places = tf.cast(tf.range(size), tf.float32) + 0.5
    return tf.abs(places - centre) <= side / 2


def _partners(images: Tensor, key: Tensor) -> Tensor:
    """Another image of the batch for each: int32 (n,)."""
    return tf.argsort(tf.random.stateless_uniform((tf.shape(images)[0],), key + 13))
