"""Images with what each artifact made of them: from the data where they are here, else from the bundles' golden files.

The data are trusted only where their classes, in order, are those that the result recorded.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edgeres.data import Split, open_dataset
from edgeres.errors import DataError, EdgeresError
from edgeres.preprocess import Content, open_image
from edgeres.report.confusion import aligned, class_name
from edgeres.report.story import BundleSource, Comparison
from edgeres.results import DataRecord
from edgeres.storage import sha256_bytes

CAP = 24
"""At most as many images in each group."""

THUMBNAIL = 96
"""The longer side of an embedded image, in pixels."""


@dataclass(frozen=True)
class Guess:
    """What an image was taken for, and by which artifacts; `right` is None where the true class is not known."""

    label: str
    artifacts: tuple[str, ...]
    right: bool | None


@dataclass(frozen=True)
class Sample:
    """An image as a data URI, where it is from, its true class where known, and the guesses."""

    image: str
    where: str
    truth: str | None
    guesses: tuple[Guess, ...]

    @property
    def unanimous(self) -> bool:
        """Whether several artifacts were asked, and all took it for the same."""
        return len(self.guesses) == 1 and len(self.guesses[0].artifacts) > 1


@dataclass(frozen=True)
class Samples:
    """A group of images under a title, with a sentence about where they are from."""

    title: str
    sentence: str
    items: tuple[Sample, ...]


def first_images(comparison: Comparison, split: Split) -> Samples:
    """The first images of the reopened split that can be read, and what each artifact took them for."""
    data = comparison.data
    guessed = {
        comparison.label(artifact): predictions
        for artifact in comparison.artifacts
        if data is not None and (predictions := aligned(artifact, data)) is not None
    }
    found: list[Sample] = []
    for position, index in enumerate((data.truth or ()) if data else ()):
        if len(found) == CAP:
            break
        if data is not None and (image := thumbnail(split, position)) is not None:
            true = class_name(data, index)
            taken = [(name, class_name(data, indices[position])) for name, indices in guessed.items()]
            found.append(Sample(image, split.where(position), true, _grouped(taken, true)))
    return Samples("First images", f"The first {len(found)} images of the {split.name} split.", tuple(found))


def reopened(data: DataRecord | None) -> Split:
    """The very images of a result.

    Raises:
        DataError: the result does not say which, they are not here, or their classes are not the recorded ones.
    """
    if data is None or not data.truth:
        raise DataError("the results do not say which images they were measured on")
    try:
        dataset = open_dataset(data.source, seed=data.seed)
        split = dataset.dealt(data.split).without(frozenset(data.left_out or ())).head(data.images)
    except (EdgeresError, OSError) as problem:
        raise DataError(f"the images of {data.source} are not on this machine") from problem
    renamed = data.labels is not None and data.labels != dataset.labels
    if renamed or tuple(map(int, split.classes)) != data.truth:
        raise DataError(f"{data.source} holds other images here than the ones that were measured")
    return split


def _grouped(taken: Iterable[tuple[str, str]], truth: str | None) -> tuple[Guess, ...]:
    """Pairs (artifact, label) as one guess for each label, in the order in which the labels come up."""
    by_label: dict[str, list[str]] = {}
    for artifact, label in taken:
        by_label.setdefault(label, []).append(artifact)
    return tuple(
        Guess(label, tuple(names), None if truth is None else label == truth) for label, names in by_label.items()
    )


def thumbnail(split: Split, position: int) -> str | None:
    """The image at a position, or None where it cannot be read or decoded any more."""
    try:
        return data_uri(split.read(position))
    except (EdgeresError, OSError):
        return None


def golden_samples(bundles: Iterable[BundleSource]) -> tuple[Sample, ...]:
    """The golden images of the bundles, at most `CAP`, with what the float model and each bundle take them for."""
    found: dict[str, tuple[str, str]] = {}
    taken: dict[str, list[tuple[str, str]]] = {}
    for source in bundles:
        golden = source.golden
        for position, image in enumerate(golden.images):
            key = sha256_bytes(repr(image.shape).encode() + image.tobytes())
            if key not in found:
                if len(found) == CAP:
                    continue
                found[key] = data_uri(image), f"golden image {position} of {source.name}"
            outputs = ((f"float of {source.name}", golden.float_outputs), (source.name, golden.outputs))
            taken.setdefault(key, []).extend((name, _winner(source, each[position])) for name, each in outputs)
    return tuple(Sample(*found[key], None, _grouped(taken[key], None)) for key in found)


def _winner(source: BundleSource, outputs: NDArray[np.float32]) -> str:
    index = int(np.argmax(outputs))
    return source.labels[index] if index < len(source.labels) else f"class {index}"


def data_uri(content: Content) -> str:
    """A small image as a data URI: PNG, pixel for pixel, where it is small itself; else JPEG.

    Raises:
        DataError: the bytes are not an image that can be decoded.
    """
    image, buffer = open_image(content), io.BytesIO()
    if max(image.size) <= THUMBNAIL:
        kind = "png"
        image.save(buffer, format=kind, optimize=True)
    else:
        kind = "jpeg"
        image.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)
        image.save(buffer, format=kind, quality=88)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
