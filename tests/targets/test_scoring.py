from __future__ import annotations

import numpy as np
import pytest

from targets.predictions import Predictions
from targets.scoring import score
from tests.targets.measured import LABELS, accuracies, truth


def test_a_comparison_holds_every_figure_of_the_pair() -> None:
    baseline, own = accuracies(900, range(9), range(3, 30))
    assert baseline.verdict is None
    assert baseline.flips is None
    assert (own.lost, own.won, own.images_needed is None) == (21, 3, own.verdict != "insufficient")
    assert own.mcnemar_p is not None
    assert own.mcnemar_p < 0.001
    assert own.top1_drop_bounds_points is not None
    assert own.top1_drop_bounds_points.value == pytest.approx(2.0)
    assert own.flips is not None
    assert [flip.index for flip in own.flips] == [*range(3), *range(9, 30)]
    assert own.flips[0].image == "shades[0]"
    assert own.divergence is not None
    assert own.divergence.kl_nats is not None
    assert own.divergence.kl_nats.value > 0
    assert own.calibration is not None
    assert own.calibration.ece is not None
    assert own.calibration.ece.value == pytest.approx(abs(own.top1.value - 0.9))


def test_an_insufficient_measurement_says_how_many_images_it_would_take() -> None:
    _, own = accuracies(90, (), ())
    assert own.verdict == "insufficient"
    assert own.images_needed is not None
    _, more = accuracies(own.images_needed, (), ())
    assert more.verdict == "pass"


def test_the_drop_of_a_class_is_that_of_its_images() -> None:
    wrong = [index for index in range(900) if truth(900)[index] == 1][:30]
    _, own = accuracies(900, (), wrong)
    assert own.class_drops_points is not None
    drops = [drop.value if drop else None for drop in own.class_drops_points]
    assert drops == pytest.approx([0, 10, 0])
    assert len(drops) == len(LABELS)


def test_a_class_without_images_has_no_drop() -> None:
    own = Predictions()
    own.add(np.eye(3, dtype=np.float32)[[0, 0]], np.zeros(2, np.int64))
    found = score(own, np.zeros(2, np.int64), classes=3, baseline=own).class_drops_points
    assert found is not None
    assert found[0] is not None
    assert found[1:] == (None, None)


def test_means_of_few_images_are_left_out() -> None:
    _, own = accuracies(29, (), (3,))
    assert own.calibration is not None
    assert own.calibration.ece is None
    assert len(own.calibration.confidences) == 29
    assert own.divergence is not None
    assert own.divergence.kl_nats is own.divergence.sqnr_db is None


def test_what_a_result_holds_gives_the_same_figures_again() -> None:
    baseline, own = accuracies(600, range(5), range(3, 40))
    again = score(Predictions.stored(own), truth(600), classes=3, baseline=Predictions.stored(baseline))
    assert again == own
