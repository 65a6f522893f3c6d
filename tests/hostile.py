"""Files that somebody made to break what reads them: seeded mutants of real models, and some made by hand."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tests.targets.forge import activation, constant, forge, shared_operators
from tests.targets.test_flatbuffer import FORGED, QUANTIZED

KINDS = ("truncated", "bits", "bytes", "spliced")
NUMBERS = (0, 1, 0x7F, 0xFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 0x80000000, 0x7F800000, 0x7FC00000)
"""What overflows, changes its sign, or is infinite or no number as a float."""

Change = Callable[[Any], object]


def mutant(models: dict[str, bytes], seed: int) -> tuple[str, bytes]:
    """What was done to which model, and the result; the same for the same seed."""
    random = np.random.default_rng(seed)
    name = list(models)[seed % len(models)]
    kind = KINDS[seed // len(models) % len(KINDS)]
    content = bytearray(models[name])
    if kind == "truncated":
        del content[int(random.integers(0, len(content))) :]
    for _ in range(int(random.integers(1, 5))):
        start, length = int(random.integers(0, len(content) + 1)), int(random.integers(1, 65))
        if kind == "bits" and content:
            content[start % len(content)] ^= 1 << int(random.integers(0, 8))
        elif kind == "bytes":
            content[start : start + 4] = struct.pack("<I", int(random.choice(NUMBERS)))
        elif kind == "spliced":
            other = models[str(random.choice(list(models)))]
            at = int(random.integers(0, len(other)))
            content[start : start + int(random.integers(0, 65))] = other[at : at + length]
    return f"{name} {kind} {seed}", bytes(content)


def handcrafted(models: dict[str, bytes]) -> Iterator[tuple[str, bytes]]:
    """100 files with one fault each, most of them well-formed flatbuffers that no kernel can run."""
    whole, integers = models["float32"], models["int8"]
    for name, (change, _) in FORGED.items():
        yield f"structure: {name}", forge(whole, change)
    for name, (change, _) in QUANTIZED.items():
        yield f"quantization: {name}", forge(integers, change)
    for name, change in (*_OPTIONS.items(), *_TENSORS.items()):
        yield f"kernel: {name}", forge(whole, change)
    for name in _CODES:
        yield f"operator: {name}", forge(whole, _code(getattr(schema.BuiltinOperator, name)))
    yield "work: operators that are all one", shared_operators(operators=50_000, inputs=50)
    yield "bytes: none", b""
    yield "bytes: only the identifier", b"\x1c\0\0\0TFL3"
    yield "bytes: zeros", bytes(1 << 20)
    yield "bytes: an archive", b"PK\x03\x04" + bytes(100)
    yield "bytes: ones", b"\xff\xff\xff\xffTFL3" + b"\xff" * 4096


def _operator(at: int, **options: Any) -> Change:
    """Change options of an operator of the main subgraph."""

    def change(model: Any) -> None:
        for name, value in options.items():
            setattr(model.subgraphs[0].operators[at].builtinOptions, name, value)

    return change


def _wired(at: int, **vectors: list[int]) -> Change:
    """Change the inputs or outputs of an operator."""

    def change(model: Any) -> None:
        for name, value in vectors.items():
            setattr(model.subgraphs[0].operators[at], name, value)

    return change


def _code(number: int) -> Change:
    """Make the convolutions another operator, with the options of a convolution."""

    def change(model: Any) -> None:
        code = next(each for each in model.operatorCodes if each.builtinCode == schema.BuiltinOperator.CONV_2D)
        code.builtinCode, code.deprecatedBuiltinCode, code.customCode = number, min(number, 127), b"Hostile"

    return change


def _shaped(which: Callable[[Any], Any], shape: list[int]) -> Change:
    def change(model: Any) -> None:
        tensor = which(model)
        tensor.shape, tensor.shapeSignature = shape, None

    return change


def _first_input(model: Any) -> Any:
    return model.subgraphs[0].tensors[model.subgraphs[0].inputs[0]]


def _output(model: Any) -> Any:
    return model.subgraphs[0].tensors[model.subgraphs[0].outputs[0]]


def _values(change: Callable[[bytearray], object], rank: int) -> Change:
    """Change the bytes of the first constant of that rank."""

    def apply(model: Any) -> None:
        buffer = model.buffers[constant(model, rank).buffer]
        content = bytearray(buffer.data.tobytes())
        change(content)
        buffer.data = np.frombuffer(bytes(content), np.uint8)

    return apply


def _fill(value: bytes) -> Callable[[bytearray], object]:
    def change(content: bytearray) -> None:
        content[:] = (value * len(content))[: len(content)]

    return change


def _axis(model: Any) -> None:
    """Reduce along an axis that does not exist."""
    axes = model.subgraphs[0].tensors[model.subgraphs[0].operators[5].inputs[1]]
    model.buffers[axes.buffer].data = np.frombuffer(np.array([1 << 30, -77], np.int32).tobytes(), np.uint8)


_OPTIONS: dict[str, Change] = {
    "stride 0": _operator(0, strideW=0, strideH=0),
    "negative stride": _operator(0, strideW=-1, strideH=-1),
    "huge stride": _operator(0, strideW=1 << 30, strideH=1 << 30),
    "dilation 0": _operator(0, dilationWFactor=0, dilationHFactor=0),
    "huge dilation": _operator(0, dilationWFactor=1 << 30, dilationHFactor=1 << 30),
    "negative dilation": _operator(1, dilationWFactor=-3, dilationHFactor=-3),
    "padding that does not exist": _operator(0, padding=99),
    "activation that does not exist": _operator(0, fusedActivationFunction=99),
    "weights of another format": _operator(6, weightsFormat=1),
    "no number as beta": _operator(8, beta=math.nan),
    "infinite beta": _operator(8, beta=math.inf),
    "dimensions kept": _operator(5, keepDims=True),
    "no options": lambda m: setattr(m.subgraphs[0].operators[0], "builtinOptions", None),
    "options of a softmax": lambda m: setattr(
        m.subgraphs[0].operators[0], "builtinOptions", m.subgraphs[0].operators[8].builtinOptions
    ),
    "no inputs": _wired(0, inputs=[]),
    "absent inputs": _wired(0, inputs=[-1, -1, -1]),
    "absent weights": _wired(0, inputs=[0, -1, 6]),
    "one input": _wired(4, inputs=[13]),
    "activations as weights": _wired(1, inputs=[10, 10, 7]),
    "a bias of another length": _wired(0, inputs=[0, 9, 7]),
    "weights of another layer": _wired(1, inputs=[10, 2, 7]),
    "integers as weights": _wired(0, inputs=[0, 8, 6]),
    "weights as an axis": _wired(5, inputs=[14, 9]),
    "many inputs": _wired(0, inputs=[0, 9, 6] * 500),
}

_TENSORS: dict[str, Change] = {
    "an axis that does not exist": _axis,
    "a tall input": _shaped(_first_input, [1, 1 << 20, 16, 3]),
    "a large input": _shaped(_first_input, [1, 8192, 8192, 3]),
    "an input of one pixel": _shaped(_first_input, [1, 1, 1, 3]),
    "an input of rank 5": _shaped(_first_input, [1, 16, 16, 3, 1]),
    "a scalar input": _shaped(_first_input, []),
    "a large batch": _shaped(_first_input, [1 << 20, 16, 16, 3]),
    "many classes": _shaped(_output, [1, 1 << 24]),
    "a large activation": _shaped(activation, [1, 16384, 16384, 1]),
    "an activation of rank 1": _shaped(activation, [2048]),
    "weights of another shape": _shaped(constant, [16, 3, 3, 1]),
    "integers as input": lambda m: setattr(_first_input(m), "type", schema.TensorType.INT32),
    "text as activation": lambda m: setattr(activation(m), "type", schema.TensorType.STRING),
    "a resource as activation": lambda m: setattr(activation(m), "type", schema.TensorType.RESOURCE),
    "a variable as activation": lambda m: setattr(activation(m), "isVariable", True),
    "weights that are no numbers": _values(_fill(struct.pack("<f", math.nan)), 4),
    "infinite weights": _values(_fill(struct.pack("<f", math.inf)), 4),
    "largest weights": _values(_fill(struct.pack("<f", 3.4e38)), 4),
    "smallest weights": _values(_fill(struct.pack("<f", 1e-45)), 4),
}

_CODES = (
    "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "RESHAPE", "GATHER_ND", "WHERE", "SVDF", "CUSTOM",
)  # fmt: skip
