"""Which images of a source can be decoded: found out by decoding each once, then remembered by its stamp.

Only the sound ones are remembered, as 64-bit hashes of their stamps in the cache folder: a corrupt file is looked at
again each time, so that what is said about it is what is there now, and a repaired one needs no word.
"""

from __future__ import annotations

import hashlib
import io
import logging
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeres.cache import folder
from edgeres.data.images import Images, Stamped
from edgeres.errors import DataError, EdgeresError
from edgeres.preprocess import open_image
from edgeres.storage import sha256_bytes, write_bytes

ACCEPTED_PERCENT = 1
"""So many images of a data set may be corrupt: they are left out and listed. More are an error."""

CHUNK = 1024
"""Images are handed to the threads in chunks: what is queued does not grow with the data set."""

RUN = 32
"""A thread takes so many at once: handing over a tiny image takes as long as decoding it."""

_RULES = b"1"
"""Goes into every stamp: a version that decodes otherwise must not trust the verdicts of this one."""

_MANY = 50_000
"""From so many unknown images on, the user is told why nothing seems to happen."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Corrupt:
    """An image that cannot be read or decoded, and why."""

    name: str
    why: str

    def __str__(self) -> str:
        return f"{self.name}: {self.why}"


@dataclass(frozen=True)
class Examined:
    """What was found: `sound` says of each image looked at whether it can be decoded, bool (n,)."""

    sound: NDArray[np.bool_]
    corrupt: tuple[Corrupt, ...]


def too_many(corrupt: int, images: int) -> bool:
    """Whether more than the accepted share is corrupt."""
    return corrupt * 100 > images * ACCEPTED_PERCENT


def reason(images: Images, index: int) -> str | None:
    """Why an image cannot be decoded; None where it can."""
    try:
        open_image(images.read(index))
    except DataError as error:
        return error.message
    return None


def examine(images: Images, indices: NDArray[np.int64], *, wanted: int | None, most: int) -> Examined:
    """Decode the images at `indices` that are not known to be sound, and remember those that are.

    Stops once `wanted` sound ones are found (None: looks at all), or more than `most` corrupt ones.
    """
    if not isinstance(images, Stamped):
        return Examined(np.ones(len(indices) if wanted is None else min(wanted, len(indices)), bool), ())
    known = Known(images)
    sound: list[NDArray[np.bool_]] = []
    corrupt: list[Corrupt] = []
    found = 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for chunk in chunks(indices, CHUNK if wanted is None else min(CHUNK, max(1, wanted))):
            fresh = known.unknown(chunk)
            known.tell(len(indices), fresh)
            runs = pool.map(lambda run: [reason(images, index) for index in run.tolist()], chunks(fresh, RUN))
            reasons = zip(fresh.tolist(), chain.from_iterable(runs), strict=True)
            bad = {index: why for index, why in reasons if why is not None}
            sound.append(np.asarray([index not in bad for index in chunk.tolist()], bool))
            corrupt += [Corrupt(images.name(index), why) for index, why in bad.items()]
            known.add(chunk[sound[-1]])
            found += int(sound[-1].sum())
            if len(corrupt) > most or (wanted is not None and found >= wanted):
                break
    known.save()
    return Examined(np.concatenate(sound) if sound else np.empty(0, bool), tuple(corrupt))


def chunks(indices: NDArray[np.int64], size: int = CHUNK) -> Iterator[NDArray[np.int64]]:
    """The indices in pieces."""
    for start in range(0, len(indices), size):
        yield indices[start : start + size]


class Known:
    """The images of a source that were decoded before and have not changed since."""

    def __init__(self, images: Images) -> None:
        self._images = images
        self._path = _path(images) if isinstance(images, Stamped) else None
        self._before = _read(self._path)
        self._keys: list[NDArray[np.uint64]] = []
        self._pending: dict[int, int] = {}
        self._told = False

    def unknown(self, chunk: NDArray[np.int64]) -> NDArray[np.int64]:
        """Those of a chunk that must be decoded."""
        keys = [self._key(int(index)) for index in chunk]
        self._pending = {int(index): key for index, key in zip(chunk, keys, strict=True) if key is not None}
        hashes = np.asarray([key or 0 for key in keys], np.uint64)
        stamped = np.asarray([key is not None for key in keys], bool)
        seen = stamped & self._held(hashes)
        for index in chunk[seen].tolist():
            self._pending.pop(index, None)
        fresh: NDArray[np.int64] = chunk[~seen]
        return fresh

    def _held(self, hashes: NDArray[np.uint64]) -> NDArray[np.bool_]:
        if not len(self._before):
            return np.zeros(len(hashes), bool)
        # Not np.isin: it would sort all that is known for each chunk.
        at = np.minimum(np.searchsorted(self._before, hashes), len(self._before) - 1)
        held: NDArray[np.bool_] = self._before[at] == hashes
        return held

    def add(self, sound: NDArray[np.int64]) -> None:
        """Take in what was found about the last chunk."""
        keys = [self._pending[index] for index in sound.tolist() if index in self._pending]
        if keys:
            self._keys.append(np.asarray(keys, np.uint64))

    def save(self) -> None:
        """Keep what was found for the next time; a cache that cannot be written costs time, nothing else."""
        if self._path is None or not self._keys:
            return
        buffer = io.BytesIO()
        np.save(buffer, np.unique(np.concatenate([self._before, *self._keys])), allow_pickle=False)
        try:
            write_bytes(self._path, buffer.getvalue())
        except (EdgeresError, OSError) as problem:
            _log.info("the verdicts on %s are not kept: %s", self._path, problem)

    def tell(self, images: int, fresh: NDArray[np.int64]) -> None:
        """Say once that a long look begins."""
        if images >= _MANY and len(fresh) and not self._told:
            self._told = True
            _log.warning("decoding up to %s images once, to find corrupt ones; the verdicts are kept", f"{images:,}")

    def _key(self, index: int) -> int | None:
        stamp = self._images.stamp(index) if isinstance(self._images, Stamped) else None
        if stamp is None:
            return None
        return int.from_bytes(hashlib.blake2b(_RULES + stamp, digest_size=8).digest(), "little")


def _path(images: Stamped) -> Path:
    return folder() / "verdicts" / f"{sha256_bytes(images.place.encode('utf-8', 'surrogateescape'))[:32]}.npy"


def _read(path: Path | None) -> NDArray[np.uint64]:
    try:
        if path is not None:
            keys = np.load(path, allow_pickle=False)
            if keys.dtype == np.uint64 and keys.ndim == 1:
                return np.sort(keys)
    except FileNotFoundError:
        pass
    except Exception as problem:  # noqa: BLE001 - whatever numpy raises of a damaged file: the images are decoded again
        _log.info("%s is not used: %s", path, problem)
    return np.empty(0, np.uint64)
