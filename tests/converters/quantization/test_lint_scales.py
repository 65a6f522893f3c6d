from __future__ import annotations

import numpy as np
import pytest

from converters.export import to_flatbuffer
from converters.quantization.lint import lint
from converters.quantization.post_training import quantize
from edgeres.errors import TargetError
from targets.graph import Graph, Operator, Tensor
from targets.runtimes.cpu import CPU
from tests.converters.quantization.lintable import (
    EVEN_SUM,
    FAR_JOIN,
    FEW,
    MANY,
    NEAR_JOIN,
    UNEVEN_SUM,
    deep,
    dynamic,
    graph_of,
    integer,
    keras_model,
    of,
    one,
    one_scale_for_weights,
    pictures,
    plain,
    scale_inputs_of_join,
    tensor,
)
from tests.targets.forge import forge


def test_a_sum_of_a_wide_and_a_narrow_branch_names_the_one_that_loses() -> None:
    found = one("uneven sum", integer(UNEVEN_SUM))
    assert found.layer == "sum"
    assert "weak has a scale" in found.consequence
    assert "smaller than strong" in found.consequence
    assert not of("uneven sum", integer(EVEN_SUM))


def sum_of(ratio: float, dtype: str) -> Graph:
    tensors = (tensor((1, 4), dtype, 1 / ratio), tensor((1, 4), dtype, 1.0), tensor((1, 4), dtype))
    return graph_of(tensors, Operator("RELU", (0,), (1,)), Operator("ADD", (0, 1), (2,)))


@pytest.mark.parametrize(
    ("ratio", "dtype", "lost"), [(7.9, "int8", None), (8.1, "int8", "3.0 of its 8"), (2000, "int16", None)]
)
def test_a_sum_is_uneven_where_fewer_than_five_bits_are_left(ratio: float, dtype: str, lost: str | None) -> None:
    found = [each.consequence for each in lint(sum_of(ratio, dtype)) if each.rule == "uneven sum"]
    assert len(found) == (lost is not None)
    assert not lost or lost in found[0]
    assert [each.rule for each in lint(sum_of(2100, "int16"))] == ["uneven sum"]


def test_an_input_that_is_requantized_from_far_to_be_joined_loses_bits() -> None:
    found = one("uneven join", integer(FAR_JOIN))
    assert (found.layer, found.severity) == ("joint", "warning")
    assert "it loses" in found.consequence
    assert not of("requantization", integer(FAR_JOIN)), "one finding for one loss"


def test_an_input_that_is_requantized_by_little_is_a_note() -> None:
    found = one("requantization", integer(NEAR_JOIN))
    assert found.severity == "note"
    assert not of("uneven join", integer(NEAR_JOIN))
    assert not of("requantization", integer(EVEN_SUM))


def test_a_join_of_other_scales_is_what_runtimes_refuse() -> None:
    content = forge(integer(FAR_JOIN), scale_inputs_of_join)
    assert "refuse the file" in of("uneven join", content)[0].consequence
    with pytest.raises(TargetError, match="CONCATENATION"), CPU.open(content):
        pass
    with CPU.open(integer(FAR_JOIN)):
        pass


@pytest.mark.parametrize(("offset", "scale", "rules"), [(128, 0.1, []), (128, 0.2, ["requantization"])])
def test_a_cast_to_unsigned_is_lossless_where_the_scale_stays(offset: int, scale: float, rules: list[str]) -> None:
    unsigned = Tensor("", (1, 4), (1, 4), "uint8", (scale,), (offset,), 0, 0, 0, False)
    graph = graph_of((tensor((1, 4)), unsigned), Operator("QUANTIZE", (0,), (1,)))
    assert [each.rule for each in lint(graph)] == rules


def test_per_channel_weights_matter_to_targets_without_kernels_for_them() -> None:
    found = of("per-channel weights", integer(plain), per_tensor=True)
    assert [each.layer for each in found] == ["first", "second", "scores"]
    assert not of("per-channel weights", integer(plain))
    assert not of("per-channel weights", forge(integer(plain), one_scale_for_weights), per_tensor=True)


