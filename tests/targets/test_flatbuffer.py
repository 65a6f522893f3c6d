from __future__ import annotations

import math
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgeres.errors import ArtifactError
from edgeres.records import dump, encode
from targets.flatbuffer import describe, walk
from targets.layer_names import layer_names
from targets.schema import FUSED
from tests.targets.conftest import Models
from tests.targets.forge import activation, call, constant, forge, shared_operators

WRITTEN = [
    *("float32", "float16", "buffer_offset", "int16", "sparse", "int8", "dynamic_int8", "int4", "while_loop"),
    *("two_inputs", "two_outputs", "batch_of_8", "map_to_map", "open_size", "logarithm"),
]


@pytest.mark.parametrize("name", WRITTEN)
def test_files_of_the_converter_and_the_quantizer_are_accepted(models: Models, name: str) -> None:
    graph = walk(models(name))
    assert graph.size_bytes == len(models(name))
    assert sum(graph.kinds.values()) == sum(len(part.operators) for part in graph.subgraphs)
    assert 0 < graph.arena_bytes < 100_000


@pytest.mark.parametrize("name", ["float32", "int8", "while_loop", "buffer_offset"])
def test_the_walk_finds_what_the_generated_schema_finds(models: Models, name: str) -> None:
    content = models(name)
    graph, other = walk(content), schema.ModelT.InitFromPackedBuf(content, 0)
    assert len(graph.subgraphs) == len(other.subgraphs)
    for mine, theirs in zip(graph.subgraphs, other.subgraphs, strict=True):
        assert [t.name for t in mine.tensors] == [t.name.decode() for t in theirs.tensors]
        assert [t.shape for t in mine.tensors] == [tuple(() if t.shape is None else t.shape) for t in theirs.tensors]
        assert [o.inputs for o in mine.operators] == [tuple(o.inputs) for o in theirs.operators]
        assert [o.outputs for o in mine.operators] == [tuple(o.outputs) for o in theirs.operators]
        scales = [
            () if t.quantization is None or t.quantization.scale is None else tuple(t.quantization.scale)
            for t in theirs.tensors
        ]
        assert [t.scales for t in mine.tensors] == scales


def fused(operator: Any) -> str:
    """The activation of an operator as the generated schema reads it."""
    code = getattr(operator.builtinOptions, "fusedActivationFunction", 0)
    (name,) = [name for name, value in vars(schema.ActivationFunctionType).items() if value == code]
    return "" if name == "NONE" else str(name)


@pytest.mark.parametrize("name", ["float32", "int8", "dynamic_int8", "two_inputs"])
def test_the_activation_of_an_operator_is_what_the_generated_schema_finds(models: Models, name: str) -> None:
    graph, other = walk(models(name)).main, schema.ModelT.InitFromPackedBuf(models(name), 0).subgraphs[0]
    found = [operator.activation for operator in graph.operators]
    assert found == [fused(operator) for operator in other.operators]
    assert ("RELU" in found) == (name != "two_inputs")


@pytest.mark.parametrize("kind", FUSED)
def test_each_operator_that_carries_an_activation_is_read_from_its_own_options(models: Models, kind: str) -> None:
    number, _ = FUSED[kind]
    (options,) = [name for name, value in vars(schema.BuiltinOptions).items() if value == number]

    def carry(code: int) -> bytes:
        def change(model: Any) -> None:
            operator = model.subgraphs[0].operators[0]
            model.operatorCodes[operator.opcodeIndex].builtinCode = getattr(schema.BuiltinOperator, kind)
            model.operatorCodes[operator.opcodeIndex].deprecatedBuiltinCode = 0
            operator.builtinOptionsType = number
            operator.builtinOptions = getattr(schema, f"{options}T")()
            operator.builtinOptions.fusedActivationFunction = code

        return forge(models("float32"), change)

    found = [walk(carry(code)).main.operators[0] for code in (0, 1, 3, 5, 6, -1)]
    assert {operator.kind for operator in found} == {kind}
    names = ["", "RELU", "RELU6", "SIGN_BIT", "ACTIVATION_6", "ACTIVATION_-1"]
    assert [operator.activation for operator in found] == names


