"""From a split to batches: fetch by index, augment, normalize. The same images in the same order for the same seed.

Small data sets are decoded once and held as uint8; larger ones are decoded as they are needed.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from edgeres.data import Dataset, Split
from edgeres.data.verdicts import chunks
from edgeres.errors import DataError
from edgeres.preprocess import Pixels, Preprocess, resized
from edgeres.training.augment import CROP_MARGIN, augmented
from edgeres.training.randaugment import randaugmented
from edgeres.training.shares import Shares

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

    def tensor(self, positions: tf.Tensor) -> tf.Tensor:
        """The same as a node of a graph."""
        pixels = tf.numpy_function(self, [positions], tf.uint8, stateful=False)
        return tf.ensure_shape(pixels, (None, *self._contract.shape))

    def _decode(self, positions: NDArray[np.int64]) -> Pixels:
        pixels = np.empty((len(positions), *self._contract.shape), np.uint8)

        def place(row: int) -> None:
            pixels[row] = self._split.decode(int(positions[row]), self._contract)

        for rows in chunks(np.arange(len(positions))):  # a job for each of a million images would take a gigabyte
            for _ in self._pool.map(place, rows.tolist()):
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

    `options` are `batch`, `seed`, `epoch`, `augment` (see `augment.py`), and where they are used `crop_area`,
    `randaugment` (its settings) and `shares` (of a batch that is cut over replicas). Order and augmentation follow from
    seed and epoch alone, so that a resumed training sees what an uninterrupted one would.
    """
    seed, epoch = options["seed"], options["epoch"]
    order = np.random.default_rng((seed, epoch)).permutation(len(classes))

    def load(step: tf.Tensor, replica: tf.Tensor, start: tf.Tensor, end: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        chosen = _taken(lambda start, end: order[start:end], start, end)
        pixels = fetch.tensor(chosen)
        key = tf.stack([seed + replica * (1 << 32), epoch * 1_000_003 + step])  # a seed has 31 bits
        area = options.get("crop_area", 1.0)
        pixels = augmented(pixels, options["augment"], key, size=contract.shape[:2], crop_area=area)
        pixels = tf.ensure_shape(pixels, (None, *contract.shape))
        if rand := options.get("randaugment"):
            pixels = randaugmented(
                pixels, key, layers=rand.layers, magnitude=rand.magnitude, channels=contract.channels
            )
        return _normalized(pixels, contract), _taken(classes.__getitem__, chosen)

    parts = options.get("shares", Shares()).deal(len(classes), options["batch"])
    return parts.map(load, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).prefetch(tf.data.AUTOTUNE)


def training_fetch(split: Split, contract: Preprocess, augment: str) -> Fetch:
    """The images of a training split, larger than the contract's where they are to be cropped."""
    if not augment.startswith("crop"):
        return Fetch(split, contract)
    height, width = (math.ceil(side * CROP_MARGIN) for side in contract.shape[:2])
    return Fetch(split, resized(contract, height=height, width=width))


def measuring_feed(fetch: Fetch, classes: NDArray[np.int64], contract: Preprocess, **options: Any) -> tf.data.Dataset:
    """Every image once, in order: (float32 (n, h, w, c), int64 (n,)). `options` are `batch`, and `shares` as above."""

    def load(_: tf.Tensor, __: tf.Tensor, start: tf.Tensor, end: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        chosen = tf.range(start, end)
        return _normalized(fetch.tensor(chosen), contract), _taken(classes.__getitem__, chosen)

    parts = options.get("shares", Shares()).deal(len(classes), options["batch"])
    return parts.map(load, num_parallel_calls=2, deterministic=True).prefetch(2)


def _taken(take: Callable[..., NDArray[np.int64]], *arguments: tf.Tensor) -> tf.Tensor:
    """Part of an array, int64 (n,): as a constant of the graph all of it would be held several times over."""
    return tf.ensure_shape(tf.numpy_function(take, arguments, tf.int64, stateful=False), (None,))


def _normalized(pixels: tf.Tensor, contract: Preprocess) -> tf.Tensor:
    """The contract's own arithmetic, not a second one in TensorFlow."""
    values = tf.numpy_function(contract.normalize, [pixels], tf.float32, stateful=False)
    return tf.ensure_shape(values, (None, *contract.shape))
