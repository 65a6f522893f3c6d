from __future__ import annotations

from typing import Any

import pytest
import tf_keras as keras
from tf_keras import layers

from edgeres.models.cost import macs, measure, peak_activations


def graph(body: Any, shape: tuple[int, int, int] = (4, 4, 2)) -> keras.Model:
    inputs = keras.Input(shape, name="image")
    return keras.Model(inputs, body(inputs))


def test_peak_of_a_chain_is_its_largest_neighbours() -> None:
    # values: image 4·4·2 = 32, wide 4·4·8 = 128, narrow 4·4·3 = 48, pool 3
    model = graph(
        lambda x: layers.GlobalAveragePooling2D()(layers.Conv2D(3, 1)(layers.Conv2D(8, 3, padding="same")(x)))
    )
    assert peak_activations(model) == 128 + 48


def test_peak_holds_what_a_shortcut_keeps_alive() -> None:
    def residual(x: Any) -> Any:
        x = layers.Conv2D(4, 1, name="a")(x)  # 64
        y = layers.Conv2D(8, 1, name="b")(x)  # 128
        y = layers.Conv2D(4, 1, name="c")(y)  # 64
        return layers.Add(name="sum")([x, y])

    # while c runs: a (read by the sum later), b (read) and c (written)
    assert peak_activations(graph(residual)) == 64 + 128 + 64


def test_batch_norm_and_relu_take_no_tensor_of_their_own() -> None:
    def folded(x: Any) -> Any:
        x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(8, 1)(x)))
        return layers.GlobalAveragePooling2D()(x)

    assert peak_activations(graph(folded)) == 32 + 128
    assert measure(graph(folded)).arena_bytes == 4 * (32 + 128)


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (layers.Conv2D(8, 3, padding="same"), 4 * 4 * 9 * 2 * 8),
        (layers.Conv2D(8, 3, strides=2, padding="same"), 2 * 2 * 9 * 2 * 8),
        (layers.Conv2D(8, 3, padding="same", groups=2), 4 * 4 * 9 * 1 * 8),
        (layers.DepthwiseConv2D(3, padding="same", depth_multiplier=3), 4 * 4 * 9 * 2 * 3),
        (layers.SeparableConv2D(8, 3, padding="same"), 4 * 4 * (9 * 2 + 2 * 8)),
        (layers.Dense(5), 4 * 4 * 2 * 5),
        (layers.BatchNormalization(), 0),
        (layers.GlobalAveragePooling2D(), 0),
    ],
)
def test_macs_of_a_layer(layer: Any, expected: int) -> None:
    model = graph(layer)
    assert macs(model.layers[-1]) == expected
    assert measure(model).macs == expected


def test_weights_are_counted_with_batch_norm_folded() -> None:
    found = measure(graph(lambda x: layers.BatchNormalization()(layers.Conv2D(8, 3, use_bias=False)(x))))
    assert found.parameters == 9 * 2 * 8 + 2 * 8
    assert found.size_bytes == 4 * (9 * 2 * 8 + 8)  # the kernel, and the bias that the batch norm becomes
    without = measure(
        graph(lambda x: layers.BatchNormalization(scale=False, center=False)(layers.Conv2D(8, 3, use_bias=False)(x)))
    )
    assert without.size_bytes == found.size_bytes


@pytest.mark.parametrize("explicit", [True, False])
def test_a_sequential_model_costs_what_the_functional_one_does(explicit: bool) -> None:
    first = [keras.Input((4, 4, 2)), layers.Conv2D(8, 3)] if explicit else [layers.Conv2D(8, 3, input_shape=(4, 4, 2))]
    found = measure(keras.Sequential([*first, layers.GlobalAveragePooling2D(), layers.Dense(3)]))
    same = measure(graph(lambda x: layers.Dense(3)(layers.GlobalAveragePooling2D()(layers.Conv2D(8, 3)(x)))))
    assert (found.parameters, found.macs, found.size_bytes, found.arena_bytes) == (
        same.parameters,
        same.macs,
        same.size_bytes,
        same.arena_bytes,
    )
    assert found.macs == 2 * 2 * 9 * 2 * 8 + 8 * 3


def test_a_model_inside_a_model_counts_layer_by_layer() -> None:
    inner = graph(lambda x: layers.BatchNormalization()(layers.Conv2D(8, 3)(x)))
    found = measure(graph(lambda x: layers.Dense(3)(layers.GlobalAveragePooling2D()(inner(x)))))
    assert found.macs == 2 * 2 * 9 * 2 * 8 + 8 * 3
    assert found.parameters == (9 * 2 * 8 + 8 + 16) + (8 * 3 + 3)
    assert found.size_bytes == 4 * (9 * 2 * 8 + 8 + 8 * 3 + 3)  # the batch norm goes into the bias there is


def test_a_batch_norm_that_no_convolution_feeds_alone_keeps_a_factor_and_a_bias() -> None:
    first = measure(graph(lambda x: layers.Conv2D(8, 3, use_bias=False)(layers.BatchNormalization()(x))))
    assert first.size_bytes == 4 * (9 * 2 * 8 + 2 + 2)

    def shared(x: Any) -> Any:
        x = layers.Conv2D(8, 3, use_bias=False)(x)
        return layers.Add()([x, layers.BatchNormalization()(x)])

    assert measure(graph(shared)).size_bytes == 4 * (9 * 2 * 8 + 8 + 8)
