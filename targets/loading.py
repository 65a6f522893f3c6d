"""Reading and decoding a split in threads, a few batches ahead of whoever takes them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeres.data.dataset import Split, class_digest
from edgeres.preprocess import Preprocess
from targets.environment import usable_cores

BATCH_IMAGES, BATCH_BYTES = 32, 32 << 20
"""A batch holds at most 32 images, or as many as fit in 32 MiB as float32."""

_BATCHES_EACH = 4


@dataclass(frozen=True)
class Images:
    """A batch in the form each contract asks for: float32 (n, height, width, channels); truth int64 (n,)."""

    inputs: Mapping[Preprocess, NDArray[np.float32]]
    truth: NDArray[np.int64]
    digests: bytes
    start: int


class Loader:
    """Reads and decodes a split in as many threads as there are cores, a batch ahead for each.

    `takers`: how many batches are run at a time; a small split is dealt so that each has some.
    """

    def __init__(self, split: Split, contracts: tuple[Preprocess, ...], *, takers: int = 1) -> None:
        self._split, self._contracts, self._takers = split, contracts, takers
        self._ahead = max(2, usable_cores())
        self._threads = ThreadPoolExecutor(self._ahead, thread_name_prefix="load")
        self._stopped = threading.Event()

    def batches(self) -> Iterator[Images]:
        """The batches in order."""
        image_bytes = max(4 * contract.height * contract.width * contract.depth for contract in self._contracts)
        share = len(self._split) // (_BATCHES_EACH * self._takers) if self._takers > 1 else BATCH_IMAGES
        size = max(1, min(BATCH_IMAGES, BATCH_BYTES // image_bytes, share))
        ahead: deque[Future[Images]] = deque()
        for start in range(0, len(self._split), size):
            ahead.append(self._threads.submit(self._load, start, min(start + size, len(self._split))))
            if len(ahead) > self._ahead:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()

    def stop(self) -> None:
        """End the threads after the image that each is at."""
        self._stopped.set()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _load(self, start: int, end: int) -> Images:
        split = self._split
        images: dict[Preprocess, list[NDArray[np.float32]]] = {contract: [] for contract in self._contracts}
        digests = bytearray()
        for position in range(start, end):
            if self._stopped.is_set():
                raise CancelledError
            decoded, digest = split.taken(position, self._contracts)
            for contract, pixels in zip(self._contracts, decoded, strict=True):
                images[contract].append(contract.normalize(pixels))
            digests += digest + class_digest(int(split.classes[position]))
        inputs = {contract: np.stack(each) for contract, each in images.items()}
        return Images(inputs, split.classes[start:end], bytes(digests), start)
