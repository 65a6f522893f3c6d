from __future__ import annotations

import pytest

from targets.graph import Operator, Subgraph, Tensor
from targets.layer_names import layer_names


def graph(*operators: tuple[str, str, str]) -> Subgraph:
    """Operators, each with its weights' name ("" for none) and its output's."""
    names = [name for _, weights, output in operators for name in (weights, output)]
    tensors = tuple(
        Tensor(n, (1,), (1,), "float32", (), (), 0, 0, 4 * (i % 2 == 0), False) for i, n in enumerate(names)
    )
    made = tuple(
        Operator(kind, (-1, 2 * place) if weights else (-1,), (2 * place + 1,))
        for place, (kind, weights, _) in enumerate(operators)
    )
    return Subgraph("main", tensors, (), (), made)


@pytest.mark.parametrize(
    ("operator", "layer"),
    [
        (("CONV_2D", "net/conv/Conv2D", "net/relu/Relu;net/bn/FusedBatchNormV3;net/conv/Conv2D1"), "conv"),
        (("CONV_2D", "pseudo_qconst", "net/relu/Relu;net/bn/FusedBatchNormV3;net/conv/Conv2D1"), "conv"),
        (("DEPTHWISE_CONV_2D", "net/bn/mul", "net/relu/Relu6;net/dw/depthwise;net/pad/Pad"), "bn"),
        (("DEPTHWISE_CONV_2D", "", "net/relu/Relu6;net/dw/depthwise;net/pad/Pad"), "dw"),
        (("ADD", "", "net/relu/Relu;net/sum/add"), "sum"),
        (("FULLY_CONNECTED", "net/logits/MatMul", "StatefulPartitionedCall_1:0"), "logits"),
        (("MUL", "", "net/bn/batchnorm/mul_1"), "bn"),
        (("SOFTMAX", "", "StatefulPartitionedCall_1:0"), "SOFTMAX_0"),
    ],
)
def test_the_layer_of_an_operator(operator: tuple[str, str, str], layer: str) -> None:
    assert layer_names(graph(operator)) == (layer,)


def test_what_keras_3_adds_to_every_name_is_taken_off() -> None:
    found = graph(("CONV_2D", "", "net_1/conv_1/convolution"), ("ADD", "", "net_1/sum_1_1/Add"))
    assert layer_names(found) == ("conv", "sum_1")


def test_names_that_end_so_by_themselves_stay() -> None:
    found = graph(("CONV_2D", "", "net_1/conv_1/Conv2D"), ("ADD", "", "net_1/sum/add"))
    assert layer_names(found) == ("conv_1", "sum")


def test_what_tfmot_puts_before_every_name_is_taken_off() -> None:
    conv = ("CONV_2D", "", "net/quant_conv/Conv2D")
    assert layer_names(graph(conv, ("ADD", "", "net/quant_sum/add"))) == ("conv", "sum")
    assert layer_names(graph(conv, ("ADD", "", "net/sum/add"))) == ("quant_conv", "sum")
