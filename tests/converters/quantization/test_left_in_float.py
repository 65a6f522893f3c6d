from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tf_keras import layers

from converters.job import Job
from converters.pipeline import convert
from converters.quantization.left_in_float import require_taken
from converters.quantization.post_training import quantize
from converters.recipe import load_recipe
from converters.steps import QuantizeStep
from edgeres.errors import ModelError
from targets.flatbuffer import walk
from tests.converters.quantization.lintable import conv, floating, head, keras_model, pictures
from tests.converters.small import small_job


def leaky(image: Any) -> Any:
    return head(conv(layers.LeakyReLU(name="leak")(conv(image, "first")), "second"))


def healthy(image: Any) -> Any:
    return head(conv(image, "first", activation="relu"))


def check(body: Callable[[Any], Any], **settings: Any) -> None:
    product = quantize(floating(body), images=pictures(8), **settings)
    step = QuantizeStep.model_validate({"step": "quantize", **settings})
    require_taken(walk(floating(body)).main, walk(product).main, step)


@pytest.mark.parametrize("mode", ["int8", "int16x8", "int4"])
def test_an_operator_without_integers_is_named_with_its_layer(mode: str) -> None:
    with pytest.raises(ModelError, match=f"{mode} cannot take LEAKY_RELU of leak") as caught:
        check(leaky, mode=mode)
    assert "--set 'quantize.layers={leak: float32}'" in str(caught.value.fix)


def test_a_layer_that_the_recipe_leaves_in_float_is_no_error() -> None:
    check(leaky, mode="int8", layers={"leak": "float32"})
    check(healthy, mode="int8", layers={"first": "float32"})
    for io in ("integer", "uint8", "float32"):
        check(healthy, mode="int8", io=io)


def test_what_the_recipe_says_of_others_is_kept_in_the_advice() -> None:
    with pytest.raises(ModelError) as caught:
        check(leaky, mode="int8", layers={"le*": "int8", "first": "float32"})
    assert "{leak: float32, le*: int8, first: float32}" in str(caught.value.fix)


def test_a_conversion_ends_there_and_goes_on_as_advised(tmp_path: Path) -> None:
    job: Job = small_job(tmp_path, keras_model(leaky))
    with pytest.raises(ModelError, match="LEAKY_RELU of leak"):
        convert(job, load_recipe("int8"), tmp_path / "b")
    assert not (tmp_path / "b").exists()
    advised = load_recipe("int8", overrides=("quantize.layers={leak: float32}",))
    assert "LEAKY_RELU" in walk(convert(job, advised, tmp_path / "b").read("model.tflite")).kinds
