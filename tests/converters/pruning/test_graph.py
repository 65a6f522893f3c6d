from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tf_keras as keras
from tf_keras import layers

from converters.pruning.analysis import analyse
from converters.pruning.graph import FIXED
from edgeres.errors import ModelError
from edgeres.models import find_network
from edgeres.models.cost import measure, peak_activations
from tests.converters.pruning import networks
from tests.converters.pruning.networks import BODIES, built


def groups(body: Any) -> dict[str, tuple[int, tuple[str, ...]]]:
    """Name -> size and producers of each group."""
    return {group.name: (group.size, group.producers) for group in analyse(built(body)).groups}


@pytest.mark.parametrize("name", BODIES)
def test_it_counts_what_the_model_costs(name: str) -> None:
    model = built(BODIES[name])
    graph = analyse(model)
    cost = measure(model)
    assert graph.macs(graph.everything()) == cost.macs
    assert graph.parameters(graph.everything()) == cost.parameters
    assert peak_activations(model, smaller=graph.activations(graph.everything())) == peak_activations(model)


def test_a_sum_makes_a_stream_of_its_producers() -> None:
    found = groups(networks.residual)
    assert found == {
        "stem": (16, ("stem", "one_conv2", "two_conv2")),
        "one_conv1": (24, ("one_conv1",)),
        "two_conv1": (24, ("two_conv1",)),
    }
    graph = analyse(built(networks.residual))
    assert [group.joined for group in graph.groups] == [True, False, False]


def test_a_concatenation_keeps_its_operands_apart() -> None:
    found = groups(networks.dense_block)
    assert {name: size for name, (size, _) in found.items()} == {
        "stem": 8, "grow0": 16, "grow1": 16, "grow2": 16, "transition": 16,
    }  # fmt: skip
    graph = analyse(built(networks.dense_block))
    parts = [graph.layers[name].output.tolist() for name in ("stem", "grow0", "grow1")]
    assert graph.layers["join1"].output.tolist() == [channel for part in parts for channel in part]


def test_a_depthwise_convolution_and_a_gate_bind_channels_without_a_stream() -> None:
    graph = analyse(built(networks.inverted))
    found = {group.name: group for group in graph.groups}
    assert found["expand"].producers == ("expand", "gate_expand")
    assert found["expand"].size == 16  # of the gate's 32 outputs, two belong to each
    assert found["gate_reduce"].size == 8
    assert not found["expand"].joined
    assert graph.layers["depthwise"].output.tolist() == np.repeat(graph.layers["expand_relu"].output, 2).tolist()


def test_flattened_positions_belong_to_their_channel() -> None:
    graph = analyse(built(networks.flattened))
    assert graph.layers["flatten"].output.tolist() == graph.layers["conv"].output.tolist() * 16


def test_zeros_that_are_added_go_with_what_they_are_added_to() -> None:
    graph = analyse(built(networks.padded_shortcut))
    assert {group.producers: group.size for group in graph.groups} == {
        ("stem", "wide"): 16,
        ("narrow",): 16,
        ("pad", "wide"): 16,
        ("after",): 16,
    }
    assert graph.layers["sum"].output.tolist() == graph.layers["pad"].output.tolist()


def test_what_a_layer_reads_twice_is_one() -> None:
    assert groups(networks.shared) == {"stem": (16, ("stem", "twice"))}


def test_what_is_normalized_across_channels_or_convolved_in_groups_stays() -> None:
    graph = analyse(built(networks.normalized))
    assert [group.name for group in graph.groups] == ["free"]
    assert set(graph.layers["stem"].output) == {FIXED}


def test_the_image_and_the_scores_stay() -> None:
    graph = analyse(built(networks.residual))
    stem = next(weight for weight in graph.weights if weight.layer == "stem")
    assert stem.read is not None
    assert set(stem.read) == {FIXED}
    assert set(graph.layers["scores"].output) == {FIXED}


def test_groups_that_overlap_have_names_of_their_own() -> None:
    assert groups(networks.overlapping) == {
        "stem": (24, ("stem", "left")),
        "right": (8, ("stem", "right")),
        "after": (16, ("after",)),
    }


def test_a_layer_without_weights_binds_nothing_by_being_called_twice() -> None:
    assert groups(networks.shared_relu) == {"narrow": (16, ("narrow",)), "wide": (32, ("wide",))}


def test_a_layer_with_weights_called_for_other_channels_is_refused() -> None:
    scale = layers.PReLU(shared_axes=[1, 2, 3], name="slopes")
    with pytest.raises(ModelError, match="'slopes' cannot be pruned around: it is called for different numbers"):
        analyse(built(lambda image: scale(layers.Conv2D(32, 3)(scale(layers.Conv2D(16, 3)(image))))))


@pytest.mark.parametrize(("name", "count"), [("resnet20", 12), ("plain20", 19), ("resnet20-A", 12), ("resnet20v2", 12)])
def test_groups_of_the_zoo(name: str, count: int) -> None:
    graph = analyse(find_network(name).build(width=0.5))
    assert len(graph.groups) == count


def test_the_stage_of_a_residual_network_is_one_group() -> None:
    graph = analyse(find_network("resnet20").build(width=0.5))
    stage = next(group for group in graph.groups if "stage2_block1_conv2" in group.producers)
    assert stage.producers == (
        "stage2_block0_conv2", "stage2_block0_shortcut_conv", "stage2_block1_conv2", "stage2_block2_conv2",
    )  # fmt: skip


def test_an_unknown_layer_is_named() -> None:
    class Doubled(layers.Layer):  # type: ignore[misc]
        def call(self, x: Any) -> Any:
            return 2 * x

    model = built(lambda image: Doubled(name="doubled")(networks.conv(image, 8, "stem")))
    with pytest.raises(ModelError, match="the layer 'doubled' cannot be pruned around: Doubled"):
        analyse(model)


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (layers.Permute((2, 3, 1), name="odd"), "Permute is not a layer"),
        (layers.Reshape((4, 4, 32), name="odd"), r"a Reshape from \(8, 8, 8\) to \(4, 4, 32\) mixes"),
        (layers.BatchNormalization(axis=1, name="odd"), r"it normalizes along axis \[1\]"),
        (layers.Conv2D(8, 1, activation=layers.PReLU(), name="odd"), "its activation is a layer itself, PReLU"),
        (layers.MaxPooling2D(2, data_format="channels_first", name="odd"), "MaxPooling2D with its channels first"),
        (layers.ZeroPadding2D(((1, 0), (0, 0)), data_format="channels_first", name="odd"), "ZeroPadding2D with its"),
    ],
)
def test_what_moves_channels_elsewhere_is_refused(layer: Any, words: str) -> None:
    model = built(lambda image: layer(networks.conv(image, 8, "stem")))
    with pytest.raises(ModelError, match=f"'odd' cannot be pruned around: {words}"):
        analyse(model)


def test_a_model_of_a_class_of_its_own_is_refused() -> None:
    class Own(keras.Model):  # type: ignore[misc]
        def call(self, x: Any) -> Any:
            return x

    with pytest.raises(ModelError, match="has no graph of layers"):
        analyse(Own(name="own"))
