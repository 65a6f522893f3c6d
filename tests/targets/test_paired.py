from __future__ import annotations

import math

import numpy as np
import pytest

from edgeres.results import Estimate
from targets.paired import (
    Pairs,
    accuracy_drop,
    accuracy_verdict,
    drop_bounds,
    images_for_verdict,
    images_needed,
    mcnemar,
    pairs,
)


def between(low: float, high: float) -> Estimate:
    return Estimate((low + high) / 2, low, high, 0.95, "given", 10)


def test_accuracy_drop_agrees_with_a_published_example() -> None:
    # Fagerland, Lydersen and Laake 2014, airway reactivity before and after transplantation: 1, 1, 7, 12 of 21;
    # Tango's interval is -0.517 to -0.026.
    before = np.repeat([True, True, False, False], [1, 1, 7, 12])
    after = np.repeat([True, False, True, False], [1, 1, 7, 12])
    found = accuracy_drop(pairs(before, after))
    assert found.value == pytest.approx(-100 * 6 / 21)
    assert (round(found.low, 1), round(found.high, 1)) == (-51.7, -2.6)


def test_accuracy_drop_has_a_width_where_the_two_never_differ() -> None:
    found = accuracy_drop(Pairs(100, 0, 0))
    assert found.value == 0
    assert found.low == pytest.approx(-found.high)
    assert 3 < found.high < 4  # z^2 / (n + z^2)


@pytest.mark.parametrize("lost", [0, 1, 5, 50, 100])
def test_accuracy_drop_is_antisymmetric(lost: int) -> None:
    baseline = np.ones(100, bool)
    artifact = np.arange(100) >= lost
    forth, back = accuracy_drop(pairs(baseline, artifact)), accuracy_drop(pairs(artifact, baseline))
    assert (forth.value, forth.low, forth.high) == pytest.approx((-back.value, -back.high, -back.low))
    assert forth.low <= forth.value <= forth.high <= 100


@pytest.mark.parametrize(("lost", "won"), [(0.02, 0.02), (0.05, 0.01), (0.2, 0.1), (0.01, 0.0)])
@pytest.mark.parametrize("n", [100, 1000])
def test_accuracy_drop_covers_the_truth(n: int, lost: float, won: float) -> None:
    counts = np.random.default_rng(1).multinomial(n, [lost, won, 1 - lost - won], size=400)
    hits = 0
    for first, second, _ in counts:
        baseline, artifact = np.arange(n) < n - second, (np.arange(n) >= first)
        found = accuracy_drop(pairs(baseline, artifact))
        hits += found.low <= 100 * (lost - won) <= found.high
    assert 0.93 <= hits / len(counts) <= 1


def test_two_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="one length"):
        pairs(np.ones(3, bool), np.ones(2, bool))


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(-1, 0.9, "pass"), (-1, 1.0, "pass"), (0.5, 1.5, "insufficient"), (1.1, 3, "fail"), (1.0, 3, "insufficient")],
)
def test_accuracy_verdict(low: float, high: float, verdict: str) -> None:
    assert accuracy_verdict(between(low, high), margin_points=1.0) == verdict


@pytest.mark.parametrize(("points", "disagreement"), [(2.0, 0.1), (1.0, 0.05), (5.0, 0.2)])
def test_so_many_images_bring_the_interval_to_its_width(points: float, disagreement: float) -> None:
    n = images_needed(points, disagreement=disagreement)
    differing = round(disagreement * n / 2)
    baseline, artifact = np.arange(n) >= differing, np.arange(n) < n - differing
    found = accuracy_drop(pairs(baseline, artifact))
    assert (found.high - found.low) / 2 == pytest.approx(points, rel=0.05)


@pytest.mark.parametrize(("points", "disagreement"), [(0, 0.1), (101, 0.1), (2, 0), (2, 1.1), (math.nan, 0.1)])
def test_a_width_or_share_out_of_range_is_refused(points: float, disagreement: float) -> None:
    with pytest.raises(ValueError, match="expected points"):
        images_needed(points, disagreement=disagreement)


@pytest.mark.parametrize(("n", "won", "margin"), [(300, 0.0, 0.02), (300, 0.03, 0.01), (1000, 0.01, 0.01)])
def test_a_true_drop_of_the_margin_passes_at_most_once_in_twenty(n: int, won: float, margin: float) -> None:
    counts = np.random.default_rng(4).multinomial(n, [won + margin, won, 1 - 2 * won - margin], size=1000)
    passed = sum(
        accuracy_verdict(drop_bounds(Pairs(n, int(lost), int(gained))), margin_points=100 * margin) == "pass"
        for lost, gained, _ in counts
    )
    assert 0 < passed <= 50


def test_a_model_without_a_drop_passes_where_there_are_enough_images() -> None:
    assert drop_bounds(Pairs(1000, 0, 0)).high < 1 < drop_bounds(Pairs(200, 0, 0)).high


@pytest.mark.parametrize("lost", [3, 40])
def test_the_one_sided_bounds_enclose_the_drop_within_the_two_sided_interval(lost: int) -> None:
    counted = Pairs(2000, lost, 10)
    bounds, interval = drop_bounds(counted), accuracy_drop(counted)
    assert bounds.value == interval.value
    assert interval.low < bounds.low < bounds.value < bounds.high < interval.high


# Exact binomial probabilities: 2 P(X <= k) of n fair coins.
@pytest.mark.parametrize(
    ("lost", "won", "p"),
    [(0, 0, 1.0), (5, 5, 1.0), (0, 6, 2 / 64), (6, 0, 2 / 64), (1, 7, 18 / 256), (8, 2, 112 / 1024)],
)
def test_mcnemar_is_the_binomial_test(lost: int, won: int, p: float) -> None:
    assert mcnemar(Pairs(1000, lost, won)) == pytest.approx(p)


@pytest.mark.parametrize("n", [0, -3])
def test_no_image_is_refused(n: int) -> None:
    with pytest.raises(ValueError, match="lost \\+ won of n images"):
        Pairs(n, 0, 0)


@pytest.mark.parametrize(("n", "lost", "won"), [(100, 0, 0), (200, 2, 2), (500, 9, 1), (300, 1, 2)])
def test_so_many_images_of_the_same_kind_give_a_verdict(n: int, lost: int, won: int) -> None:
    assert accuracy_verdict(drop_bounds(Pairs(n, lost, won)), margin_points=1.0) == "insufficient"
    needed = images_for_verdict(Pairs(n, lost, won), margin_points=1.0)
    assert needed is not None
    assert needed > n

    def verdict(images: int) -> str:
        grown = Pairs(images, round(lost * images / n), round(won * images / n))
        return accuracy_verdict(drop_bounds(grown), margin_points=1.0)

    assert verdict(round(1.15 * needed)) != "insufficient"  # images come whole, hence not at the very number
    assert verdict(round(0.85 * needed)) == "insufficient"


@pytest.mark.parametrize(("lost", "won"), [(1, 0), (0, 1)])
def test_bounds_of_a_single_image_stay_within_100_points(lost: int, won: int) -> None:
    found = drop_bounds(Pairs(1, lost, won))
    assert -100 <= found.low <= found.value <= found.high <= 100


def test_no_number_of_images_tells_a_drop_from_a_margin_of_the_same_size() -> None:
    assert images_for_verdict(Pairs(1000, 20, 10), margin_points=1.0) is None
