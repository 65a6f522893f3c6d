from __future__ import annotations

import numpy as np
import pytest

from edgeres.results import Flip
from targets.predictions import MOST_FLIPS, SQNR_LIMIT_DB, Batch, Predictions, kind_of, probabilities


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def logits() -> np.ndarray:
    return np.random.default_rng(0).normal(0, 3, (200, 5)).astype(np.float32)


def rounded(shares: np.ndarray, step: float = 1 / 256) -> np.ndarray:
    """As an int8 softmax gives them."""
    return (np.round(shares / step) * step).astype(np.float32)


def compared(own: np.ndarray, baseline: np.ndarray, *, step: float = 0.0) -> Predictions:
    truth = np.zeros(len(own), np.int64)
    first, second = Predictions(), Predictions(step)
    before, after = first.add(baseline, truth), second.add(own, truth)
    second.compare(Batch(own, after, second.kind), Batch(baseline, before, first.kind), truth, "image {}".format)
    return second


def test_logits_and_probabilities_are_told_apart(logits: np.ndarray) -> None:
    shares = softmax(logits)
    assert kind_of(logits) == "logits"
    assert kind_of(shares) == "probabilities"
    assert kind_of(rounded(shares), step=1 / 256) == "probabilities"
    assert kind_of(rounded(shares) * 1.5, step=1 / 256) == "logits"
    assert kind_of(np.asarray([[1.5, -0.5]], np.float32)) == "logits"


def test_probabilities_are_positive_and_add_up_to_one(logits: np.ndarray) -> None:
    np.testing.assert_allclose(probabilities(logits, "logits"), softmax(logits), atol=1e-6)
    found = probabilities(rounded(softmax(logits)), "probabilities", step=1 / 256)
    assert found.min() > 0
    np.testing.assert_allclose(found.sum(axis=1), 1)


def test_confidence_is_the_probability_of_the_answer(logits: np.ndarray) -> None:
    own = Predictions()
    own.add(logits, np.zeros(200, np.int64))
    assert own.kind == "logits"
    np.testing.assert_allclose(own.confidences, softmax(logits).max(axis=1), atol=6e-5)


def test_divergence_is_that_of_its_definition(logits: np.ndarray) -> None:
    noise = np.random.default_rng(1).normal(0, 0.1, logits.shape).astype(np.float32)
    found = compared(logits + noise, logits)
    p, q = softmax(logits).astype(float), softmax(logits + noise).astype(float)
    np.testing.assert_allclose(found.kls_nats, (p * np.log(p / q)).sum(axis=1), rtol=1e-2, atol=1e-6)
    sqnr = 10 * np.log10((logits**2).sum(axis=1) / (noise**2).sum(axis=1))
    np.testing.assert_allclose(found.sqnrs_db, sqnr, rtol=1e-3)


def test_equal_scores_do_not_diverge(logits: np.ndarray) -> None:
    found = compared(logits, logits)
    assert set(found.sqnrs_db) == {SQNR_LIMIT_DB}
    assert set(found.kls_nats) == {0.0}
    assert found.flips == []


def test_logits_against_probabilities_have_a_divergence_but_no_noise(logits: np.ndarray) -> None:
    found = compared(softmax(logits), logits)
    assert list(found.sqnrs_db) == []
    assert max(found.kls_nats) < 1e-5


def test_a_class_that_int8_rounds_to_zero_does_not_make_the_divergence_infinite() -> None:
    found = compared(np.asarray([[1.0, 0.0]], np.float32), np.asarray([[0.999, 0.001]], np.float32), step=1 / 256)
    assert 0 <= found.kls_nats[0] < 0.01


def test_a_flip_says_what_each_took_the_image_for_and_by_what_margin() -> None:
    before = np.asarray([[0.7, 0.2, 0.1], [0.5, 0.4, 0.1]], np.float32)
    after = np.asarray([[0.7, 0.2, 0.1], [0.3, 0.45, 0.25]], np.float32)
    assert compared(after, before).flips == [Flip(1, "image 1", 0, 0, 1, 0.1, 0.15)]


def test_flips_are_listed_up_to_a_limit() -> None:
    many = np.tile(np.asarray([[0.7, 0.3]], np.float32), (MOST_FLIPS + 9, 1))
    found = compared(many[:, ::-1].copy(), many)
    assert [flip.index for flip in found.flips] == list(range(MOST_FLIPS))


def test_batches_add_up(logits: np.ndarray) -> None:
    truth = np.arange(200) % 5
    whole, parts = Predictions(), Predictions()
    whole.add(logits, truth)
    for start in range(0, 200, 33):
        parts.add(logits[start : start + 33], truth[start : start + 33])
    assert whole == parts
