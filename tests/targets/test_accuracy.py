from __future__ import annotations

import threading
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeres.data.dataset import Dataset, Split
from edgeres.errors import DataError, ModelError, TargetError
from edgeres.preprocess import Content, Preprocess
from edgeres.progress import Progress
from edgeres.results import Accuracy, DataRecord
from targets import accuracy
from targets.loading import Loader
from targets.predictions import Predictions
from targets.scoring import score
from tests.targets.double import DoubleSession, signature

CONTRACT = Preprocess(8, 8)


class Shades:
    """Image i of class c is one shade everywhere: 10 · c; `broken` holds an index that is no image."""

    def __init__(self, classes: NDArray[np.int64], broken: int | None = None, side: int = 8) -> None:
        self.classes, self.broken, self.side, self.reads = classes, broken, side, 0

    def __len__(self) -> int:
        return len(self.classes)

    def read(self, index: int) -> Content:
        self.reads += 1
        if index == self.broken:
            return b"not an image"
        return np.full((self.side, self.side, 3), 10 * self.classes[index], np.uint8)

    def name(self, index: int) -> str:
        return f"shades[{index}]"


def dataset(n: int = 90, labels: tuple[str, ...] = ("ant", "bee", "cat"), **images: int) -> Dataset:
    classes = np.arange(n) % len(labels)
    split = Split("test", Shades(classes, **images), np.arange(n), classes)
    return Dataset("shades", labels, {"test": split}, mirror=False, seed=7)


def knows(classes: int = 3) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    """Reads the class off the shade."""
    return lambda inputs: np.eye(classes, dtype=np.float32)[(inputs[:, 0, 0, 0] / 10).round().astype(int)]


def always(index: int, classes: int = 3) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    return lambda inputs: np.tile(np.eye(classes, dtype=np.float32)[index], (len(inputs), 1))


def entrant(
    data: Dataset, function: Callable[..., NDArray[np.float32]], *, labels: tuple[str, ...] | None = None, **more: int
) -> accuracy.Entrant:
    session = DoubleSession(function, signature=signature(classes=len(data.labels)))
    return accuracy.entrant("model", session, preprocess=CONTRACT, labels=labels, dataset=data)


def loaded(runners: Sequence[accuracy.Entrant], split: Split) -> Loader:
    return Loader(split, [one.preprocess for one in runners], takers=max(len(one.sessions) for one in runners))


def measured_by(
    runners: Sequence[accuracy.Entrant], split: Split, data: Dataset, **more: float
) -> tuple[list[Accuracy], DataRecord]:
    with loaded(runners, split) as loader:
        return accuracy.measure(runners, loader, data, **more)


def predicted_by(runners: Sequence[accuracy.Entrant], split: Split, **more: Progress) -> tuple[list[Predictions], str]:
    with loaded(runners, split) as loader:
        return accuracy.predict(runners, loader, **more)


def test_accuracy_agreement_and_drop_against_the_baseline() -> None:
    data = dataset()
    split = data.split("test")
    (good, bad), record = measured_by(
        [entrant(data, knows()), entrant(data, always(0))], split, data, baseline=0, margin_points=2
    )
    assert good.top1.value == 1
    assert good.verdict is None
    assert good.top1_drop_points is None
    assert good.predictions == tuple(split.classes)
    assert bad.top1.value == pytest.approx(1 / 3)
    assert bad.top1_drop_points is not None
    assert bad.top1_drop_points.value == pytest.approx(200 / 3)
    assert bad.agreement is not None
    assert bad.agreement.value == pytest.approx(1 / 3)
    assert (bad.verdict, bad.margin_points, bad.images) == ("fail", 2, 90)
    assert good.top5 is None
    assert (record.source, record.split, record.images, record.seed) == ("shades", "test", 90, 7)
    assert record.labels == data.labels
    assert record.truth == tuple(split.classes)


def test_the_same_model_passes_where_there_are_enough_images() -> None:
    for n, verdict in ((90, "insufficient"), (900, "pass")):
        data = dataset(n)
        measured, _ = measured_by(
            [entrant(data, knows()), entrant(data, knows())], data.split("test"), data, baseline=0
        )
        assert measured[1].verdict == verdict


def test_the_fingerprint_follows_contents_classes_and_order() -> None:
    data = dataset()
    split = data.split("test")

    def fingerprint(changed: Split) -> str:
        return predicted_by([entrant(data, knows())], changed)[1]

    first = fingerprint(split)
    assert fingerprint(split) == first
    assert fingerprint(replace(split, classes=split.classes[::-1].copy())) != first
    assert fingerprint(split.head(89)) != first
    other = dataset(side=9).split("test")
    assert fingerprint(other) != first


def test_classes_in_another_order_are_matched_by_name() -> None:
    data = dataset()
    # The model's outputs are cat, ant, bee: it answers 'bee' (class 1) with its output 2.
    order = ("cat", "ant", "bee")
    measured, _ = measured_by([entrant(data, always(2), labels=order)], data.split("test"), data)
    assert set(measured[0].predictions or ()) == {1}


