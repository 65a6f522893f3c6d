from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tf_keras import layers

from converters.export import export_float, to_flatbuffer
from converters.quantization.lint import RULES, lint, lint_bytes
from converters.quantization.lint_view import kind_of
from converters.quantization.post_training import quantize
from edgeres.errors import ArtifactError
from edgeres.keras_file import read_keras_file
from edgeres.models import find_network
from targets.flatbuffer import walk
from targets.graph import Operator, Tensor
from tests.converters.quantization.lintable import (
    DENSE,
    FAR_JOIN,
    FEW,
    UNEVEN_SUM,
    Body,
    by_tensorflow,
    drop_activation,
    dynamic,
    float_in_the_middle,
    floating,
    graph_of,
    integer,
    norm_after_relu,
    norm_before_conv,
    norm_of_what_is_shared,
    of,
    one,
    pictures,
    plain,
    rescaled,
    shared_relus,
    split_relu,
    tensor,
)
from tests.targets.forge import forge

ASSETS = Path(__file__).parents[2] / "assets"


@pytest.mark.parametrize("name", ["resnet8", "resnet20"])
def test_the_trained_residual_networks_have_nothing_to_find(name: str) -> None:
    whole = export_float(read_keras_file(ASSETS / f"{name}-cifar10" / "model.keras"))
    assert lint_bytes(whole) == ()
    for mode in ("float16", "dynamic-int8", "int8"):
        assert lint_bytes(quantize(whole, mode, images=pictures(32, 255))) == ()  # type: ignore[arg-type]


def test_a_pre_activation_network_has_a_note_for_each_batch_norm() -> None:
    network = find_network("resnet20v2").build()
    source = np.random.default_rng(0)
    for layer in network.layers:
        if isinstance(layer, layers.BatchNormalization):  # a new one is a product with 1, which the converter drops
            layer.set_weights([source.uniform(0.5, 1.5, weights.shape) for weights in layer.get_weights()])
    found = lint_bytes(to_flatbuffer(network))
    assert len(found) == 10
    assert {(each.rule, each.severity) for each in found} == {("unfolded batch norm", "note")}
    assert [each.layer for each in found][:2] == ["stage1_block0_bn1", "stage1_block1_bn1"]


@pytest.mark.parametrize("mode", ["float16", "dynamic-int8", "int8"])
def test_what_a_file_is_follows_from_the_types_of_its_tensors(mode: Any) -> None:
    assert kind_of(walk(floating(plain))) == "float32"
    assert kind_of(walk(quantize(floating(plain), mode, images=pictures(8)))) == mode


def layer_of(weights: str, activations: str, *, unpacked: bool = False) -> tuple[tuple[Tensor, ...], list[Operator]]:
    stored = tensor((3, 4), weights, stored=True)
    tensors = (tensor((1, 4), activations), stored, tensor((1, 3), activations), tensor((3, 4), "float32"))
    unpack = [Operator("DEQUANTIZE", (1,), (3,))] if unpacked else []
    return tensors, [*unpack, Operator("FULLY_CONNECTED", (0, 3 if unpacked else 1, -1), (2,))]


@pytest.mark.parametrize(
    ("weights", "activations", "unpacked", "kind"),
    [
        *(("int8", "int16", False, "int16x8"), ("int4", "int8", False, "int4"), ("uint8", "uint8", False, "uint8")),
        *(("int4", "float32", False, "dynamic-int4"), ("int8", "float32", True, "weight-only-int8")),
        *(("float16", "float32", True, "float16"), ("float32", "float32", False, "float32")),
    ],
)
def test_what_a_layer_computes_in_has_a_name(weights: str, activations: str, unpacked: bool, kind: str) -> None:
    tensors, operators = layer_of(weights, activations, unpacked=unpacked)
    graph = graph_of(tensors, *operators)
    assert kind_of(graph) == kind
    assert lint(graph) == ()


def test_layers_that_are_left_in_float_do_not_change_what_a_file_is() -> None:
    tensors = (*(tensor((1, 4), "float32") for _ in range(4)), tensor((4, 4), "float32", stored=True))
    dense = [Operator("FULLY_CONNECTED", (i, 4, -1), (i + 1,)) for i in range(2)]
    assert kind_of(graph_of(tensors, *dense)) == "float32"
    small = tensor((4, 4), stored=True)
    assert kind_of(graph_of((*tensors, small), *dense, Operator("FULLY_CONNECTED", (2, 5, -1), (3,)))) == "dynamic-int8"
    assert kind_of(graph_of((tensor((1,)), tensor((1,))), Operator("RELU", (0,), (1,)))) == "int8"


@pytest.mark.parametrize("make", [floating, integer])
def test_a_relu_that_is_not_fused_is_found_at_its_convolution(make: Callable[[Body], bytes]) -> None:
    content = make(plain)
    found = one("unfused ReLU", forge(content, split_relu))
    assert found.layer == "first"
    assert "RELU is not fused into the CONV_2D" in found.consequence
    assert ("rounding" in found.consequence) == (make is integer)
    assert not of("unfused ReLU", content)


def test_a_relu_cannot_be_fused_where_something_else_reads_its_input() -> None:
    content = floating(shared_relus)
    assert {"RELU", "RELU6"} <= walk(content).kinds.keys()
    assert not of("unfused ReLU", content)


@pytest.mark.parametrize(("activation", "rules"), [("", ["unfused ReLU"]), ("RELU6", [])])
def test_a_relu_behind_an_operator_that_carries_an_activation_already_stays(activation: str, rules: list[str]) -> None:
    dense = Operator("FULLY_CONNECTED", (0, 1, -1), (2,), activation=activation)
    graph = graph_of((*DENSE[:3], tensor((1, 3))), dense, Operator("RELU", (2,), (3,)))
    assert [each.rule for each in lint(graph)] == rules


