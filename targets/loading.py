"""Reading and decoding a split, a few batches ahead of whoever takes them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeres.data.dataset import Split, class_digest
from edgeres.data.images import Stamped, content_digest
from edgeres.errors import TargetError
from edgeres.preprocess import Content, Pixels, Preprocess
from targets.decoding import CorruptError, Decoders
from targets.environment import usable_cores

BATCH_IMAGES, BATCH_BYTES = 256, 8 << 20
"""A batch holds at most 256 images, or as many as fit in 8 MiB as float32. Handing on less takes as long."""

PIECE_BYTES = 8 << 20
"""Image files are decoded once so many bytes of them have been read, or all of a batch."""

_BATCHES_EACH = 4


@dataclass(frozen=True)
class Images:
    """A batch in the form each contract asks for: float32 (n, height, width, channels); truth int64 (n,)."""

    inputs: Mapping[Preprocess, NDArray[np.float32]]
    truth: NDArray[np.int64]
    digests: bytes
    start: int


class Loader:
    """Reads a split in as many threads as there are cores, a batch ahead for each, from its creation on.

    Files are decoded in processes, see `targets.decoding`; pixels that a source holds only have to be fitted.
    `takers`: how many batches are run at a time; a small split is dealt so that each has some. Use it in a `with`.
    """

    def __init__(self, split: Split, contracts: Sequence[Preprocess], *, takers: int = 1) -> None:
        self.split, self.takers = split, takers
        self._contracts = tuple(dict.fromkeys(contracts))
        self._decoders = Decoders(self._contracts, images=len(split)) if isinstance(split.images, Stamped) else None
        self._stopped = threading.Event()
        threads = max(2, usable_cores())
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="load")
        self._rest = iter(range(0, len(split), self._batch_images()))
        self._ahead: deque[Future[Images]] = deque()
        for _ in range(threads + 1):
            self._begin()

    def _batch_images(self) -> int:
        image_bytes = max(4 * contract.height * contract.width * contract.depth for contract in self._contracts)
        share = len(self.split) // (_BATCHES_EACH * self.takers)
        return max(1, min(BATCH_IMAGES, BATCH_BYTES // image_bytes, share))

    def _begin(self) -> None:
        """Have the next batch loaded, where there is one."""
        if (start := next(self._rest, None)) is not None:
            self._ahead.append(self._threads.submit(self._load, start, start + self._batch_images()))

    def batches(self) -> Iterator[Images]:
        """The batches in order, once.

        Raises:
            DataError: an image that cannot be read or decoded; names it.
            TargetError: a process that decodes died, or did not answer in time.
        """
        while self._ahead:
            images = self._ahead.popleft().result()
            self._begin()
            yield images

    def __enter__(self) -> Loader:
        return self

    def __exit__(self, *exception: object) -> None:
        """End the threads after the image that each is at, and the processes."""
        self._stopped.set()
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._decoders is not None:
            self._decoders.close()

    def _load(self, start: int, end: int) -> Images:
        classes = self.split.classes[start:end]
        digests, pieces = bytearray(), []
        for first, contents in self._contents(start, start + len(classes)):
            for position, content in enumerate(contents, first):
                digests += content_digest(content) + class_digest(int(self.split.classes[position]))
            pieces.append(self._pixels(contents, first))
        pixels = zip(self._contracts, map(np.concatenate, zip(*pieces, strict=True)), strict=True)
        inputs = {contract: contract.normalize(each) for contract, each in pixels}
        return Images(inputs, classes, bytes(digests), start)

    def _contents(self, start: int, end: int) -> Iterator[tuple[int, list[Content]]]:
        """Images as the source has them, a piece at a time, and the position of its first.

        A photograph may be a thousand times as large as what a small network sees of it.
        """
        contents: list[Content] = []
        held = 0
        for position in range(start, end):
            if self._stopped.is_set():
                raise CancelledError
            with self.split.named(position):
                content = self.split.read(position)
            contents.append(content)
            held += len(content) if isinstance(content, bytes) else content.nbytes
            if held >= PIECE_BYTES or position == end - 1:
                yield position + 1 - len(contents), contents
                contents, held = [], 0

    def _pixels(self, contents: list[Content], start: int) -> list[Pixels]:
        """A batch by each contract: uint8 (n, height, width, channels)."""
        files = [content for content in contents if isinstance(content, bytes)]
        if self._decoders is None or len(files) < len(contents):
            fitted = [self._fitted(content, position) for position, content in enumerate(contents, start)]
            return [np.stack(each) for each in zip(*fitted, strict=True)]
        try:
            return self._decoders.pixels(files)
        except CorruptError as problem:
            with self.split.named(start + problem.place):
                raise problem.error from None
        except TargetError as problem:
            first, last = (self.split.where(position) for position in (start, start + len(files) - 1))
            message = f"{self.split.source}: the images from {first} to {last} could not be decoded: {problem.message}"
            raise TargetError(message, details=problem.details, fix="look for a malformed file among them") from problem

    def _fitted(self, content: Content, position: int) -> list[Pixels]:
        with self.split.named(position):
            return [contract.geometry(content) for contract in self._contracts]
