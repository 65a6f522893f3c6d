from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tf_keras
from tf_keras import layers

from converters.quantization import standalone_norms
from converters.quantization.standalone_norms import StandaloneNorm, stand_alone
from edgeres.errors import ModelError
from tests.converters.pruning.networks import randomized


def norm(x: Any, **options: Any) -> Any:
    return layers.BatchNormalization(name="norm", **options)(x)


def behind_a_convolution(image: Any) -> Any:
    return norm(layers.Conv2D(4, 3)(image))


def behind_a_convolution_that_is_read_twice(image: Any) -> Any:
    x = layers.Conv2D(4, 3)(image)
    return layers.Add()([x, norm(x)])


def behind_an_activation(image: Any) -> Any:
    return norm(layers.Conv2D(4, 3, activation="relu")(image))


def behind_a_sum(image: Any) -> Any:
    return norm(layers.Add()([image, image]), scale=False)


def of_vectors(image: Any) -> Any:
    return norm(layers.GlobalAveragePooling2D()(image), center=False)


def model(body: Callable[[Any], Any]) -> Any:
    image = tf_keras.Input((8, 8, 3))
    return randomized(tf_keras.Model(image, layers.Dense(2)(layers.Flatten()(body(image)))))


@pytest.mark.parametrize(
    ("body", "alone"),
    [
        (behind_a_convolution, False),
        (behind_a_convolution_that_is_read_twice, True),
        (behind_an_activation, True),
        (behind_a_sum, True),
        (of_vectors, True),
    ],
)
def test_a_norm_that_no_convolution_takes_up_stands_alone_and_computes_the_same(
    body: Callable[[Any], Any], alone: bool
) -> None:
    before = model(body)
    after = stand_alone(before)
    assert isinstance(after.get_layer("norm"), StandaloneNorm) == alone
    images = np.random.default_rng(0).normal(size=(4, 8, 8, 3)).astype(np.float32)
    for training in (False, True):
        found = after(images, training=training and alone).numpy()
        np.testing.assert_allclose(found, before(images).numpy(), rtol=1e-4, atol=1e-4)


def test_gamma_and_beta_are_trained_and_the_statistics_stay() -> None:
    layer = stand_alone(model(behind_a_sum)).get_layer("norm")
    assert [weight.name for weight in layer.trainable_weights] == ["norm/beta:0"]
    before = layer.moving_mean.numpy()
    layer(np.ones((2, 8, 8, 3), np.float32), training=True)
    np.testing.assert_array_equal(layer.moving_mean.numpy(), before)


def test_a_copy_that_computes_otherwise_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standalone_norms, "excess", lambda model, copy: 0.5)
    with pytest.raises(ModelError, match=r"with its batch norms as convolutions, the network's outputs differ by 0\.5"):
        stand_alone(model(behind_a_sum))