def test_other_class_names_are_an_error_that_says_which() -> None:
    with pytest.raises(DataError) as caught:
        entrant(dataset(), knows(), labels=("ant", "bee", "dog"))
    assert "only in the model: dog" in str(caught.value)
    assert "only in the data: cat" in str(caught.value)


def test_another_number_of_classes_is_an_error() -> None:
    session = DoubleSession(signature=signature(classes=10))
    with pytest.raises(ModelError, match=r"each of the 3 classes of shades.*\(1, 10\)") as caught:
        accuracy.entrant("model", session, preprocess=CONTRACT, labels=None, dataset=dataset())
    assert caught.value.fix


def test_a_contract_for_another_input_size_is_an_error() -> None:
    with pytest.raises(ModelError, match="shape"):
        accuracy.entrant("m", DoubleSession(), preprocess=Preprocess(9, 9), labels=None, dataset=dataset())


def test_a_corrupt_image_is_named() -> None:
    data = dataset(broken=71)
    with pytest.raises(DataError, match=r"shades\[71\].*not an image"):
        measured_by([entrant(data, knows())], data.split("test"), data)


def test_an_output_that_is_not_a_number_is_an_error() -> None:
    data = dataset()

    def sometimes(inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        scores = knows()(inputs)
        return np.where(scores.argmax(axis=1, keepdims=True) == 2, np.nan, scores).astype(np.float32)

    with pytest.raises(ModelError, match=r"not a number, first for shades\[2\]"):
        measured_by([entrant(data, sometimes)], data.split("test"), data)


def test_each_artifact_sees_its_own_contract() -> None:
    data = dataset()
    seen: list[float] = []

    def look(inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        seen.append(float(inputs.max()))
        return always(0)(inputs)

    doubled = replace(entrant(data, look), preprocess=replace(CONTRACT, scale=2.0))
    predicted_by([entrant(data, knows()), doubled], data.split("test"))
    assert set(seen) == {40.0}


def test_progress_counts_images() -> None:
    data, steps = dataset(), []
    predicted_by([entrant(data, knows())], data.split("test"), progress=lambda *step: steps.append(step))
    assert steps == [("images", done, 90) for done in (22, 44, 66, 88, 90)]


def test_memory_does_not_grow_with_the_number_of_images() -> None:
    def peak(n: int) -> int:
        data = dataset(n)
        runner = entrant(data, always(0))
        tracemalloc.start()
        predicted_by([runner], data.split("test"))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    peak(2000)  # what is made once, and batches of the same size
    assert peak(8000) < peak(2000) + 6000 * 200  # a prediction is bytes, an image of 8x8x3 float32 is 768


def test_of_equal_scores_the_first_class_wins_in_top1_and_top5() -> None:
    predictions = Predictions()
    predictions.add(np.zeros((2, 7), np.float32), np.asarray([4, 5]))
    assert predictions.top1 == [0, 0]
    assert predictions.missed_top5 == [1]


def test_top5_counts_what_is_among_the_five_best() -> None:
    scores = np.asarray([[7, 6, 5, 4, 3, 2, 1]] * 7, np.float32)
    predictions = Predictions()
    predictions.add(scores, np.arange(7))
    assert predictions.missed_top5 == [5, 6]
    found = score(predictions, np.arange(7), classes=7)
    assert found.top5 is not None
    assert found.top5.value == pytest.approx(5 / 7)
    assert found.top1.value == pytest.approx(1 / 7)


@pytest.mark.parametrize("n", [1, 31, 32, 33, 64, 97])
def test_every_image_is_seen_once_and_in_order(n: int) -> None:
    data = dataset(n, labels=tuple("abcdef"))
    runner = entrant(data, knows(6))
    predictions, _ = predicted_by([runner], data.split("test"))
    assert predictions[0].top1 == data.split("test").classes.tolist()


def test_sessions_share_the_batches_and_the_order_is_kept() -> None:
    data = dataset(97, labels=tuple("abcdef"))
    started = threading.Barrier(2)  # broken, unless two sessions run at the same time

    def together(inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        if not started.broken and len(seen) < 2:
            seen.append(len(inputs))
            started.wait(60)
        return knows(6)(inputs)

    seen: list[int] = []
    sessions = [DoubleSession(together, signature=signature(classes=6), name=name) for name in ("one", "two")]
    runner = accuracy.entrant("model", *sessions, preprocess=CONTRACT, labels=None, dataset=data)
    predictions, sha256 = predicted_by([runner], data.split("test"))
    assert predictions[0].top1 == data.split("test").classes.tolist()
    assert sha256 == data.split("test").fingerprint()
    assert all(session.calls for session in sessions)


def test_a_session_that_fails_among_others_ends_the_measurement() -> None:
    data = dataset(200)

    def dies(_: NDArray[np.float32]) -> NDArray[np.float32]:
        raise TargetError("the runtime's process was ended by SIGSEGV")

    sessions = [DoubleSession(knows()), DoubleSession(dies)]
    runner = accuracy.entrant("model", *sessions, preprocess=CONTRACT, labels=None, dataset=data)
    with pytest.raises(TargetError, match="SIGSEGV"):
        predicted_by([runner], data.split("test"))
