"""Accuracy: a split is streamed once past all artifacts, and each is compared with the baseline image by image.

The next batches are read and decoded (`loading.py`) while the sessions, each in its own process, run the present
ones. What is held at any time is a few batches: memory does not grow with the number of images.
"""

from __future__ import annotations

import hashlib
import logging
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeres.data.dataset import Dataset, Split
from edgeres.errors import DataError, ModelError
from edgeres.preprocess import Preprocess
from edgeres.progress import Progress, silent
from edgeres.results import Accuracy, DataRecord
from targets.crew import Crew
from targets.loading import Images, Loader
from targets.predictions import Batch, Predictions, Scores
from targets.scoring import score
from targets.target import Session, Signature

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Entrant:
    """An artifact that is loaded, in one session or in several that share its batches.

    `columns` puts its outputs in the order of the data set's classes.
    """

    name: str
    sessions: tuple[Session, ...]
    preprocess: Preprocess
    columns: NDArray[np.int64]

    @property
    def signature(self) -> Signature:
        """Of the model, the same in every session."""
        return self.sessions[0].signature


def entrant(
    name: str, *sessions: Session, preprocess: Preprocess, labels: tuple[str, ...] | None, dataset: Dataset
) -> Entrant:
    """Pair an artifact with a data set.

    Raises:
        ModelError: it takes other inputs than its preprocessing makes, or has another number of classes.
        DataError: its classes have other names than those of the data.
    """
    signature = sessions[0].signature
    shape = signature.input_shape
    if shape[1:] != preprocess.shape:
        raise ModelError(
            f"{name}: the model takes inputs of shape {shape[1:]}, its preprocessing makes {preprocess.shape}",
            fix="give the contract that the model was trained with: --preprocess P",
        )
    outputs, classes = signature.output_shape, len(dataset.labels)
    if len(outputs) != 2 or outputs[1] != classes:
        raise ModelError(
            f"{name}: expected one output for each of the {classes} classes of {dataset.source}, "
            f"found outputs of shape {outputs}",
            fix="measure with the data set that the model was trained for",
        )
    return Entrant(name, sessions, preprocess, output_order(name, labels, dataset))


def output_order(name: str, labels: tuple[str, ...] | None, dataset: Dataset) -> NDArray[np.int64]:
    """For each class of the data set, the model's output that stands for it: int64 (classes,).

    Without labels the outputs are taken to be in the data set's order.

    Raises:
        DataError: the names differ; says which.
    """
    if labels is None or labels == dataset.labels:
        return np.arange(len(dataset.labels))
    if sorted(labels) != sorted(dataset.labels):
        raise DataError(
            f"{name}: its {len(labels)} classes are not the {len(dataset.labels)} of {dataset.source}",
            details=(
                f"only in the model: {_some(set(labels) - set(dataset.labels))}",
                f"only in the data: {_some(set(dataset.labels) - set(labels))}",
            ),
            fix="measure with the data set that the model was trained for, or rename the class folders",
        )
    _log.info("%s has the classes in another order than %s; matched by name", name, dataset.source)
    return np.asarray([labels.index(label) for label in dataset.labels])


def measure(
    entrants: Sequence[Entrant],
    loader: Loader,
    dataset: Dataset,
    *,
    baseline: int | None = None,
    margin_points: float = 1.0,
    progress: Progress = silent,
) -> tuple[list[Accuracy], DataRecord]:
    """The accuracy of each entrant, compared with that at `baseline`, and the record of the images.

    `loader`: of a split of the data set, by the entrants' contracts; it is used up.

    Raises:
        DataError: an image that cannot be read or decoded; names the file.
        ModelError: an output that is not a number.
        TargetError: a session that died.
    """
    predictions, sha256 = predict(entrants, loader, baseline=baseline, progress=progress)
    split, truth = loader.split, loader.split.classes
    reference = None if baseline is None else predictions[baseline]
    accuracies = [
        score(
            own,
            truth,
            classes=len(dataset.labels),
            baseline=None if own is reference else reference,
            margin_points=margin_points,
        )
        for own in predictions
    ]
    record = DataRecord(
        source=dataset.source,
        split=split.name,
        images=len(split),
        sha256=sha256,
        seed=dataset.seed,
        labels=dataset.labels,
        truth=tuple(truth.tolist()),
        left_out=tuple(each.name for each in split.left_out) or None,
    )
    return accuracies, record


def predict(
    entrants: Sequence[Entrant], loader: Loader, *, baseline: int | None = None, progress: Progress = silent
) -> tuple[list[Predictions], str]:
    """Stream a split past all entrants: the predictions of each, and the SHA-256 of the images and classes.

    Raises:
        EdgeresError: see `measure`.
    """
    predictions = [Predictions(one.signature.output_scale) for one in entrants]
    digest = hashlib.sha256()
    for images, given in _scored(entrants, loader):
        digest.update(images.digests)
        _take_in(predictions, given, images.truth, loader.split, baseline)
        progress("images", images.start + len(images.truth), len(loader.split))
    return predictions, digest.hexdigest()


def _scored(entrants: Sequence[Entrant], loader: Loader) -> Iterator[tuple[Images, list[Scores]]]:
    """The batches in order, with the scores of each entrant.

    So many are on their way that the entrant with the most sessions has one for each, and one to take up next.
    """
    crews = [Crew(one.sessions) for one in entrants]
    running: deque[tuple[Images, list[Future[Scores]]]] = deque()

    def first() -> tuple[Images, list[Scores]]:
        images, futures = running.popleft()
        found = zip(futures, entrants, strict=True)
        return images, [_checked(future.result(), one, loader.split, images.start) for future, one in found]

    try:
        for images in loader.batches():
            submitted = [crew.infer(images.inputs[one.preprocess]) for crew, one in zip(crews, entrants, strict=True)]
            running.append((images, submitted))
            if len(running) > loader.takers:
                yield first()
        while running:
            yield first()
    finally:
        for crew in crews:
            crew.stop()


def _take_in(
    predictions: list[Predictions], scores: list[Scores], truth: NDArray[np.int64], split: Split, baseline: int | None
) -> None:
    batches = []
    for own, given in zip(predictions, scores, strict=True):
        shares = own.add(given, truth)
        batches.append(Batch(given, shares, own.kind))
    if baseline is not None:
        for place, own in enumerate(predictions):
            if place != baseline:
                own.compare(batches[place], batches[baseline], truth, split.where)


def _checked(scores: NDArray[np.float32], one: Entrant, split: Split, start: int) -> NDArray[np.float32]:
    finite = np.isfinite(scores).all(axis=1)
    if not finite.all():
        place = split.where(start + int(np.argmin(finite)))
        raise ModelError(
            f"{one.name}: an output that is not a number, first for {place}",
            fix="check the model's input: it may be preprocessed in another way",
        )
    return scores[:, one.columns]


def _some(names: set[str]) -> str:
    return ", ".join(sorted(names)[:10]) or "none"