def test_an_operator_with_the_options_of_another_has_no_activation(models: Models) -> None:
    def change(model: Any) -> None:
        operator = model.subgraphs[0].operators[0]
        operator.builtinOptionsType, operator.builtinOptions = schema.BuiltinOptions.AddOptions, schema.AddOptionsT()
        operator.builtinOptions.fusedActivationFunction = 1

    operator = walk(forge(models("float32"), change)).main.operators[0]
    assert (operator.kind, operator.activation) == ("CONV_2D", "")


def test_the_summary_of_a_float_model(models: Models) -> None:
    graph = walk(models("float32"))
    assert graph.kinds == {"CONV_2D": 4, "FULLY_CONNECTED": 2, "ADD": 1, "MEAN": 1, "SOFTMAX": 1}
    (image,), (scores,) = graph.inputs, graph.outputs
    assert (image.shape, image.signature, image.dtype) == ((1, 16, 16, 3), (-1, 16, 16, 3), "float32")
    assert (scores.shape, scores.scales) == ((1, 4), ())
    assert [operator.kind for operator in graph.main.operators][-1] == "SOFTMAX"
    # Kernels and dense weights; of the biases, all zero, one for each length that a kernel needs; MEAN's two axes.
    assert graph.parameter_bytes == 4 * (216 + 1152 + 2304 + 128 + 1024 + 256 + 8 + 16 + 2)
    # While the stem's successors run: its output (16·16·8), which the projection needs too, and two of 8·8·16.
    assert graph.arena_bytes == 4 * 16 * 16 * 8 * 2


def test_the_summary_of_an_int8_model(models: Models) -> None:
    graph = walk(models("int8"))
    (image,), (scores,) = graph.inputs, graph.outputs
    assert (image.dtype, scores.dtype, len(image.scales), scores.zero_points) == ("int8", "int8", 1, (-128,))
    weights = next(t for t in graph.main.tensors if t.constant and t.shape == (16, 3, 3, 8))
    assert (len(weights.scales), weights.axis, set(weights.zero_points)) == (16, 0, {0})
    assert graph.arena_bytes * 4 == walk(models("float32")).arena_bytes


def test_constants_that_are_unpacked_to_float_take_no_arena(models: Models) -> None:
    assert walk(models("float16")).arena_bytes == walk(models("float32")).arena_bytes
    assert walk(models("float16")).parameter_bytes < 0.51 * walk(models("float32")).parameter_bytes


def test_a_loop_s_arena_counts_its_body(models: Models) -> None:
    graph = walk(models("while_loop"))
    calls = [operator.calls for operator in graph.main.operators if operator.calls]
    assert [len(indices) for indices in calls] == [2]
    assert len(graph.subgraphs) == 3


def test_describe_is_json_able_and_agrees_with_the_walk(models: Models) -> None:
    content = models("int8")
    found, graph = describe(content), walk(content)
    assert dump(found).startswith("{")
    port = encode(found)["inputs"][0]
    assert port == {
        "name": graph.inputs[0].name,
        "shape": [-1, 16, 16, 3],
        "dtype": "int8",
        "scale": graph.inputs[0].scales[0],
        "zero_point": graph.inputs[0].zero_points[0],
    }
    assert [layer.kind for layer in found.layers] == [operator.kind for operator in graph.main.operators]
    assert [layer.layer for layer in found.layers] == list(layer_names(graph.main))
    assert sum(found.constants.values()) == found.parameter_bytes == graph.parameter_bytes
    assert found.minimum_runtime == "1.6.0"


def refused(content: bytes) -> str:
    with pytest.raises(ArtifactError) as caught:
        walk(content)
    assert caught.value.fix
    return caught.value.message


