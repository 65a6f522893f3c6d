from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tf_keras as keras

from converters.pruning.analysis import analyse
from converters.pruning.criteria import scores
from converters.pruning.selection import Rules, Selection
from converters.pruning.shrink import masked, require_equal, shrink
from edgeres.errors import ModelError
from edgeres.keras_io import prunable
from edgeres.models import find_network
from edgeres.models.cost import measure
from tests.converters.pruning import networks
from tests.converters.pruning.networks import BODIES, built, randomized


def prove(model: Any) -> float:
    """Prune to half of the MACs, prove the result equal to the masked network; the share of MACs that is left."""
    graph = analyse(model)
    before = measure(model)
    selection = Selection(graph, scores(model, graph, "l2"), Rules(multiple=2))
    kept = selection.within(0.5 * before.macs, graph.macs, what="MACs")
    small = shrink(model, graph, kept)
    require_equal(model, graph, kept, small)
    after = measure(small)
    assert (graph.macs(kept), graph.parameters(kept)) == (after.macs, after.parameters)
    assert [layer.name for layer in small.layers] == [layer.name for layer in model.layers]
    return after.macs / before.macs


@pytest.mark.parametrize("name", BODIES)
def test_the_shrunk_network_is_the_masked_one(name: str) -> None:
    assert prove(built(BODIES[name])) <= 0.5 or name == "normalized"


ZOO = {
    "resnet20": 32, "resnet20-A": 32, "resnet20-C": 32, "resnet20v2": 32, "plain20": 32, "resnet18": 32,
    "plain18": 32, "resnet50": 32, "resnet50v1": 32, "resnet50v2": 32, "vgg16": 32, "vgg19": 32, "alexnet": 63,
    "densenetbc100": 32, "densenet121": 32,
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", ZOO)
def test_of_every_family_of_the_zoo(name: str) -> None:
    network = find_network(name)
    model = network.build(width=0.25, classes=5, input_size=max(ZOO[name], network.smallest))
    assert prove(randomized(model)) == pytest.approx(0.5, abs=0.02)


APPLICATIONS = {
    "ResNet50": 32, "ResNet50V2": 32, "MobileNet": 32, "MobileNetV2": 32, "MobileNetV3Small": 32,
    "MobileNetV3Large": 32, "DenseNet121": 32, "EfficientNetB0": 32, "VGG16": 32, "InceptionV3": 75, "Xception": 71,
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", APPLICATIONS)
def test_of_keras_applications(name: str) -> None:
    side = APPLICATIONS[name]
    model = getattr(keras.applications, name)(weights=None, input_shape=(side, side, 3), classes=5)
    flat = prunable(model, generation=2).model
    assert prove(randomized(flat)) == pytest.approx(0.5, abs=0.01)


def test_the_masked_network_ignores_what_is_gone() -> None:
    model = built(networks.residual)
    graph = analyse(model)
    kept = graph.everything()
    kept[graph.groups[0].channels[::2]] = False
    kernel = masked(model, graph, kept).get_layer("one_conv1").get_weights()[0]
    assert not kernel[:, :, ::2].any()
    assert kernel[:, :, 1::2].any(axis=(0, 1, 3)).all()


def test_a_network_that_differs_is_never_accepted() -> None:
    model = built(networks.residual)
    graph = analyse(model)
    kept = graph.everything()
    kept[graph.groups[1].channels[:8]] = False
    small = shrink(model, graph, kept)
    kernel, bias = small.get_layer("scores").get_weights()
    small.get_layer("scores").set_weights([kernel, bias + 0.01])
    with pytest.raises(ModelError, match="differ from the masked one's"):
        require_equal(model, graph, kept, small)


def test_weights_are_those_of_the_kept_channels_in_order() -> None:
    model = built(networks.residual)
    graph = analyse(model)
    kept = graph.everything()
    kept[graph.groups[1].channels[[0, 3, 5]]] = False
    small = shrink(model, graph, kept)
    before, after = (each.get_layer("one_conv1").get_weights()[0] for each in (model, small))
    places = [place for place in range(24) if place not in (0, 3, 5)]
    np.testing.assert_array_equal(after, before[..., places])
    assert graph.record(kept) == {"one_conv1": tuple(places)}


def test_initializers_stay_what_they_were() -> None:
    model = built(networks.residual)
    graph = analyse(model)
    small = shrink(model, graph, graph.everything())
    assert small.get_layer("stem").get_config() == model.get_layer("stem").get_config()
