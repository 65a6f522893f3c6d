"""Which devices a training runs on, what each of them sees of the data, and how several processes stay together."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from edgeres.errors import ConfigError, DataError
from edgeres.training.cluster import Cluster, PeerLostError, wait_for_all
from edgeres.training.shares import Shares

_LOG = logging.getLogger(__name__)

_PIECE = 64 << 20
"""Bytes of a message between processes."""

_LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
)
"""What a collective operation raises when a process that takes part in it is gone."""


@dataclass(frozen=True)
class Group:
    """The replicas that train in step: on one device, on several of this machine, or in several processes.

    To be made before anything else uses TensorFlow's devices.
    """

    strategy: tf.distribute.Strategy
    cluster: Cluster | None = None

    @property
    def chief(self) -> bool:
        """Whether this process is the one that writes files."""
        return self.cluster is None or self.cluster.chief

    @property
    def workers(self) -> int:
        """How many processes train together."""
        return 1 if self.cluster is None else len(self.cluster.addresses)

    @property
    def shares(self) -> Shares:
        """What falls to the replicas of this process."""
        replicas = self.strategy.num_replicas_in_sync
        own = replicas // self.workers
        return Shares(replicas, first=own * self.cluster.index if self.cluster else 0, own=own)

    def distribute(self, feed: tf.data.Dataset) -> Any:
        """A feed of the shares of this process's replicas, dealt to them in turn."""
        return self.strategy.distribute_datasets_from_function(lambda _: feed)

    def from_chief(self, content: bytes, *, piece: int = _PIECE) -> bytes:
        """What the chief gave here; every process calls this at the same point, and what others give is dropped.

        It travels in pieces of `piece` bytes: TensorFlow takes no message of 2 GiB.
        """
        if self.workers == 1:
            return content
        whole, rest = (int(number) for number in self._from_chief(np.asarray(divmod(len(content), piece), np.int32)))
        sizes = [piece] * whole + [rest] * (rest > 0)
        return b"".join(
            self._piece(content[number * piece : number * piece + size] if self.chief else b"", size)
            for number, size in enumerate(sizes)
        )

    def _piece(self, content: bytes, size: int) -> bytes:
        padded = content.ljust(-(-size // 4) * 4, b"\0")  # of whole int32
        return self._from_chief(np.frombuffer(padded, np.int32)).tobytes()[:size]

    def _from_chief(self, numbers: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """A sum to which only the chief's first replica adds anything: collectives know no other way for all kinds."""

        def add(given: tf.Tensor) -> tf.Tensor:
            context = tf.distribute.get_replica_context()
            speaks = self.chief and context.replica_id_in_sync_group == 0
            own = tf.where(speaks, given, tf.zeros_like(given))
            return context.all_reduce(tf.distribute.ReduceOp.SUM, own)

        # As an argument: a constant would become a part of the graph.
        summed = self.strategy.run(tf.function(add), args=(tf.constant(numbers),))
        found: np.ndarray[Any, Any] = self.strategy.experimental_local_results(summed)[0].numpy()
        return found

    @contextmanager
    def typed_failures(self, done: Callable[[], int]) -> Iterator[None]:
        """Tell the end of another process from other failures; `done` counts the epochs so far.

        Raises:
            PeerLostError: a process ended, or did not answer for TensorFlow's 10 seconds.
        """
        try:
            yield
        except tf.errors.OpError as problem:
            if self.workers == 1 or not (isinstance(problem, _LOST) or "Collective ops" in str(problem)):
                raise
            _LOG.debug("a collective operation failed", exc_info=problem)
            raise PeerLostError(done()) from None


@dataclass(frozen=True)
class Devices:
    """Where to train.

    `wanted`: "mirrored" (all GPUs of this machine, or all its logical CPU devices), "multiworker" (the processes of
    `cluster`, which are waited for `join_timeout_s` seconds), or None: mirrored where there are several GPUs, else the
    one device there is.
    """

    wanted: str | None = None
    cluster: Cluster | None = None
    join_timeout_s: float = 60

    def join(self) -> Group:
        """Take the devices, and meet the other processes.

        Raises:
            ConfigError: this process cannot listen at its own address.
            TargetError: another process did not come in time.
        """
        gpus = tf.config.list_physical_devices("GPU")
        with suppress(RuntimeError):  # TensorFlow was used before: its devices are as they are
            for gpu in gpus:
                tf.config.experimental.set_memory_growth(gpu, True)  # share a GPU with other processes
        if self.cluster is not None:
            wait_for_all(self.cluster, seconds=self.join_timeout_s)
            return Group(tf.distribute.MultiWorkerMirroredStrategy(), self.cluster)
        if self.wanted == "mirrored" or len(gpus) > 1:
            devices = tf.config.list_logical_devices("GPU" if gpus else "CPU")
            return Group(tf.distribute.MirroredStrategy([device.name for device in devices]))
        return Group(tf.distribute.get_strategy())


def require_a_share_each(group: Group, batch: int, images: int) -> None:
    """Refuse a batch that leaves a replica without an image, and an epoch without a step.

    Raises:
        ConfigError: fewer images in a batch than replicas.
        DataError: fewer of the `images` to train on.
    """
    replicas = group.shares.replicas
    if batch < replicas:
        raise ConfigError(f"batch is {batch}, for {replicas} devices", fix=f"give a --batch of at least {replicas}")
    if images < replicas:
        raise DataError(
            f"the training split has {images} images, for {replicas} devices: an epoch would have no step",
            fix="give more images, or train on fewer devices",
        )