def test_a_batch_norm_that_could_be_folded_is_a_warning() -> None:
    found = one("unfolded batch norm", forge(floating(norm_after_relu), drop_activation))
    assert (found.layer, found.severity) == ("norm", "warning")
    assert "not folded into first" in found.consequence
    assert "rounding" not in found.consequence


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (norm_after_relu, "behind the RELU of its convolution"),
        (norm_before_conv, "that no convolution comes before"),
        (norm_of_what_is_shared, "also read elsewhere"),
    ],
)
def test_a_batch_norm_that_cannot_be_folded_is_a_note_that_says_why(body: Body, why: str) -> None:
    found = one("unfolded batch norm", integer(body))
    assert (found.layer, found.severity) == ("norm", "note")
    assert why in found.consequence
    assert "one scale for the factors of all channels" in found.consequence


@pytest.mark.parametrize("body", [plain, rescaled])
def test_a_folded_batch_norm_and_a_rescaling_are_none(body: Body) -> None:
    assert ("MUL" in walk(floating(body)).kinds) == (body is rescaled)
    assert not of("unfolded batch norm", floating(body))


def test_an_island_of_float_names_the_layers_in_it() -> None:
    found = one("float island", integer(float_in_the_middle))
    assert (found.layer, found.severity) == ("capped", "warning")
    assert "RELU6 of capped" in found.consequence
    assert not of("float operator", integer(float_in_the_middle))


def test_what_computes_in_float_throughout_has_neither_islands_nor_operators_left_in_float() -> None:
    half = quantize(floating(float_in_the_middle), "float16")
    for content in (integer(plain), floating(float_in_the_middle), dynamic(float_in_the_middle), half):
        assert not of("float island", content)
        assert not of("float operator", content)


def test_a_softmax_left_in_float_at_the_end_is_what_the_linter_advises() -> None:
    steps = (Operator("FULLY_CONNECTED", (0, 1, -1), (2,)), Operator("DEQUANTIZE", (2,), (3,)))
    softmax, other = (Operator(kind, (3,), (4,)) for kind in ("SOFTMAX", "TANH"))
    tensors = (*DENSE, tensor((1, 3), "float32"))
    assert lint(graph_of(tensors, *steps, softmax)) == ()
    (found,) = lint(graph_of(tensors, *steps, other))
    assert (found.rule, found.layer, found.severity) == ("float operator", "TANH_2", "note")
    assert "TANH computes in float in a file that is int8" in found.consequence


def test_a_pair_of_casts_around_nothing_is_an_island_without_layers() -> None:
    tensors = (*DENSE, tensor((1, 3)))
    casts = (Operator("DEQUANTIZE", (2,), (3,)), Operator("QUANTIZE", (3,), (4,)))
    (found,) = lint(graph_of(tensors, Operator("FULLY_CONNECTED", (0, 1, -1), (2,)), *casts))
    assert (found.rule, found.layer) == ("float island", "DEQUANTIZE_1")
    assert "the pair only rounds" in found.fix


def test_an_open_batch_is_found_and_a_fixed_one_is_not() -> None:
    first, second = lint_bytes(by_tensorflow(FEW))
    assert (first.rule, second.rule) == ("dynamic shape", "coarse softmax")
    assert "the batch is open (? x 8 x 8 x 3)" in first.consequence
    assert "image" in first.layer
    assert not of("dynamic shape", integer(FEW))


def test_open_sides_are_told_from_an_open_batch() -> None:
    image = Tensor("image", (1, 1, 1, 3), (1, -1, -1, 3), "float32", (), (), 0, 0, 0, False)
    (found,) = lint(graph_of((image, tensor((1, 1, 1, 3), "float32")), Operator("RELU", (0,), (1,))))
    assert (found.layer, "sides are open (1 x ? x ? x 3)" in found.consequence) == ("image", True)


def test_every_finding_says_what_to_do_and_comes_in_the_order_of_operators() -> None:
    found = [*lint_bytes(integer(UNEVEN_SUM)), *lint_bytes(integer(FAR_JOIN)), *lint_bytes(integer(norm_after_relu))]
    assert found
    for each in found:
        assert each.rule in RULES
        assert each.layer
        assert each.consequence
        assert each.fix
    layers_in_order = [each.layer for each in lint_bytes(integer(plain), per_tensor=True)]
    assert layers_in_order == ["first", "second", "scores"]


def test_operators_with_too_few_or_too_many_tensors_are_no_crash() -> None:
    """The walk checks the indices of an operator's tensors and not how many there are."""
    source = random.Random(0)
    refused = 0
    contents = [integer(float_in_the_middle), integer(FAR_JOIN), integer(FEW), floating(norm_after_relu)]
    for _ in range(120):

        def alter(model: Any) -> None:
            graph = model.subgraphs[0]
            for operator in source.sample(graph.operators, min(3, len(graph.operators))):
                count = source.randrange(3)
                operator.inputs = [source.choice([-1, *graph.inputs, *operator.inputs]) for _ in range(count)]
                operator.opcodeIndex = source.randrange(len(model.operatorCodes))
                if source.random() < 0.2:
                    operator.outputs = []

        content = forge(source.choice(contents), alter)
        try:
            walk(content)
        except ArtifactError:
            refused += 1
        else:
            lint_bytes(content, per_tensor=True)
    assert refused < 100


def test_a_malformed_file_is_refused() -> None:
    with pytest.raises(ArtifactError, match=r"not a \.tflite file"):
        lint_bytes(b"0123456789")
