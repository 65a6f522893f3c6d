"""Whether a model was trained with another preprocessing than the one given: its accuracy on labelled images tells.

    accuracy as given → doubtful? → the same images by every other preset → one is significantly better → `Fit`

A network that never saw its training's scale still answers, mostly with one class. Nothing else gives that away: ranges
follow from the inputs, whatever they are.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from converters.cache import cached, key_of
from converters.quantization import calibration
from edgeres.data import Split
from edgeres.preprocess import PRESETS, Preprocess, named
from edgeres.records import decode, encode
from edgeres.results import Estimate
from edgeres.storage import sha256_file
from edgeres.versions import versions
from targets.paired import accuracy_drop, pairs
from targets.runtimes.cpu import CPU
from targets.stats import proportion

IMAGES = 128
"""Enough to tell a wrong scale, which costs tens of points; each preset costs a run of the float model on them."""

LEVEL = 0.999
"""Of the intervals: four presets are tried, and an untrained network must pass all four."""

_BATCH = 32
_GEOMETRY = ("resize", "crop_fraction", "kernel", "exif")


@dataclass(frozen=True)
class Fit:
    """The preset by which a model is right most often, and significantly more often than by the one given.

    `given`, `fitting`: top-1 by each on the same images. `gain_points`: the paired difference. `certain`: whether it is
    then a good classifier too; an untrained network is right by luck, but hardly that often.
    """

    preset: str
    given: Estimate
    fitting: Estimate
    gain_points: Estimate
    certain: bool


def fitting_preset(model: Path, scores: NDArray[np.float32], split: Split, contract: Preprocess) -> Fit | None:
    """The preset that fits a float32 flatbuffer better than `contract` does, if one does; worked out once, cached.

    `scores`: what the model makes of `split` by `contract`, float32 (images, classes). Nothing is run unless they are
    doubtful: not above halfway between always answering the commonest class and always being right.
    """
    if not _is_doubtful(scores.argmax(axis=1) == split.classes, split):
        return None
    asked = split.head(IMAGES)
    key = key_of(
        {
            "model": sha256_file(model),
            "images": asked.fingerprint(),
            "contract": encode(contract),
            "presets": PRESETS,
            "versions": versions(),
        }
    )

    def make() -> bytes:
        found = _best(model.read_bytes(), scores[:IMAGES].argmax(axis=1) == asked.classes, asked, contract)
        return json.dumps(encode(found)).encode()

    stored = json.loads(cached("preset", key, make, suffix=".json").read_bytes())
    return None if stored is None else decode(Fit, stored, where="the cache")


def _best(model: bytes, right: NDArray[np.bool_], split: Split, contract: Preprocess) -> Fit | None:
    found = []
    with CPU.open(model, threads=os.cpu_count() or 1) as session:
        for preset, other in _others(contract):
            inputs = _batches(split, other)
            answers = np.concatenate([session.infer(batch).argmax(axis=1) for batch in inputs]) == split.classes
            gain = accuracy_drop(pairs(answers, right), level=LEVEL)
            if gain.low > 0:
                found.append(Fit(preset, _top1(right), _top1(answers), gain, not _is_doubtful(answers, split)))
    return max(found, key=lambda fit: fit.fitting.value, default=None)


def _others(contract: Preprocess) -> Iterator[tuple[str, Preprocess]]:
    """The presets, each with the geometry of the contract."""
    for preset in PRESETS:
        if contract.depth == 1 and preset in ("torch", "caffe"):
            continue
        plain = named(preset, height=contract.height, width=contract.width, depth=contract.depth)
        other = replace(plain, **{name: getattr(contract, name) for name in _GEOMETRY})
        if other != contract:
            yield preset, other


def _batches(split: Split, contract: Preprocess) -> Iterator[NDArray[np.float32]]:
    batch: list[NDArray[np.float32]] = []
    for image in calibration.inputs(split, contract):
        batch.append(image)
        if len(batch) == _BATCH:
            yield np.concatenate(batch)
            batch = []
    if batch:
        yield np.concatenate(batch)


def _is_doubtful(right: NDArray[np.bool_], split: Split) -> bool:
    guess = float(np.bincount(split.classes).max() / len(split))
    return _top1(right).low < (1 + guess) / 2


def _top1(right: NDArray[np.bool_]) -> Estimate:
    return proportion(int(right.sum()), len(right), level=LEVEL)
