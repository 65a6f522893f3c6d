from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from edgeres.report.confusion import Confusions, confusions
from edgeres.report.story import Comparison, ResultSource, Story, join
from edgeres.results import Accuracy, ArtifactResult, DataRecord, Result
from tests.edgeres.report.material import estimate


def _comparison(truth: tuple[int, ...], predictions: tuple[int, ...], labels: tuple[str, ...] | None) -> Comparison:
    accuracy = Accuracy(len(truth), estimate(0.5, 0.1), predictions=predictions)
    data = DataRecord("digits", "test", len(truth), "0" * 64, labels=labels, truth=truth)
    artifact = ArtifactResult("m", "m.tflite", "a" * 64, 1, "cpu", False, accuracy=accuracy)
    return join([ResultSource(Path("x.json"), Result({}, (artifact,), data))])[0]


def _count(truth: tuple[int, ...], predictions: tuple[int, ...], labels: tuple[str, ...] | None) -> Confusions:
    counted = confusions(_comparison(truth, predictions, labels))
    assert counted is not None
    return counted


def test_rows_are_true_and_columns_predicted() -> None:
    counted = _count((0, 0, 1, 1, 2), (0, 1, 1, 1, 0), ("a", "b", "c"))
    assert counted.matrix(counted.artifacts[0]) == [[1, 1, 0], [0, 2, 0], [1, 0, 0]]
    assert counted.labels == ("a", "b", "c")


def test_worst_pairs_come_first_and_right_ones_never() -> None:
    counted = _count((0, 0, 0, 1, 2), (1, 1, 0, 0, 2), ("a", "b", "c"))
    assert counted.worst(5) == (("a", "b", (2,)), ("b", "a", (1,)))
    assert counted.worst(1) == (("a", "b", (2,)),)


def test_a_class_beyond_the_labels_is_named_by_its_index_and_costs_one_row() -> None:
    counted = _count((0, 1), (0, 10**9), ("a", "b"))
    assert counted.labels == ("a", "b", "class 1000000000")
    assert _count((0,), (-1,), None).labels == ("class -1", "class 0")


def test_many_classes_do_not_fit_a_matrix() -> None:
    truth = tuple(range(60))
    assert not _count(truth, truth, None).fits_heatmap
    assert _count(truth[:50], truth[:50], None).fits_heatmap


def test_predictions_for_another_number_of_images_are_not_counted() -> None:
    assert confusions(_comparison((0, 1, 2), (0, 1), ("a", "b", "c"))) is None


def test_no_truth_no_matrix(story: Story) -> None:
    (comparison,) = story.comparisons
    assert comparison.data is not None
    assert confusions(replace(comparison, data=replace(comparison.data, truth=None))) is None
    assert confusions(replace(comparison, data=None)) is None
