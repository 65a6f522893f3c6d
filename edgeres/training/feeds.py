"""The feeds of one training: each split of the data as batches of (inputs, targets), through one contract."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf

from edgeres.data import Dataset
from edgeres.preprocess import Preprocess
from edgeres.training.feed import Fetch, augmentation, measuring_feed, training_feed, training_fetch, typed_failures
from edgeres.training.mixing import mixed, with_targets
from edgeres.training.settings import TrainingSettings
from edgeres.training.shares import Shares


class Feeds:
    """The shares of this process in every batch: (float32 (n, h, w, c), float32 (n, classes)).

    A split is opened when it is first asked for.
    """

    def __init__(self, dataset: Dataset, contract: Preprocess, settings: TrainingSettings, shares: Shares) -> None:
        self._dataset, self._contract, self._settings, self._shares = dataset, contract, settings, shares
        self._augment = augmentation(settings.augment, dataset)
        self._fetches: dict[str, Fetch] = {}

    @property
    def steps(self) -> int:
        """Batches of an epoch; the last may be smaller than the others."""
        return self._shares.steps(len(self._dataset.split("train")), self._settings.batch)

    def training(self, epoch: int) -> tf.data.Dataset:
        """The training split in the order, augmented and mixed as in this epoch (from 0)."""
        settings, split = self._settings, self._dataset.split("train")
        feed = training_feed(
            self._fetch("train"),
            split.classes,
            self._contract,
            batch=settings.batch,
            seed=settings.seed,
            augment=self._augment,
            crop_area=settings.crop_area,
            randaugment=settings.randaugment,
            epoch=epoch,
            shares=self._shares,
        )
        return mixed(with_targets(feed, len(self._dataset.labels)), settings, epoch=epoch)

    def measuring(self, name: str) -> tf.data.Dataset:
        """A split in its own order, as it is."""
        split = self._dataset.split(name)
        options = {"batch": self._settings.batch, "shares": self._shares}
        feed = measuring_feed(self._fetch(name), split.classes, self._contract, **options)
        return with_targets(feed, len(self._dataset.labels))

    @contextmanager
    def typed_failures(self) -> Iterator[None]:
        """Raise the error that names the image where TensorFlow's names a node of its graph.

        Raises:
            DataError: an image cannot be decoded.
        """
        try:
            yield
        except tf.errors.OpError:
            with typed_failures(*self._fetches.values()):  # those that were opened meanwhile
                raise

    def _fetch(self, name: str) -> Fetch:
        if name not in self._fetches:
            split = self._dataset.split(name)
            self._fetches[name] = (
                training_fetch(split, self._contract, self._augment)
                if name == "train"
                else Fetch(split, self._contract)
            )
        return self._fetches[name]
