"""Accuracy: a split is streamed once past all artifacts, and each is compared with the baseline image by image.

Two threads read and decode the next batches while the sessions, each in its own process, run the present one. What
is held at any time is a few batches: memory does not grow with the number of images.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeres.data.dataset import Dataset, Split, class_digest
from edgeres.errors import DataError, ModelError
from edgeres.preprocess import Preprocess
from edgeres.progress import Progress, silent
from edgeres.results import Accuracy, DataRecord
from targets.predictions import Batch, Predictions, Scores
from targets.scoring import score
from targets.target import Session

BATCH_IMAGES, BATCH_BYTES = 32, 32 << 20
"""A batch holds 32 images, or as many as fit in 32 MiB as float32."""

LOADERS = 2

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Entrant:
    """An artifact that is loaded: `columns` puts its outputs in the order of the data set's classes."""

    name: str
    session: Session
    preprocess: Preprocess
    columns: NDArray[np.int64]


@dataclass(frozen=True)
class Images:
    """A batch in the form each contract asks for: float32 (n, height, width, channels); truth int64 (n,)."""

    inputs: Mapping[Preprocess, NDArray[np.float32]]
    truth: NDArray[np.int64]
    digests: bytes
    start: int


def entrant(
    name: str, session: Session, *, preprocess: Preprocess, labels: tuple[str, ...] | None, dataset: Dataset
) -> Entrant:
    """Pair an artifact with a data set.

    Raises:
        ModelError: it takes other inputs than its preprocessing makes, or has another number of classes.
        DataError: its classes have other names than those of the data.
    """
    shape = session.signature.input_shape
    if shape[1:] != preprocess.shape:
        raise ModelError(
            f"{name}: the model takes inputs of shape {shape[1:]}, its preprocessing makes {preprocess.shape}",
            fix="give the contract that the model was trained with: --preprocess P",
        )
    outputs, classes = session.signature.output_shape, len(dataset.labels)
    if len(outputs) != 2 or outputs[1] != classes:
        raise ModelError(
            f"{name}: expected one output for each of the {classes} classes of {dataset.source}, "
            f"found outputs of shape {outputs}",
            fix="measure with the data set that the model was trained for",
        )
    return Entrant(name, session, preprocess, output_order(name, labels, dataset))


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
    split: Split,
    dataset: Dataset,
    *,
    baseline: int | None = None,
    margin_points: float = 1.0,
    progress: Progress = silent,
) -> tuple[list[Accuracy], DataRecord]:
    """The accuracy of each entrant, compared with that at `baseline`, and the record of the images.

    Raises:
        DataError: an image that cannot be read or decoded; names the file.
        ModelError: an output that is not a number.
        TargetError: a session that died.
    """
    predictions, sha256 = predict(entrants, split, baseline=baseline, progress=progress)
    truth = split.classes
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
    entrants: Sequence[Entrant], split: Split, *, baseline: int | None = None, progress: Progress = silent
) -> tuple[list[Predictions], str]:
    """Stream the split past all entrants: the predictions of each, and the SHA-256 of the images and classes.

    Raises:
        EdgeresError: see `measure`.
    """
    contracts = tuple(dict.fromkeys(one.preprocess for one in entrants))
    predictions = [Predictions(one.session.signature.output_scale) for one in entrants]
    digest = hashlib.sha256()
    runners = ThreadPoolExecutor(len(entrants), thread_name_prefix="infer")
    loader = _Loader(split, contracts)
    try:
        for images in loader.batches():
            running = [runners.submit(one.session.infer, images.inputs[one.preprocess]) for one in entrants]
            digest.update(images.digests)
            scores = [
                _checked(future.result(), one, split, images.start)
                for one, future in zip(entrants, running, strict=True)
            ]
            _take_in(predictions, scores, images.truth, split, baseline)
            progress("images", images.start + len(images.truth), len(split))
    finally:
        # Without waiting: after an interruption a thread may sit in a slow session until its caller closes it.
        runners.shutdown(wait=False, cancel_futures=True)
        loader.stop()
    return predictions, digest.hexdigest()


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


class _Loader:
    """Reads and decodes a split in threads, at most `LOADERS` batches ahead."""

    def __init__(self, split: Split, contracts: tuple[Preprocess, ...]) -> None:
        self._split, self._contracts = split, contracts
        self._threads = ThreadPoolExecutor(LOADERS, thread_name_prefix="load")
        self._stopped = threading.Event()

    def batches(self) -> Iterator[Images]:
        """The batches in order."""
        image_bytes = max(4 * contract.height * contract.width * contract.depth for contract in self._contracts)
        size = max(1, min(BATCH_IMAGES, BATCH_BYTES // image_bytes))
        ahead: deque[Future[Images]] = deque()
        for start in range(0, len(self._split), size):
            ahead.append(self._threads.submit(self._load, start, min(start + size, len(self._split))))
            if len(ahead) > LOADERS:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()

    def stop(self) -> None:
        """End the threads after the image that each is at."""
        self._stopped.set()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _load(self, start: int, end: int) -> Images:
        split = self._split
        images: dict[Preprocess, list[NDArray[np.float32]]] = {contract: [] for contract in self._contracts}
        digests = bytearray()
        for position in range(start, end):
            if self._stopped.is_set():
                raise CancelledError
            for contract in self._contracts:
                images[contract].append(contract.normalize(split.decode(position, contract)))
            digests += split.digest(position) + class_digest(int(split.classes[position]))
        inputs = {contract: np.stack(decoded) for contract, decoded in images.items()}
        return Images(inputs, split.classes[start:end], bytes(digests), start)


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
