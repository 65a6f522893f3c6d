"""From a split to batches: fetch by index, augment, normalize. The same images in the same order for the same seed.

Small data sets are decoded once and held as uint8; larger ones are decoded as they are needed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from edgeres.data import Dataset, Split
from edgeres.errors import DataError
from edgeres.preprocess import Pixels, Preprocess

HELD_BYTES = 1 << 30
"""A split is held decoded when its pixels need no more than this."""


class Fetch:
    """Images of a split by position, decoded and resized: uint8 (n, height, width, channels)."""

    def __init__(self, split: Split, contract: Preprocess, *, held_bytes: int = HELD_BYTES) -> None:
        self._split, self._contract = split, contract
        self._pool = ThreadPoolExecutor(os.cpu_count())  # Pillow decodes outside the interpreter lock
        self._held: Pixels | None = None
        self.failure: DataError | None = None  # what TensorFlow's own error hides when a call fails inside a graph
        if len(split) * int(np.prod(contract.shape)) <= held_bytes:
            self._held = self._decode(np.arange(len(split)))

    def __call__(self, positions: NDArray[np.int64]) -> Pixels:
        """The images at `positions`.

        Raises:
            DataError: an image cannot be decoded; names the file.
        """
        if self._held is not None:
            return self._held[positions]
        try:
            return self._decode(positions)
        except DataError as error:
            self.failure = error
            raise

    def _decode(self, positions: NDArray[np.int64]) -> Pixels:
        pixels = np.empty((len(positions), *self._contract.shape), np.uint8)

        def place(row: int) -> None:
            pixels[row] = self._split.decode(int(positions[row]), self._contract)

        for _ in self._pool.map(place, range(len(positions))):
            pass  # draining the map raises the first error
        return pixels


@contextmanager
def typed_failures(*fetches: Fetch) -> Iterator[None]:
    """Raise a fetch's own error, which names the file, where TensorFlow's names a node of its graph.

    Raises:
        DataError: an image cannot be decoded.
    """
    try:
        yield
    except tf.errors.OpError:
        for fetch in fetches:
            if fetch.failure is not None:
                raise fetch.failure from None
        raise


def augmentation(wanted: str, dataset: Dataset) -> str:
    """What "auto" means for a data set: flips only where a mirrored image keeps its class."""
    if wanted != "auto":
        return wanted
    return "shift-flip" if dataset.mirror else "shift"


def training_feed(fetch: Fetch, classes: NDArray[np.int64], contract: Preprocess, **options: Any) -> tf.data.Dataset:
    """One epoch of shuffled, augmented batches: (float32 (n, h, w, c), int64 (n,)).

    `options` are `batch`, `seed`, `epoch` and `augment` ("none", "shift", "shift-flip"). Order and augmentation
    follow from seed and epoch alone, so that a resumed training sees what an uninterrupted one would.
    """
    seed, epoch, augment = options["seed"], options["epoch"], options["augment"]
    order = np.random.default_rng((seed, epoch)).permutation(len(classes))

    def load(step: tf.Tensor, chosen: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        pixels = _fetched(fetch, chosen, contract)
        if augment != "none":
            key = tf.stack([seed, epoch * 1_000_003 + step])
            pixels = _shifted(pixels, contract, key)
            pixels = _flipped(pixels, key) if augment == "shift-flip" else pixels
        return _normalized(pixels, contract), tf.gather(classes, chosen)

    steps = tf.data.Dataset.from_tensor_slices(order).batch(options["batch"]).enumerate()
    return steps.map(load, num_parallel_calls=2, deterministic=True).prefetch(2)


def measuring_feed(fetch: Fetch, classes: NDArray[np.int64], contract: Preprocess, *, batch: int) -> tf.data.Dataset:
    """Every image once, in order: (float32 (n, h, w, c), int64 (n,))."""

    def load(chosen: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return _normalized(_fetched(fetch, chosen, contract), contract), tf.gather(classes, chosen)

    positions = tf.data.Dataset.range(len(classes)).batch(batch)
    return positions.map(load, num_parallel_calls=2, deterministic=True).prefetch(2)


def _fetched(fetch: Fetch, chosen: tf.Tensor, contract: Preprocess) -> tf.Tensor:
    pixels = tf.numpy_function(fetch, [chosen], tf.uint8, stateful=False)
    return tf.ensure_shape(pixels, (None, *contract.shape))


def _normalized(pixels: tf.Tensor, contract: Preprocess) -> tf.Tensor:
    """The contract's own arithmetic, not a second one in TensorFlow."""
    values = tf.numpy_function(contract.normalize, [pixels], tf.float32, stateful=False)
    return tf.ensure_shape(values, (None, *contract.shape))


def _shifted(pixels: tf.Tensor, contract: Preprocess, key: tf.Tensor) -> tf.Tensor:
    """Each image moved by its own random offset of up to an eighth, the border black (He et al., 2015, section 4.2)."""
    height, width, _ = contract.shape
    for axis, size in ((1, height), (2, width)):
        border = max(1, size // 8)
        padding = [[0, 0], [0, 0], [0, 0], [0, 0]]
        padding[axis] = [border, border]
        offsets = tf.random.stateless_uniform(tf.shape(pixels)[:1], key + axis, maxval=2 * border + 1, dtype=tf.int64)
        window = offsets[:, tf.newaxis] + tf.range(size, dtype=tf.int64)
        pixels = tf.gather(tf.pad(pixels, padding), window, axis=axis, batch_dims=1)
    return tf.ensure_shape(pixels, (None, *contract.shape))


def _flipped(pixels: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
    chosen = tf.random.stateless_uniform(tf.shape(pixels)[:1], key + 3) < 0.5
    return tf.where(chosen[:, tf.newaxis, tf.newaxis, tf.newaxis], tf.reverse(pixels, [2]), pixels)
