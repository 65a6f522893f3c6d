"""Image files are decoded in processes: of the threads of one, Python would let one go on at a time.

A thread hands the files of a batch to a process that is free, where a `targets.decoder.Decoder` makes pixels of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from queue import SimpleQueue

import numpy as np

from edgeres.errors import DataError, TargetError
from edgeres.preprocess import Pixels, Preprocess
from targets.environment import usable_cores
from targets.sandbox import Sandbox, raised

_ENGINE = "targets.decoder:Decoder"

_LEAST_IMAGES = 64
"""A further process takes longer to start than so few images take it."""


class CorruptError(Exception):
    """The file at `place` among those of a call cannot be decoded, as `error` says."""

    def __init__(self, place: int, error: Exception) -> None:
        super().__init__(str(error))
        self.place, self.error = place, error


class Decoders:
    """As many processes as there are cores, fewer for few `images`. Close it.

    The thread that creates it must outlive it, see `targets.sandbox.Sandbox`.
    """

    def __init__(self, contracts: Sequence[Preprocess], *, images: int) -> None:
        self._contracts = tuple(contracts)
        count = max(1, min(usable_cores(), images // _LEAST_IMAGES))
        self._all = tuple(Sandbox(_ENGINE) for _ in range(count))
        self._free: SimpleQueue[Sandbox] = SimpleQueue()
        for each in self._all:
            self._free.put(each)

    def pixels(self, files: Sequence[bytes]) -> list[Pixels]:
        """Files by each contract: uint8 (n, height, width, channels). Called from as many threads as one likes.

        Raises:
            CorruptError: one of them cannot be decoded.
            TargetError: the process died, or did not answer in time.
        """
        sandbox = self._free.get()
        try:
            arguments = {"contracts": [asdict(each) for each in self._contracts]}
            values, blobs = sandbox.call("decode", *files, arguments=arguments)
        finally:
            self._free.put(sandbox)
        if "corrupt" in values:
            raise CorruptError(int(values["corrupt"]), raised(values["error"]) or DataError("it cannot be decoded"))
        shapes = [(len(files), *contract.shape) for contract in self._contracts]
        if [len(blob) for blob in blobs] != [int(np.prod(shape)) for shape in shapes]:
            raise TargetError("the process that decodes the images answered nonsense")
        return [np.frombuffer(blob, np.uint8).reshape(shape) for blob, shape in zip(blobs, shapes, strict=True)]

    def close(self) -> None:
        """End the processes; a call that runs in another thread ends with a TargetError."""
        for each in self._all:
            each.close()
