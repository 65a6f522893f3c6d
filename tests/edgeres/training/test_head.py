"""The ends that users' models have: scores to train on, and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tf_keras as keras
from tf_keras import layers

from edgeres.errors import ModelError
from edgeres.training.head import finished, for_classes

End = Callable[[Any], Any]


def model_of(end: End) -> Any:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4, 4, 3))
    return keras.Model(inputs, end(layers.Conv2D(5, 3, name="conv")(inputs)), name="mine")


def dense(x: Any) -> Any:
    return layers.Dense(4, name="head")(layers.Flatten()(x))


def softmax(x: Any) -> Any:
    return layers.Dense(4, activation="softmax", name="head")(layers.Flatten()(x))


def layer_after(x: Any) -> Any:
    return layers.Softmax(name="end")(dense(x))


def activation_in_float32(x: Any) -> Any:
    return layers.Activation("linear", dtype="float32", name="end")(softmax(x))


def convolution(x: Any) -> Any:
    """As MobileNet ends."""
    x = layers.Conv2D(4, 1, name="head")(layers.GlobalAveragePooling2D(keepdims=True)(x))
    return layers.Activation("softmax", name="end")(layers.Reshape((4,))(x))


def maps(x: Any) -> Any:
    """As SqueezeNet ends: a map for each class, then their means."""
    return layers.Softmax(name="end")(layers.GlobalAveragePooling2D()(layers.Conv2D(4, 1, name="head")(x)))


def layer_as_activation(x: Any) -> Any:
    return layers.Dense(4, activation=layers.Softmax(), name="head")(layers.Flatten()(x))


def reshaped_before(x: Any) -> Any:
    """With a Reshape to as many channels as there are classes, which has nothing to do with them."""
    return dense(layers.Reshape((5, 4))(layers.Flatten()(x)))


ENDS = [
    dense,
    softmax,
    layer_after,
    activation_in_float32,
    convolution,
    maps,
    layer_as_activation,
    reshaped_before,
]


@pytest.mark.parametrize("end", ENDS)
def test_the_logits_are_trained_and_the_end_comes_back(end: End) -> None:
    model = model_of(end)
    image = np.random.default_rng(0).normal(size=(2, 4, 4, 3)).astype(np.float32)
    expected = model(image).numpy()
    trained, new = for_classes(model, 4)
    logits = trained(image).numpy()
    assert new == ()
    if end not in (dense, reshaped_before):
        assert not np.allclose(logits.sum(axis=1), 1)
        logits = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(logits, expected, rtol=1e-5)
    back = finished(trained, model)
    np.testing.assert_allclose(back(image).numpy(), expected, rtol=1e-5)
    assert [layer.get_config() for layer in back.layers] == [layer.get_config() for layer in model.layers]


@pytest.mark.parametrize("end", ENDS)
def test_other_classes_make_the_head_new(end: End) -> None:
    model = model_of(end)
    trained, new = for_classes(model, 7)
    assert new == ("head",)
    assert trained.output_shape == (None, 7)
    np.testing.assert_array_equal(trained.get_layer("conv").get_weights()[0], model.get_layer("conv").get_weights()[0])
    assert finished(trained, model).output_shape == (None, 7)


def two(x: Any, activation: str = "linear") -> Any:
    """One of two sets of scores."""
    return layers.Dense(4, activation=activation)(layers.Flatten()(x))


def probable_maps(x: Any) -> Any:
    return layers.Conv2D(4, 1, activation="softmax")(x)


def test_a_sequential_model_and_one_without_weights_that_train() -> None:
    model = keras.Sequential([keras.Input((4, 4, 3)), layers.Flatten(), layers.Dense(4, "softmax")])
    model.layers[-1].trainable = False
    trained, _ = for_classes(model, 4)
    assert not trained.layers[-1].trainable
    assert for_classes(model, 7)[0].layers[-1].trainable
    assert finished(trained, model).layers[-1].get_config()["activation"] == "softmax"


@pytest.mark.parametrize(
    ("end", "classes", "message"),
    [
        (lambda x: layers.Dense(4, "sigmoid", name="head")(layers.Flatten()(x)), 4, "ends in 'head' (sigmoid)"),
        (lambda x: layers.Softmax(name="twice")(softmax(x)), 4, "ends in 'twice' (softmax)"),
        (lambda x: layers.BatchNormalization(name="bn")(dense(x)), 7, "weights is 'bn' (BatchNormalization)"),
        (lambda x: layers.Average(name="mean")([two(x, "softmax"), two(x, "softmax")]), 4, "ends in 'mean' (Average)"),
        (lambda x: layers.Add(name="sum")([two(x), two(x)]), 7, "ends in 'sum' (Add)"),
        (lambda x: layers.ReLU(name="end")(dense(x)), 4, "ends in 'end' (ReLU)"),
        (lambda x: layers.LeakyReLU(name="end")(dense(x)), 4, "ends in 'end' (LeakyReLU)"),
        (lambda x: layers.PReLU(name="end")(dense(x)), 4, "ends in 'end' (PReLU)"),
        (lambda x: layers.GlobalAveragePooling2D(name="end")(probable_maps(x)), 4, "(GlobalAveragePooling2D of prob"),
        (lambda x: layers.Flatten()(layers.Softmax(name="end")(layers.Reshape((2, 2))(dense(x)))), 4, "of a part of"),
        (lambda x: layers.Flatten()(layers.Reshape((2, 2))(dense(x))), 7, "cannot be given 7 classes"),
    ],
)
def test_an_end_that_cannot_be_trained_is_refused(end: End, classes: int, message: str) -> None:
    with pytest.raises(ModelError) as caught:
        for_classes(model_of(end), classes)
    assert message in str(caught.value)
