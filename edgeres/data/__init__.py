"""Data sources, one file each, behind one call: `open_dataset("folder:photos")`.

A source only lists labelled images and reads their bytes; `splits.py` deals them into disjoint train, validation,
test and calibration splits, and the preprocessing contract (`edgeres.preprocess`) decodes them.
"""

from __future__ import annotations

from edgeres.data.dataset import SPLITS, Dataset, Split, SplitName
from edgeres.data.images import Images
from edgeres.data.origin import Origin, require_same_splits
from edgeres.errors import DataError
from edgeres.registry import lookup

DATASETS = {
    "digits": "edgeres.data.digits:open_source",
    "folder": "edgeres.data.folder:open_source",
    "cifar10": "edgeres.data.cifar10:open_source",
    "tfds": "edgeres.data.tfds:open_source",
    "tfrecord": "edgeres.data.tfrecord:open_source",
}

__all__ = [
    "DATASETS",
    "SPLITS",
    "Dataset",
    "Images",
    "Origin",
    "Split",
    "SplitName",
    "open_dataset",
    "require_same_splits",
]


def open_dataset(source: str, *, seed: int = 0) -> Dataset:
    """Open `digits`, `folder:PATH`, `cifar10:PATH`, `tfds:NAME` or `tfrecord:GLOB`; equal seeds give equal splits.

    Raises:
        DataError: unknown source, nothing there, a single class, files that are no images.
    """
    kind, _, argument = source.partition(":")
    opener = lookup(DATASETS, kind, noun="data source", error=DataError)
    dataset: Dataset = opener(argument, seed)
    return dataset