def refusal(content: bytes) -> str | None:
    try:
        describe(content)
    except ArtifactError as error:
        return error.message
    return None


@pytest.mark.parametrize("content", [b"", b"TFL3", b"\x10\0\0\0", b"PK\3\4 and some more of a zip", b"\0" * 64])
def test_other_files_are_refused_by_their_identifier(content: bytes) -> None:
    assert "not a .tflite file" in refused(content)


def test_a_truncated_file_is_refused_at_every_length(models: Models) -> None:
    content = models("float32")
    for length in [*range(8, 400), *range(400, len(content), 97), len(content) - 1]:
        assert "not a well-formed .tflite" in refused(content[:length])


Change = Callable[[Any], object]

FORGED: dict[str, tuple[Change, str]] = {
    "version": (lambda m: setattr(m, "version", 4), "schema version 3, found 4"),
    "no subgraph": (lambda m: setattr(m, "subgraphs", []), "it has no subgraph"),
    "negative dimension": (lambda m: setattr(activation(m), "shape", [1, -2, 3, 4]), "negative dimension"),
    "huge tensor": (
        lambda m: setattr(activation(m), "shape", [1, 65536, 65536, 8]),
        "more than 2,147,483,648 elements",
    ),
    "large tensor": (lambda m: setattr(activation(m), "shape", [1, 32768, 65536, 1]), "more than the 2,147,483,648"),
    "many dimensions": (lambda m: setattr(activation(m), "shape", [1] * 17), "17 dimensions"),
    "empty activation": (lambda m: setattr(activation(m), "shape", [1, 0, 16, 8]), "is empty"),
    "signature of another rank": (lambda m: setattr(activation(m), "shapeSignature", [-1, 16]), "shape signature"),
    "signature below -1": (lambda m: setattr(activation(m), "shapeSignature", [-2, 8, 8, 8]), "shape signature"),
    "tensor type": (lambda m: setattr(activation(m), "type", 99), "tensor type 99 does not exist"),
    "buffer of a tensor": (lambda m: setattr(activation(m), "buffer", 9999), "buffer 9999 does not exist"),
    "external buffer": (lambda m: setattr(activation(m), "externalBuffer", 1), "in another file"),
    "short constant": (lambda m: setattr(constant(m), "shape", [99, 3, 3, 3]), "its buffer"),
    "constant of another type": (lambda m: setattr(constant(m), "type", schema.TensorType.FLOAT64), "float64 constant"),
    "constant variable": (lambda m: setattr(constant(m), "isVariable", True), "both a constant and a variable"),
    "data in buffer 0": (lambda m: setattr(m.buffers[0], "data", [1, 2]), "buffer 0: must be empty"),
    "operator code": (lambda m: setattr(m.subgraphs[0].operators[0], "opcodeIndex", 77), "operator code 77"),
    "negative operator": (
        lambda m: (
            setattr(m.operatorCodes[0], "builtinCode", -5),
            setattr(m.operatorCodes[0], "deprecatedBuiltinCode", -1),
        ),
        "operator code -1 is negative",
    ),
    "custom without a name": (
        lambda m: setattr(m.operatorCodes[0], "builtinCode", 32),
        "custom operator without a name",
    ),
    "input of an operator": (lambda m: setattr(m.subgraphs[0].operators[0], "inputs", [0, 12345]), "input 12345"),
    "output of an operator": (lambda m: setattr(m.subgraphs[0].operators[0], "outputs", [-1]), "output -1"),
    "intermediate": (lambda m: setattr(m.subgraphs[0].operators[0], "intermediates", [999]), "intermediate 999"),
    "input of the graph": (lambda m: setattr(m.subgraphs[0], "inputs", [-1]), "input -1"),
    "output of the graph": (lambda m: setattr(m.subgraphs[0], "outputs", [4000]), "output 4000"),
    "operators out of order": (lambda m: m.subgraphs[0].operators.reverse(), "before any operator writes it"),
    "an output nobody writes": (lambda m: m.subgraphs[0].operators.pop(), "no operator writes the output"),
    "written twice": (
        lambda m: m.subgraphs[0].operators.append(m.subgraphs[0].operators[0]),
        "which holds a value already",
    ),
    "a constant is written": (
        lambda m: setattr(m.subgraphs[0].operators[0], "outputs", [m.subgraphs[0].operators[0].inputs[1]]),
        "which holds a value already",
    ),
    "the input is written": (
        lambda m: setattr(m.subgraphs[0].operators[0], "outputs", m.subgraphs[0].inputs),
        "which holds a value already",
    ),
    "custom options behind the file": (
        lambda m: (
            setattr(m.subgraphs[0].operators[0], "largeCustomOptionsOffset", 1 << 40),
            setattr(m.subgraphs[0].operators[0], "largeCustomOptionsSize", 8),
        ),
        "its custom options end at byte",
    ),
    "metadata's buffer": (lambda m: setattr(m.metadata[0], "buffer", 1 << 30), "does not exist"),
    "signature's subgraph": (lambda m: setattr(m.signatureDefs[0], "subgraphIndex", 3), "subgraph 3 does not exist"),
    "signature's tensor": (lambda m: setattr(m.signatureDefs[0].inputs[0], "tensorIndex", 999), "tensor 999"),
    "a subgraph that does not exist": (lambda m: call(m, 9), "CALL_ONCE runs subgraph 9"),
    "a negative subgraph": (lambda m: call(m, -1), "CALL_ONCE runs subgraph -1"),
    "a subgraph that runs itself": (lambda m: call(m, 0), "runs itself"),
    "options of another type": (
        lambda m: (call(m, 0), setattr(m.subgraphs[0].operators[-1], "builtinOptionsType", 1)),
        "CALL_ONCE needs options of type 103",
    ),
}


