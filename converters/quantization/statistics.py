"""What calibration images do to each activation of a float flatbuffer: measured once, for every way to quantize it."""

from __future__ import annotations

import io
import json
import math
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, reduce
from itertools import count, islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from converters.quantization.histogram import Counter, Histogram
from converters.quantization.observer import observers
from converters.quantization.thumbnails import thumbnail
from edgeres.errors import DataError, ModelError

_COUNTED = 8192
"""Values of a tensor that one image adds to its histogram at most; extremes are taken of all of them."""

_WORKERS = 4
"""At most, for each holds all activations."""

_ROW = 4096
"""Values of a row that extremes are taken of, about."""

_LARGEST = 3e38
"""Beyond is what a padding of −∞ for a maximum leaves, or an overflow."""


@dataclass(frozen=True)
class Statistics:
    """`names`: the tensors (t). `lows`, `highs`: float32 (images, t). `scores`: the outputs, float32 (images, classes).

    `peaks`: for each tensor the largest magnitude in each channel (last axis) over all images, float32 (channels,).
    `ranks`: dimensions of each tensor. `thumbnails`: of the images, float32 (images, h, w, channels).
    """

    names: tuple[str, ...]
    ranks: tuple[int, ...]
    lows: NDArray[np.float32]
    highs: NDArray[np.float32]
    histograms: tuple[Histogram, ...]
    peaks: tuple[NDArray[np.float32], ...]
    scores: NDArray[np.float32]
    thumbnails: NDArray[np.float32]

    @property
    def images(self) -> int:
        """How many images were run."""
        return len(self.lows)

    @cached_property
    def place(self) -> dict[str, int]:
        """Tensor name -> its column."""
        return {name: column for column, name in enumerate(self.names)}

    def encoded(self) -> bytes:
        """As a `.npz` without pickles."""
        buffer = io.BytesIO()
        np.savez_compressed(
            buffer,
            about=np.frombuffer(json.dumps({"names": self.names, "ranks": self.ranks}).encode(), np.uint8),
            lows=self.lows,
            highs=self.highs,
            counts=np.stack([each.counts for each in self.histograms]),
            radii=np.array([each.radius for each in self.histograms]),
            peaks=np.concatenate(self.peaks),
            channels=np.array([len(each) for each in self.peaks]),
            scores=self.scores,
            thumbnails=self.thumbnails,
        )
        return buffer.getvalue()


def decoded(content: bytes) -> Statistics:
    """What `Statistics.encoded` wrote."""
    with np.load(io.BytesIO(content), allow_pickle=False) as stored:
        about = json.loads(stored["about"].tobytes())
        ends = np.cumsum(stored["channels"])[:-1]
        histograms = zip(stored["counts"], stored["radii"].tolist(), strict=True)
        return Statistics(
            names=tuple(about["names"]),
            ranks=tuple(about["ranks"]),
            lows=stored["lows"],
            highs=stored["highs"],
            histograms=tuple(Histogram(counts, radius) for counts, radius in histograms),
            peaks=tuple(np.split(stored["peaks"], ends)),
            scores=stored["scores"],
            thumbnails=stored["thumbnails"],
        )


def collect(model: bytes, images: Iterable[NDArray[np.float32]]) -> Statistics:
    """Run images through a float32 flatbuffer made by `converters.export`: float32 (1, height, width, channels) each.

    An image on each core: two threads on one image leave a part of the second core unused.

    Raises:
        DataError: no image, or an input that is not a number.
        ModelError: an activation is not a number; names the tensor.
    """
    workers = observers(model, min(_WORKERS, os.cpu_count() or 1))
    names, ranks = workers[0].names, workers[0].ranks
    seen = [[_Seen(name) for name in names] for _ in workers]
    looks: list[tuple[NDArray[np.float32], NDArray[np.float32]]] = []

    def look(worker: int, place: int, image: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        _require_numbers(image, place)
        workers[worker].run(image, lambda tensor, values: seen[worker][tensor].add(values, place))
        return workers[worker].scores().copy(), thumbnail(image)

    rest = iter(images)
    with ThreadPoolExecutor(len(workers), thread_name_prefix="calibrate") as pool:
        while taken := list(islice(rest, len(workers))):
            looks += pool.map(look, range(len(taken)), count(len(looks)), taken)
    if not looks:
        raise DataError("there are no images to calibrate with", fix="give a data set that has some")
    tensors = [reduce(_Seen.merged, parts) for parts in zip(*seen, strict=True)]
    ends = np.array([[tensor.ends[place] for tensor in tensors] for place in range(len(looks))], np.float32)
    return Statistics(
        names,
        ranks,
        ends[..., 0],
        ends[..., 1],
        tuple(tensor.counter.found() for tensor in tensors),
        tuple(tensor.peaks for tensor in tensors),
        np.stack([scores for scores, _ in looks]),
        np.stack([small for _, small in looks]),
    )


def _require_numbers(image: NDArray[np.float32], place: int) -> None:
    if not np.isfinite(image).all():
        raise DataError(
            f"input {place + 1} of calibration is not a number everywhere",
            fix="correct scale, mean and std of the preprocessing",
        )


class _Seen:
    """One tensor, over the images that one worker ran; `ends`: an image's place -> its lowest and its highest value."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.ends: dict[int, tuple[float, float]] = {}
        self.counter = Counter()
        self.peaks: NDArray[np.float32] = np.zeros(1, np.float32)

    def add(self, values: NDArray[np.float32], place: int) -> None:
        rows: NDArray[Any] = values.reshape(-1, values.shape[-1]) if values.ndim else values.reshape(1, 1)
        low, high = _extremes(rows)
        if not (np.isfinite(low).all() and np.isfinite(high).all()):
            rows = _finite(rows, self._name)
            low, high = _extremes(rows)
        lowest, highest = float(low.min()), float(high.max())
        self.ends[place] = lowest, highest
        self.peaks = np.maximum(self.peaks, np.maximum(-low, high))
        flat = rows.ravel()
        step = -(-flat.size // _COUNTED)
        # Another start in each image, or the same places of every image would be counted.
        self.counter.add(flat[place % step :: step], max(-lowest, highest))

    def merged(self, other: _Seen) -> _Seen:
        """With what another worker saw of the tensor."""
        self.ends |= other.ends
        self.counter.merge(other.counter)
        self.peaks = np.maximum(self.peaks, other.peaks)
        return self


def _extremes(rows: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """The lowest and the highest value of each column: (n, channels) to (channels,) twice.

    Several rows are laid side by side first: NumPy takes long rows several times as fast as short ones.
    """
    channels = rows.shape[1]
    beside = math.gcd(len(rows), 1 << max(0, (_ROW // channels).bit_length() - 1))
    long = rows.reshape(-1, beside * channels)
    low, high = long.min(axis=0), long.max(axis=0)
    return low.reshape(beside, channels).min(axis=0), high.reshape(beside, channels).max(axis=0)


def _finite(rows: NDArray[Any], name: str) -> NDArray[Any]:
    """Without the −∞ that a padding brings; a NaN, or nothing that is finite, is an error."""
    usable = np.abs(rows) < _LARGEST
    if np.isnan(rows).any() or not usable.any():
        raise ModelError(f"the activation '{name}' is not a number", fix="check the trained weights for NaN")
    return np.where(usable, rows, rows[usable].min())
