from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tf_keras import layers
from tf_keras.initializers import Constant

from tests.converters.quantization.lintable import conv, head, looked_at, pictures, softmax_of


def loud(image: Any) -> Any:
    """Channel 2 of `first` is a thousand times larger; `second` reads it through a pooling."""
    x = conv(image, "first", 8, kernel_initializer=scaled_channel(2, 1000))
    return head(conv(layers.MaxPooling2D(name="shrink")(x), "second"))


def ramp(shape: Any, dtype: Any = None) -> Any:
    return np.arange(shape[0], dtype=np.float32)


def scaled_channel(channel: int, factor: float) -> Callable[..., Any]:
    def initial(shape: Any, dtype: Any = None) -> Any:
        kernel = np.random.default_rng(0).normal(0, 0.1, tuple(shape)).astype(np.float32)
        kernel[..., channel] *= factor
        return kernel

    return initial


def dead(image: Any) -> Any:
    x = conv(image, "first", activation="relu")
    return head(conv(conv(x, "second", activation="relu", bias_initializer=Constant(-1e6)), "third"))


def test_a_healthy_network_has_no_findings() -> None:
    findings, covered = looked_at(lambda image: head(conv(conv(image, "first", activation="relu"), "second")))
    assert findings == []
    assert list(covered)[1:3] == ["first", "second"]


def test_an_outlier_channel_is_named_with_its_consequence_and_those_who_share_it() -> None:
    findings, _ = looked_at(loud)
    (told,) = (each for each in findings if each.rule == "outlier channel")
    assert (told.layer, told.severity) == ("first", "warning")
    assert "of 8 channels 2 reaches" in told.consequence
    assert "has 0." in told.consequence
    assert told.fix.endswith("(`quantize.layers`): first, shrink")


@pytest.mark.parametrize(
    "settings",
    [{"mode": "int16x8"}, {"layers": {"first": "int16x8", "shrink": "int16x8", "second": "int16x8"}}],
)
def test_an_outlier_channel_that_has_sixteen_bits_is_none(settings: dict[str, Any]) -> None:
    findings, covered = looked_at(loud, **settings)
    assert "outlier channel" not in {each.rule for each in findings}
    assert covered["first"].steps == 1 << 16


def test_an_outlier_that_stays_float_is_told_where_it_becomes_eight_bits() -> None:
    findings, covered = looked_at(loud, layers={"first": "float32"})
    assert "first" in {each.layer for each in findings if each.rule == "outlier channel"}
    assert covered["first"].dtype == "int8", "its reader rounds it"
    findings, covered = looked_at(loud, layers=dict.fromkeys(("first", "shrink", "second"), "float32"))
    assert "outlier channel" not in {each.rule for each in findings}
    assert "first" not in covered


def test_a_dead_layer_is_told_once_where_it_begins() -> None:
    (told,) = looked_at(dead)[0]
    assert (told.rule, told.layer, told.severity) == ("constant activation", "second", "warning")
    assert "is 0 everywhere in all images" in told.consequence


def test_answers_that_do_not_depend_on_the_image_are_told() -> None:
    (told,) = looked_at(lambda image: head(conv(image, "first"), kernel_initializer="zeros", bias_initializer=ramp))[0]
    assert (told.rule, told.layer) == ("constant activation", "scores")
    assert "is the same for all images" in told.consequence


def test_a_range_that_a_few_values_set_is_told_with_the_steps_that_are_left() -> None:
    images = [image / 100 for image in pictures(8, 255) * 10]
    images[0][0, 3, 3, 1] = 255
    (told,) = looked_at(lambda image: head(conv(image, "first")), images=images)[0]
    assert (told.rule, told.severity) == ("few steps", "warning")
    assert "image" in told.layer, "what follows has it from the input"
    assert "use 4 of 256 steps" in told.consequence
    assert "quantize.ranges=mse" in told.fix


def test_sure_probabilities_are_no_outliers() -> None:
    assert looked_at(softmax_of(40))[0] == []
