"""Models of both generations as flat tf_keras graphs that compute the same."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from edgeres.keras_io import prunable
from edgeres.rebuild.model import left_out, needs_rebuilding, rebuild
from edgeres.rebuild.proof import excess
from edgeres.rebuild.refusal import NotRebuiltError

SHAPE = (16, 16, 3)
GENERATIONS = pytest.mark.parametrize("k", [tf_keras, keras], ids=["2", "3"])


def randomized(model: Any) -> Any:
    """Every weight random, variances positive: a bias of zeros would hide that it was not copied."""
    random = np.random.default_rng(0)
    model.set_weights([random.uniform(0.1, 0.5, weight.shape) for weight in model.get_weights()])
    return model


def closed(k: Any, image: Any, x: Any) -> Any:
    """A classifier that ends in what is left of the image."""
    x = k.layers.GlobalAveragePooling2D()(x)
    return randomized(k.Model(image, k.layers.Dense(3, name="scores")(x), name="whole"))


def convolutions(k: Any) -> Any:
    image = k.Input(SHAPE, name="photo")
    x = k.layers.ZeroPadding2D(1)(image)
    x = k.layers.Conv2D(4, 3, strides=2, use_bias=False, name="conv")(x)
    x = k.layers.BatchNormalization(epsilon=0.01, name="norm")(x)
    x = k.layers.ReLU(max_value=6)(x)
    x = k.layers.DepthwiseConv2D(3, padding="same", activation="relu", name="depthwise")(x)
    x = k.layers.SeparableConv2D(5, 3, padding="same", name="separable")(x)
    x = k.layers.Conv2DTranspose(4, 3, strides=2, padding="same", name="up")(x)
    x = k.layers.LayerNormalization(epsilon=0.1, name="layernorm")(x)
    x = k.layers.SpatialDropout2D(0.1)(x)
    x = k.layers.MaxPooling2D(3, strides=2, padding="same")(x)
    return closed(k, image, k.layers.UpSampling2D(2, interpolation="bilinear")(x))


def merges(k: Any) -> Any:
    image = k.Input(SHAPE, name="photo")
    a, b = (k.layers.Conv2D(4, 1, name=name)(image) for name in "ab")
    merged = [k.layers.Add()([a, b]), k.layers.Subtract()([a, b]), k.layers.Multiply()([a, b])]
    merged += [k.layers.Average()([a, b]), k.layers.Maximum()([a, b]), k.layers.Minimum()([a, b])]
    x = k.layers.Concatenate()(merged)
    x = k.layers.Permute((2, 1, 3))(k.layers.Cropping2D(1)(x))
    gate = k.layers.GlobalAveragePooling2D(keepdims=True)(x)
    x = k.layers.Multiply()([x, k.layers.Dense(24, activation="sigmoid", name="gate")(gate)])
    x = k.layers.AveragePooling2D(2)(x)
    x = k.layers.Flatten()(k.layers.Reshape((7, 7 * 24))(x))
    return randomized(k.Model(image, k.layers.Softmax()(k.layers.Dense(3, name="scores")(x)), name="whole"))


def activations(k: Any) -> Any:
    image = k.Input(SHAPE, name="photo")
    x = k.layers.LeakyReLU(0.3)(k.layers.Conv2D(4, 1, name="conv")(k.layers.Rescaling(1 / 60, offset=-2.0)(image)))
    x = k.layers.PReLU(shared_axes=[1, 2], name="prelu")(k.layers.ELU(0.5)(x))
    for name in ("swish", "gelu", "hard_sigmoid", "tanh", "selu", "softplus"):
        x = k.layers.Activation(name)(x)
    return closed(k, image, k.layers.Conv2D(4, 1, activation="hard_sigmoid", name="last")(x))


def nested(k: Any) -> Any:
    inner = k.Input(SHAPE)
    x = k.layers.Conv2D(4, 3, name="conv")(inner)
    base = k.Model(inner, k.layers.BatchNormalization(name="norm")(x), name="base")
    head = k.Sequential([k.Input((14, 14, 4)), k.layers.Conv2D(2, 1, name="conv"), k.layers.ReLU()], name="head")
    stack = [k.Input(SHAPE), k.layers.RandomFlip(), k.layers.RandomRotation(0.1), k.layers.Rescaling(1 / 255)]
    stack += [base, head, k.layers.GlobalAveragePooling2D(), k.layers.Dropout(0.5), k.layers.Dense(3, name="scores")]
    model = k.Sequential(stack, name="whole")
    random = np.random.default_rng(0)
    for layer in (base, head, model.layers[-1]):
        layer.set_weights([random.uniform(0.1, 0.5, weight.shape) for weight in layer.get_weights()])
    return model


def arithmetic(k: Any) -> Any:
    image = k.Input(SHAPE, name="photo")
    x = k.layers.Conv2D(4, 3, name="conv")(image / 64.0 - 2.0)
    x = x * (k.layers.ReLU(6.0)(x + 3.0) * (1.0 / 6.0))
    return closed(k, image, (1.0 - x) + x * x)


def shared(k: Any) -> Any:
    image = k.Input(SHAPE, name="photo")
    conv = k.layers.Conv2D(3, 3, padding="same", name="twice")
    return closed(k, image, conv(conv(image)))


def normalized(k: Any) -> Any:
    image = k.Input(SHAPE, name="photo")
    x = k.layers.Normalization(mean=[3.0, 2.0, 1.0], variance=[4.0, 5.0, 6.0])(image)
    return k.Model(image, k.layers.Dense(3, name="scores")(k.layers.GlobalAveragePooling2D()(x)), name="whole")


@GENERATIONS
@pytest.mark.parametrize(
    "make", [convolutions, merges, activations, nested, arithmetic, shared, normalized], ids=lambda make: make.__name__
)
def test_a_rebuilt_model_is_flat_of_built_in_layers_and_computes_the_same(make: Any, k: Any) -> None:
    model = make(k)
    flat = rebuild(model)
    assert isinstance(flat, tf_keras.Model)
    assert not needs_rebuilding(flat)
    assert excess(model, flat) is None
    assert flat.name == model.name
    again = tf_keras.models.clone_model(flat)  # its configuration is complete
    again.set_weights(flat.get_weights())
    assert excess(model, again) is None


def test_the_difference_is_seen_in_one_weight() -> None:
    model = merges(keras)
    flat = rebuild(model)
    layer = flat.get_layer("b")
    kernel, bias = layer.get_weights()
    layer.set_weights([kernel * 1.01, bias])
    assert (excess(model, flat) or 0) > 1e-4
    layer.set_weights([kernel * np.nan, bias])
    assert np.isnan(excess(model, flat) or 0)


@GENERATIONS
def test_layers_keep_their_names_and_take_their_models_where_two_have_one(k: Any) -> None:
    names = [layer.name for layer in rebuild(nested(k)).layers if layer.weights]
    assert names == ["conv", "norm", "head_conv", "scores"]


def test_a_layer_that_is_called_twice_is_one_layer() -> None:
    assert len(rebuild(shared(keras)).get_layer("twice").inbound_nodes) == 2


def test_a_flat_model_of_tf_keras_is_left_as_it_is() -> None:
    model = convolutions(tf_keras)
    assert prunable(model, generation=2).model is model


@tf_keras.utils.register_keras_serializable("tests")
class Own(tf_keras.layers.Layer):  # type: ignore[misc]
    def call(self, x: Any) -> Any:
        return x + 1.0


def of(k: Any, *stack: Any) -> Any:
    return k.Sequential([k.Input(SHAPE), *stack, k.layers.GlobalAveragePooling2D(), k.layers.Dense(3)])


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: of(keras, keras.layers.AutoContrast(name="odd")), "layer 'odd': AutoContrast has no counterpart"),
        (lambda: of(keras, keras.layers.Activation("squareplus", name="odd")), "layer 'odd': .*'squareplus'"),
        (lambda: of(keras, keras.layers.Conv2D(3, 1, activation="glu", name="odd")), "layer 'odd': .*'glu'"),
        (lambda: of(keras, keras.layers.Conv2D(3, 1, dtype="mixed_float16", name="odd")), "computes in float16"),
        (lambda: of(tf_keras, Own(name="odd")), "layer 'odd': Own is a custom class"),
        (lambda: of(keras, keras.layers.Lambda(lambda x: x, name="odd")), "layer 'odd': Lambda has no counterpart"),
    ],
)
def test_a_layer_without_a_counterpart_is_named(make: Any, reason: str) -> None:
    model = make()
    with pytest.raises(NotRebuiltError, match=reason):
        rebuild(model)
    found = prunable(model, generation=3)
    assert found.model is None
    assert "odd" in str(found.why)


def test_an_operation_without_a_counterpart_is_named() -> None:
    image = keras.Input(SHAPE)
    with pytest.raises(NotRebuiltError, match="the operation Sort has no counterpart"):
        rebuild(closed(keras, image, keras.ops.sort(image)))
    old = tf_keras.Input(SHAPE)
    with pytest.raises(NotRebuiltError, match=r"the function tf\.sort has no counterpart"):
        rebuild(closed(tf_keras, old, tf.sort(old)))
    with pytest.raises(NotRebuiltError, match="Divide of a tensor and a tensor"):
        rebuild(closed(keras, image, image / image))


def test_a_model_of_a_class_of_its_own_is_named() -> None:
    class Inner(tf_keras.Model):  # type: ignore[misc]
        def call(self, x: Any) -> Any:
            return x

    with pytest.raises(NotRebuiltError, match="a class of its own, Inner"):
        rebuild(of(tf_keras, Inner(name="odd")))


def test_what_matters_in_training_stays() -> None:
    """What is frozen, and penalties; what is left out is told."""
    image = keras.Input(SHAPE, name="photo")
    inner = keras.Sequential([keras.Input(SHAPE), keras.layers.RandomFlip(name="flip")], name="inner")
    x = keras.layers.Conv2D(
        4,
        3,
        name="conv",
        kernel_regularizer=keras.regularizers.L1L2(0.1, 0.2),
        kernel_constraint=keras.constraints.MaxNorm(3),
        bias_regularizer=lambda weight: 0 * weight,
    )(inner(image))
    x = keras.layers.DepthwiseConv2D(3, depthwise_constraint=keras.constraints.NonNeg(), name="depthwise")(x)
    x = keras.layers.BatchNormalization(gamma_regularizer="l2", name="norm")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(image, keras.layers.Dense(3, kernel_constraint="unit_norm", name="scores")(x), name="whole")
    model.get_layer("norm").trainable = False
    flat = rebuild(model)
    assert excess(model, flat) is None
    trained = {layer.name: layer.trainable for layer in flat.layers if layer.weights}
    assert trained == {"conv": True, "depthwise": True, "norm": False, "scores": True}
    conv, depthwise, norm, scores = (flat.get_layer(name) for name in trained)
    assert conv.kernel_regularizer.get_config() == pytest.approx({"l1": 0.1, "l2": 0.2})
    assert conv.kernel_constraint.get_config() == {"max_value": 3, "axis": 0}
    assert isinstance(depthwise.depthwise_constraint, tf_keras.constraints.NonNeg)
    assert norm.gamma_regularizer.get_config() == pytest.approx({"l2": 0.01})
    assert isinstance(scores.kernel_constraint, tf_keras.constraints.UnitNorm)
    assert len(flat.losses) == 2
    assert left_out(model) == ["'flip' (RandomFlip)", "the bias_regularizer of 'conv'"]
