"""Is the float32 flatbuffer that stands for a Keras file what Keras computes? Asked of real images, not of noise."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from converters.cache import cached, key_of
from converters.export import keras_outputs
from edgeres.data import Split
from edgeres.keras_file import KerasFile, read_keras_file
from edgeres.keras_io import load
from edgeres.records import decode, encode, read_json
from edgeres.results import Parity
from edgeres.versions import versions
from targets.artifact import Artifact
from targets.predictions import Batch, Predictions
from targets.runtimes.cpu import CPU

IMAGES, ACCEPTED = 256, 1e-4
"""On the first 256 images, no probability may differ by more."""

_BATCH = 16


def keras_parity(artifact: Artifact, split: Split, columns: NDArray[np.int64]) -> Parity:
    """Hold the flatbuffer of a Keras file against Keras on the first `IMAGES` of a split; measured once, then cached.

    `columns`: for each class of the data, the model's output that stands for it, int64 (classes,).

    Raises:
        DataError: an image that cannot be decoded.
        ModelError: the Keras file cannot be loaded.
    """
    file, head = read_keras_file(Path(artifact.path), trust=artifact.trusted), split.head(IMAGES)
    key = key_of(
        {
            "keras": file.sha256,
            "flatbuffer": artifact.sha256,
            "images": head.fingerprint(),
            "preprocess": encode(artifact.require_preprocess()),
            "columns": columns.tolist(),
            "versions": versions(),
        }
    )
    found = cached("parity", key, lambda: _measured(file, artifact, head, columns), suffix=".json")
    return decode(Parity, read_json(found), where=str(found))


def _measured(file: KerasFile, artifact: Artifact, split: Split, columns: NDArray[np.int64]) -> bytes:
    model, largest = load(file), 0.0
    with CPU.open(artifact.model) as session:
        keras, own = Predictions(), Predictions(session.signature.output_scale)
        for inputs, truth in _batches(artifact, split):
            scores = [outputs[:, columns] for outputs in (keras_outputs(model, inputs), session.infer(inputs))]
            shares = [each.add(found, truth) for each, found in zip((keras, own), scores, strict=True)]
            largest = max(largest, float(np.abs(shares[0] - shares[1]).max()))
            batches = [
                Batch(found, share, each.kind) for each, found, share in zip((keras, own), scores, shares, strict=True)
            ]
            own.compare(batches[1], batches[0], truth, split.where)
    passed = largest <= ACCEPTED
    parity = Parity(passed=passed, images=len(split), largest=largest, accepted=ACCEPTED, flips=tuple(own.flips))
    return json.dumps(encode(parity)).encode()


def _batches(artifact: Artifact, split: Split) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int64]]]:
    """Inputs float32 (n, height, width, channels) and classes int64 (n,), as many at a time as fit any memory."""
    contract = artifact.require_preprocess()
    for start in range(0, len(split), _BATCH):
        places = range(start, min(start + _BATCH, len(split)))
        inputs = np.stack([contract.normalize(split.decode(place, contract)) for place in places])
        yield inputs, split.classes[places.start : places.stop]
