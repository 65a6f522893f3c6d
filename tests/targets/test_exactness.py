from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from targets.exactness import exactness
from targets.runtimes.cpu import REFERENCE
from tests.targets.conftest import Models
from tests.targets.double import DoubleSession, DoubleTarget

IMAGES = np.random.default_rng(0).uniform(0, 255, (12, 16, 16, 3)).astype(np.float32)


def test_the_reference_kernels_are_those_of_the_reference_kernels(models: Models) -> None:
    found = exactness(models("int8"), IMAGES, target=REFERENCE)
    assert (found.images, found.values, found.equal, found.largest) == (12, 48, 48, 0)
    assert found.steps
    assert not found.flips


@pytest.mark.parametrize("name", ["int8", "float32"])
def test_the_processors_kernels_are_off_by_little(models: Models, name: str) -> None:
    found = exactness(models(name), IMAGES)
    assert found.steps == (name == "int8")
    assert found.largest <= (8 if found.steps else 1e-5)
    assert not found.flips


def test_another_answer_is_a_flip_and_its_difference_is_in_steps(models: Models) -> None:
    model = models("int8")

    def moved(inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        with REFERENCE.open(model) as session:
            scores, scale = session.infer(inputs), session.signature.output_scale
        first = scores[0].argmin()
        scores[0, first] = scores[0].max() + 3 * scale
        return scores

    with REFERENCE.open(model) as session:
        scores = session.infer(IMAGES[:1])[0]
        scale = session.signature.output_scale
    found = exactness(model, IMAGES, target=DoubleTarget(lambda _: DoubleSession(moved)))
    assert found.flips == (0,)
    assert found.equal == found.values - 1
    assert found.largest == pytest.approx((scores.max() - scores.min()) / scale + 3, rel=1e-4)
    assert "labels that differ: 1" in str(found)
