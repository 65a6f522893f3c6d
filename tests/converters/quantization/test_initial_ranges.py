from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from converters.quantization.aware import rounded
from converters.quantization.initial_ranges import calibrate, settle_weights
from converters.steps import AwareStep
from tests.converters.small import network

STEP = AwareStep(step="aware", preserve="none")
BATCHES = [np.random.default_rng(seed).uniform(0, 255, (4, 8, 8, 3)).astype(np.float32) for seed in (1, 2)]


@pytest.fixture(scope="module")
def wrapped() -> Any:
    model = rounded(network(), STEP)
    calibrate(model, BATCHES)
    return model


def ends(layer: Any, what: str) -> tuple[float, float]:
    low, high = (next(w for w in layer.weights if f"{what}_{end}" in w.name) for end in ("min", "max"))
    return float(low.numpy().min()), float(high.numpy().max())


def test_outputs_have_the_range_of_all_batches_which_holds_zero(wrapped: Any) -> None:
    found = ends(wrapped.get_layer("quant_logits"), "post_activation")
    scores = np.concatenate([network()(batch).numpy() for batch in BATCHES])
    np.testing.assert_allclose(
        found, (min(0, scores.min()), max(0, scores.max())), rtol=0.05, err_msg="of rounded weights"
    )


def test_weights_have_the_range_that_they_have_also_after_they_changed(wrapped: Any) -> None:
    layer = wrapped.get_layer("quant_hidden")
    ((kernel, _, _),) = layer._weight_vars
    peak = np.abs(kernel.numpy()).max()
    assert ends(layer, "kernel")[1] == pytest.approx(peak, rel=1e-4)
    kernel.assign(3 * kernel)
    settle_weights(wrapped)
    assert ends(layer, "kernel")[1] == pytest.approx(3 * peak, rel=1e-4)


def test_the_quantizers_are_back_in_their_places(wrapped: Any) -> None:
    scores = wrapped(BATCHES[0], training=False).numpy()
    low, high = ends(wrapped.get_layer("quant_logits"), "post_activation")
    steps = scores / ((high - low) / 255)
    np.testing.assert_allclose(steps, np.round(steps), atol=1e-3)