@pytest.mark.parametrize("case", FORGED)
def test_a_forged_float_model_is_refused(models: Models, case: str) -> None:
    change, message = FORGED[case]
    assert message in refused(forge(models("float32"), change))


def quantization(**values: Any) -> Change:
    def change(model: Any) -> None:
        for name, value in values.items():
            setattr(activation(model).quantization, name, value)

    return change


QUANTIZED: dict[str, tuple[Change, str]] = {
    "not a number": (quantization(scale=[math.nan]), "scale nan"),
    "infinite": (quantization(scale=[math.inf]), "scale inf"),
    "negative": (quantization(scale=[-0.5]), "scale -0.5"),
    "zero": (quantization(scale=[0.0]), "scale 0.0"),
    "dimension": (quantization(quantizedDimension=4), "quantized dimension 4"),
    "negative dimension": (quantization(quantizedDimension=-1), "quantized dimension -1"),
    "number of scales": (quantization(scale=[0.1] * 5, zeroPoint=[0] * 5, quantizedDimension=3), "5 scales"),
    "number of zero points": (quantization(zeroPoint=[0, 0, 0]), "3 zero points for 1 scales"),
    "zero point": (quantization(zeroPoint=[300]), "zero point outside -128 … 127"),
    "blockwise": (quantization(detailsType=2, details=None), "blockwise"),
}


@pytest.mark.parametrize("case", QUANTIZED)
def test_a_forged_quantization_is_refused(models: Models, case: str) -> None:
    change, message = QUANTIZED[case]
    assert message in refused(forge(models("int8"), change))


def test_a_forged_file_without_a_fault_is_accepted(models: Models) -> None:
    assert walk(forge(models("int8"), lambda model: None)).kinds == walk(models("int8")).kinds


