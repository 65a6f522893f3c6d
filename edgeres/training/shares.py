"""How every batch is cut over the replicas that train together, so that each process reads its own images only."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import tensorflow as tf


@dataclass(frozen=True)
class Shares:
    """Which of a batch's `replicas` equal parts fall to this process: `own` of them, from `first` on."""

    replicas: int = 1
    first: int = 0
    own: int = 1

    def steps(self, images: int, batch: int) -> int:
        """Batches of an epoch; a last one too small for every replica to have an image is left out."""
        whole, rest = divmod(images, batch)
        return whole + (rest >= self.replicas)

    def deal(self, images: int, batch: int) -> tf.data.Dataset:
        """(step, replica, start, end) of every part of this process, int64: images start…end of the batch's order.

        A part is empty where the last batch has fewer images than there are replicas.
        """
        starts = np.arange(math.ceil(images / batch)) * batch
        sizes = np.minimum(batch, images - starts)
        replica = np.arange(self.first, self.first + self.own)
        begin = starts[:, None] + sizes[:, None] * replica // self.replicas
        end = starts[:, None] + sizes[:, None] * (replica + 1) // self.replicas
        steps, replicas = np.broadcast_arrays(np.arange(len(starts))[:, None], replica)
        return tf.data.Dataset.from_tensor_slices(tuple(each.ravel() for each in (steps, replicas, begin, end)))