def test_a_softmax_in_int8_is_a_note_for_few_classes_and_a_warning_for_many() -> None:
    few, many = (one("coarse softmax", integer(body)) for body in (FEW, MANY))
    assert (few.severity, many.severity) == ("note", "warning")
    assert few.layer.startswith("SOFTMAX")
    assert "1/256" in few.consequence
    assert "300 classes" in many.consequence
    assert not of("coarse softmax", integer(plain))
    assert not of("coarse softmax", dynamic(MANY))


@pytest.mark.parametrize("scale", [1 / 256, 1 / 32768])
def test_a_softmax_is_as_coarse_when_it_is_cast_to_float_and_fine_in_int16(scale: float) -> None:
    dtype = "int8" if scale > 1e-3 else "int16"
    tensors = (tensor((1, 10), dtype), tensor((1, 10), dtype, scale), tensor((1, 10), "float32"))
    found = lint(graph_of(tensors, Operator("SOFTMAX", (0,), (1,)), Operator("DEQUANTIZE", (1,), (2,))))
    assert [each.rule for each in found] == (["coarse softmax"] if dtype == "int8" else [])


def test_a_layer_that_gave_only_zeros_is_found() -> None:
    model = keras_model(plain)
    dead = model.get_layer("second")
    dead.set_weights([0 * weights for weights in dead.get_weights()])
    found = of("dead activation", quantize(to_flatbuffer(model), "int8", images=pictures(8)))
    assert found[0].layer == "second"
    assert not of("dead activation", integer(plain))


def test_an_outlier_channel_is_found_where_it_begins() -> None:
    model = keras_model(deep)
    outlier, after = model.get_layer("c"), model.get_layer("d")
    (kernel, bias), (reading, other) = outlier.get_weights(), after.get_weights()
    kernel[..., 1], reading[:, :, 1] = np.abs(kernel[..., 1]) * 1000, reading[:, :, 1] / 1000
    outlier.set_weights([kernel, bias])
    after.set_weights([reading, other])
    found = one("wide activation", quantize(to_flatbuffer(model), "int8", images=pictures(8)))
    assert found.layer == "c"
    assert "times the median" in found.consequence
    assert "quantize.layers" in found.fix
    assert not of("wide activation", integer(deep))


def convolutions(*scales: float, image: float = 0.1) -> Graph:
    tensors = [tensor((1, 8, 8, 4), scale=image), tensor((4, 3, 3, 4), stored=True)]
    operators = []
    for scale in scales:
        tensors.append(tensor((1, 8, 8, 4), scale=scale))
        operators.append(Operator("CONV_2D", (0 if not operators else len(tensors) - 2, 1), (len(tensors) - 1,)))
    return graph_of(tuple(tensors), *operators)


@pytest.mark.parametrize(
    ("graph", "layers_found"),
    [
        (convolutions(0.1, 0.1, 7, 0.1, 0.1), ["CONV_2D_2"]),
        (convolutions(0.1, 0.1, 7, 8, 0.1, 0.1, 0.1), ["CONV_2D_2"]),
        (convolutions(0.1, 0.1, 6, 0.1, 0.1), []),
        (convolutions(7, 0.1, 0.1, 0.1, 0.1), ["CONV_2D_0"]),
        (convolutions(7, 0.1, 0.1, 0.1, 0.1, image=1), []),
    ],
)
def test_a_wide_scale_is_blamed_on_the_first_that_has_it_and_not_on_pixels(
    graph: Graph, layers_found: list[str]
) -> None:
    assert [each.layer for each in lint(graph) if each.rule == "wide activation"] == layers_found


def test_what_is_joined_is_not_blamed_for_the_scale_of_the_joint() -> None:
    scales = (0.1, 0.1, 7, 7, 7, 0.1, 0.1)
    tensors = (tensor((1, 4)), tensor((4, 4), stored=True), *(tensor((1, 4), scale=scale) for scale in scales))
    dense = [Operator("FULLY_CONNECTED", (0, 1), (i,)) for i in (2, 3, 4, 5, 7, 8)]
    found = lint(graph_of(tensors, *dense, Operator("CONCATENATION", (4, 5), (6,))))
    assert [(each.rule, each.layer) for each in found] == [("wide activation", "CONCATENATION_6")]