def test_a_scale_of_zero_is_accepted_in_a_constant_alone(models: Models) -> None:
    scales = [t.scales for t in walk(models("int16")).main.tensors if 0.0 in t.scales]
    assert scales  # the bias of the channel whose weights are all zero
    forged = forge(models("int16"), lambda model: setattr(activation(model).quantization, "scale", [0.0]))
    assert "scale 0.0" in refused(forged)


def test_subgraphs_that_run_each_other_are_refused(models: Models) -> None:
    def change(model: Any) -> None:
        body = next(i for i, graph in enumerate(model.subgraphs) if i and len(graph.operators) > 1)
        call(model, body)
        model.subgraphs[body].operators.append(model.subgraphs[0].operators.pop())
        model.subgraphs[body].operators[-1].builtinOptions.initSubgraphIndex = 0

    assert "runs itself" in refused(forge(models("while_loop"), change))


def test_a_buffer_behind_the_flatbuffer_must_lie_in_the_file(models: Models) -> None:
    content = models("buffer_offset")
    end = max(buffer.offset + buffer.size for buffer in schema.ModelT.InitFromPackedBuf(content, 0).buffers)
    assert walk(content[:end]).parameter_bytes == walk(models("float32")).parameter_bytes
    assert "its data ends at byte" in refused(content[: end - 1])


def test_names_with_control_characters_are_made_printable(models: Models) -> None:
    forged = forge(models("float32"), lambda m: setattr(activation(m), "name", b"\x1b[31mred\n\xff"))
    assert "\ufffd[31mred\ufffd\ufffd" in [tensor.name for tensor in walk(forged).main.tensors]


def test_operators_of_a_later_schema_are_named_by_their_number(models: Models) -> None:
    forged = forge(models("float32"), lambda m: setattr(m.operatorCodes[0], "builtinCode", 250))
    assert "BUILTIN_250" in walk(forged).kinds


def test_a_small_file_cannot_ask_for_endless_work() -> None:
    assert walk(shared_operators(operators=3, inputs=2)).kinds == {"ADD": 3}
    assert "more than 4,000,000 elements" in refused(shared_operators(operators=100_000, inputs=10_000))


def mutated(content: bytes, seed: int) -> bytes:
    """A few random faults: flipped bits, overwritten numbers, copied, removed and inserted regions."""
    random = np.random.default_rng(seed)
    found = bytearray(content)
    for _ in range(int(random.integers(1, 5))):
        start, other = (int(at) for at in random.integers(0, len(found), 2))
        length = int(random.integers(1, 64))
        kind = random.integers(0, 6)
        if kind == 0:
            found[start] ^= 1 << int(random.integers(0, 8))
        elif kind == 1:
            number = int(random.choice([0, 1, 0x7F, 0xFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 0x80000000]))
            found[start : start + 4] = struct.pack("<I", number)
        elif kind == 2:
            found[start : start + length] = found[other : other + length]
        elif kind == 3:
            del found[start : start + length]
        elif kind == 4:
            found[start:start] = random.bytes(length)
        else:
            found[start : start + length] = random.bytes(length)
        if not found:
            break
    return bytes(found)


@pytest.mark.parametrize("name", ["float32", "int8", "while_loop", "sparse", "buffer_offset"])
def test_mutated_files_give_a_summary_or_an_artifact_error(models: Models, name: str) -> None:
    content = models(name)
    refusals = [refusal(mutated(content, seed)) for seed in range(400)]
    assert sum(found is not None for found in refusals) > 40


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_number_at_any_place_gives_a_summary_or_an_artifact_error(models: Models, data: st.DataObject) -> None:
    content = bytearray(models("while_loop"))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(content) // 4 - 1)) * 4
        content[at : at + 4] = data.draw(st.binary(min_size=4, max_size=4))
    content[4:8] = b"TFL3"
    found = refusal(bytes(content))
    assert found is None or "not a well-formed" in found


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_after_the_identifier_give_an_artifact_error(tail: bytes) -> None:
    for start in (8, 12, 16):
        refused(struct.pack("<I", start) + b"TFL3" + tail)
