from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from converters.pruning.analysis import analyse
from converters.pruning.criteria import scores
from converters.pruning.graph import FIXED
from edgeres.errors import ConfigError
from tests.converters.pruning import networks
from tests.converters.pruning.networks import built


def batches(count: int = 2) -> list[Any]:
    random = np.random.default_rng(0)
    return [
        (tf.constant(random.uniform(size=(8, 8, 8, 3)), tf.float32), tf.constant(random.integers(0, 4, 8)))
        for _ in range(count)
    ]


@pytest.mark.parametrize("criterion", ["l1", "l2", "bn-scale", "taylor", "random"])
def test_scores_are_relative_to_their_group(criterion: Any) -> None:
    model = built(networks.residual)
    graph = analyse(model)
    found = scores(model, graph, criterion, batches=batches())
    assert found.shape == (graph.count,)
    assert found[FIXED] == np.inf
    for group in graph.groups:
        assert found[group.channels].mean() == pytest.approx(1)
        assert (found[group.channels] >= 0).all()
        assert len(set(found[group.channels])) > group.size // 2


@pytest.mark.parametrize("criterion", ["l1", "l2"])
def test_small_filters_score_low_and_all_layers_of_a_stream_count(criterion: Any) -> None:
    model = built(networks.residual)
    graph = analyse(model)
    stream = graph.groups[0]
    for name in stream.producers:
        layer = model.get_layer(name)
        kernel, *rest = layer.get_weights()
        kernel[..., 3] = 0
        layer.set_weights([kernel, *rest])
    kernel, *rest = model.get_layer("stem").get_weights()
    kernel[..., 5] = 0
    model.get_layer("stem").set_weights([kernel, *rest])
    found = scores(model, graph, criterion)[stream.channels]
    assert found[3] == 0
    assert np.argsort(found)[1] == 5  # two layers of three still produce it
    assert found[5] > 0.4


def test_bn_scale_is_that_of_the_batch_norms() -> None:
    model = built(networks.residual)
    graph = analyse(model)
    gamma = np.abs(model.get_layer("one_conv1_bn").gamma.numpy())
    np.testing.assert_allclose(
        scores(model, graph, "bn-scale")[graph.groups[1].channels], gamma / gamma.mean(), rtol=1e-6
    )


def test_bn_scale_without_batch_norm_is_an_error() -> None:
    model = built(networks.separable)
    with pytest.raises(ConfigError, match="'separable' has none"):
        scores(model, analyse(model), "bn-scale")


def test_bn_scale_asks_only_of_what_may_go() -> None:
    model = built(networks.separable)
    graph = analyse(model)
    free = [group for group in graph.groups if group.name == "stem"]
    assert scores(model, graph, "bn-scale", groups=free)[free[0].channels].mean() == pytest.approx(1)


def test_taylor_is_the_change_of_the_loss_to_first_order() -> None:
    model = built(networks.residual)
    graph = analyse(model)
    (inputs, classes), group = batches(1)[0], graph.groups[1]
    found = scores(model, graph, "taylor", batches=[(inputs, classes)])[group.channels]

    reader = model.get_layer("one_conv2")
    kernel, bias = reader.get_weights()

    def loss(gate: float, channel: int) -> float:
        gated = kernel.copy()
        gated[:, :, channel] *= gate
        reader.set_weights([gated, bias])
        logits = model(inputs, training=False)
        return float(tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(classes, logits)))

    slopes = np.array([(loss(1.01, channel) - loss(0.99, channel)) / 0.02 for channel in range(group.size)])
    np.testing.assert_allclose(found, slopes**2 / (slopes**2).mean(), rtol=0.1, atol=0.02)


def test_taylor_without_images_is_an_error() -> None:
    model = built(networks.residual)
    with pytest.raises(ConfigError, match="needs labelled images"):
        scores(model, analyse(model), "taylor")


def test_random_follows_from_its_seed() -> None:
    model = built(networks.residual)
    graph = analyse(model)
    one, same, other = (scores(model, graph, "random", seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)
