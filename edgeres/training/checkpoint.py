"""What a training needs to go on, saved after each epoch: whole, or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorflow as tf

from edgeres.errors import ArtifactError, OutputError


class Checkpoint:
    """Saves and restores `parts` (trackables by name) with the number of epochs that are done.

    A save writes new files beside the old ones, then names them in one atomic step, then removes the old ones: a kill
    at any moment leaves one whole checkpoint.
    """

    def __init__(self, folder: Path, **parts: Any) -> None:
        self.epoch = tf.Variable(0, dtype=tf.int64, trainable=False)
        self._folder = folder
        self._manager = tf.train.CheckpointManager(
            tf.train.Checkpoint(epoch=self.epoch, **parts), str(folder), max_to_keep=1
        )

    def exists(self) -> bool:
        """Whether there is a complete epoch to continue from."""
        return tf.train.latest_checkpoint(str(self._folder)) is not None

    @property
    def done(self) -> int:
        """Epochs that are done."""
        return int(self.epoch.numpy())

    def restore(self) -> None:
        """Take up the last complete epoch; without one, nothing changes.

        Raises:
            ArtifactError: the files are damaged.
        """
        latest = tf.train.latest_checkpoint(str(self._folder))
        if latest is None:
            return
        try:
            self._manager.checkpoint.restore(latest).expect_partial()
        except (tf.errors.OpError, ValueError, IndexError) as problem:  # IndexError: a file that ends too early
            raise ArtifactError(
                f"the checkpoint {latest} is damaged: {_reason(problem)}",
                fix=f"remove {self._folder.parent} and train again",
            ) from problem

    def save(self, epoch: int) -> None:
        """Keep the state after an epoch, in place of the one before.

        Raises:
            OutputError: it cannot be written; the one before stays.
        """
        self.epoch.assign(epoch)
        try:
            self._manager.save(checkpoint_number=epoch)
        except tf.errors.OpError as problem:  # TensorFlow's word for a full disk
            raise OutputError(
                f"cannot write {self._folder}: {_reason(problem)}", fix="free some space and continue with --resume"
            ) from problem


def _reason(problem: Exception) -> str:
    """The last part of TensorFlow's message, without the node and the temporary file it begins with."""
    return str(problem).splitlines()[0].rpartition("; ")[2].partition(" [Op:")[0]
