from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from edgeres.errors import ModelError
from targets.classifier import check_classifier
from targets.flatbuffer import walk
from tests.targets.conftest import Models
from tests.targets.forge import activation, forge


@pytest.mark.parametrize("name", ["float32", "float16", "int8", "dynamic_int8", "int16", "logarithm"])
def test_an_image_classifier_is_accepted(models: Models, name: str) -> None:
    check_classifier(walk(models(name)))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("two_inputs", "one input, found 2"),
        ("two_outputs", "one output, found 2"),
        ("batch_of_8", r"\[8, 16, 16, 3\] has a fixed batch of 8"),
        ("map_to_map", r"expected scores \[1, classes\] as output"),
        ("while_loop", r"expected an image .* as input"),
        ("open_size", r"\[1, -1, -1, 3\] has an open size"),
    ],
)
def test_any_other_model_is_refused_with_its_shape(models: Models, name: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        check_classifier(walk(models(name)))


def test_an_input_of_another_type_is_refused(models: Models) -> None:
    forged = forge(models("logarithm"), lambda m: setattr(m.subgraphs[0].tensors[m.subgraphs[0].inputs[0]], "type", 4))
    with pytest.raises(ModelError, match="holds int64, expected one of float32"):
        check_classifier(walk(forged))


def shaped(models: Models, which: Callable[[Any], Any], shape: list[int]) -> bytes:
    def change(model: Any) -> None:
        tensor = which(model)
        tensor.shape, tensor.shapeSignature = shape, None

    return forge(models("float32"), change)


def test_a_small_file_that_asks_for_a_vast_image_is_refused(models: Models) -> None:
    large = shaped(models, lambda m: m.subgraphs[0].tensors[m.subgraphs[0].inputs[0]], [1, 8192, 8192, 3])
    with pytest.raises(ModelError, match=r"images of 201,326,592 values .* at most 16,777,216"):
        check_classifier(walk(large))


def test_a_small_file_that_asks_for_vast_activations_is_refused(models: Models) -> None:
    with pytest.raises(ModelError, match=r"activations take 2,1\d\d,\d+,\d+ bytes, at most 1,073,741,824"):
        check_classifier(walk(shaped(models, activation, [1, 16384, 16384, 2])))
