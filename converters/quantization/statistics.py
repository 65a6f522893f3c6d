"""What calibration images do to each activation of a float flatbuffer: measured once, for every way to quantize it."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from converters.quantization.histogram import Counter, Histogram
from converters.quantization.observer import Observer
from converters.quantization.thumbnails import thumbnail
from edgeres.errors import DataError, ModelError

_COUNTED = 8192
"""Values of a tensor that one image adds to its histogram at most; extremes are taken of all of them."""

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

    Raises:
        DataError: no image, or an input that is not a number.
        ModelError: an activation is not a number; names the tensor.
    """
    observer = Observer(model, threads=os.cpu_count() or 1)
    seen = [_Seen() for _ in observer.names]
    scores: list[NDArray[np.float32]] = []
    small: list[NDArray[np.float32]] = []
    for image in images:
        if not np.isfinite(image).all():
            raise DataError(
                f"input {len(scores) + 1} of calibration is not a number everywhere",
                fix="correct scale, mean and std of the preprocessing",
            )
        small.append(thumbnail(image))
        observer.run(image, lambda place, values: seen[place].add(values, observer.names[place]))
        scores.append(observer.scores().copy())
    if not scores:
        raise DataError("there are no images to calibrate with", fix="give a data set that has some")
    return Statistics(
        observer.names,
        observer.ranks,
        np.array([tensor.lows for tensor in seen], np.float32).T,
        np.array([tensor.highs for tensor in seen], np.float32).T,
        tuple(tensor.counter.found() for tensor in seen),
        tuple(tensor.peaks for tensor in seen),
        np.stack(scores),
        np.stack(small),
    )


class _Seen:
    """One tensor, over the images so far."""

    def __init__(self) -> None:
        self.lows: list[float] = []
        self.highs: list[float] = []
        self.counter = Counter()
        self.peaks: NDArray[np.float32] = np.zeros(1, np.float32)

    def add(self, values: NDArray[np.float32], name: str) -> None:
        rows: NDArray[Any] = values.reshape(-1, values.shape[-1]) if values.ndim else values.reshape(1, 1)
        low, high = rows.min(axis=0), rows.max(axis=0)
        if not (np.isfinite(low).all() and np.isfinite(high).all()):
            rows, low, high = _finite(rows, name)
        self.lows.append(float(low.min()))
        self.highs.append(float(high.max()))
        self.peaks = np.maximum(self.peaks, np.maximum(-low, high))
        flat = rows.ravel()
        step = -(-flat.size // _COUNTED)
        # Another start in each image, or the same places of every image would be counted.
        self.counter.add(flat[len(self.lows) % step :: step], max(-self.lows[-1], self.highs[-1]))


def _finite(rows: NDArray[Any], name: str) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Without the −∞ that a padding brings; a NaN, or nothing that is finite, is an error."""
    usable = np.abs(rows) < _LARGEST
    if np.isnan(rows).any() or not usable.any():
        raise ModelError(f"the activation '{name}' is not a number", fix="check the trained weights for NaN")
    rows = np.where(usable, rows, rows[usable].min())
    return rows, rows.min(axis=0), rows.max(axis=0)
