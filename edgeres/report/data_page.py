"""An audit of a data set as one HTML page that works offline: counts, findings, and a picture of samples per class."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from edgeres import __version__
from edgeres.data.audit import Audit
from edgeres.data.dataset import Dataset
from edgeres.data.verdicts import too_many
from edgeres.errors import EdgeresError
from edgeres.report.html import asset, environment, policy, trusted
from edgeres.report.samples import data_uri

SHOWN_CLASSES, SHOWN_IMAGES = 60, 8
"""The page shows so many images of so many classes."""

SHOWN_FINDINGS = 100
"""Rows of a table of findings; the JSON lists more."""


@dataclass(frozen=True)
class Picture:
    """An image as a data URI, and where it is."""

    image: str
    where: str


@dataclass(frozen=True)
class ClassPictures:
    """A class with its number of images, the share of the largest class's, and the first images."""

    label: str
    images: int
    share: float
    pictures: tuple[Picture, ...]


def render(audit: Audit, dataset: Dataset) -> str:
    """The page; images are read again from the data set."""
    page: str = (
        environment()
        .get_template("data.html.j2")
        .render(
            audit=audit,
            refused=too_many(audit.corrupt.images, audit.images),
            classes=tuple(_classes(audit, dataset)),
            rows=SHOWN_FINDINGS,
            version=__version__,
            style=trusted(asset("report.css") + asset("data.css")),
            policy=policy(),
        )
    )
    return page


def _classes(audit: Audit, dataset: Dataset) -> Iterator[ClassPictures]:
    largest = max(each.images for each in audit.classes)
    for index, each in enumerate(audit.classes[:SHOWN_CLASSES]):
        yield ClassPictures(each.label, each.images, each.images / largest, tuple(_pictures(dataset, index)))


def _pictures(dataset: Dataset, index: int) -> Iterator[Picture]:
    """The first images of a class that can be decoded; splits are shuffled, so they are a random sample."""
    shown = 0
    for split in dataset.splits.values():
        for position in np.flatnonzero(split.classes == index)[: 2 * SHOWN_IMAGES].tolist():
            if shown == SHOWN_IMAGES:
                return
            try:
                yield Picture(data_uri(split.read(position)), split.where(position))
            except (EdgeresError, OSError):
                continue
            shown += 1
