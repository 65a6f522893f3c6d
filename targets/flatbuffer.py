"""The structural walk: a `.tflite` is read from its bytes and checked before any native code sees it.

    bytes → `walk` → `Graph` (frozen records), or ArtifactError that names what is wrong

Checked: the identifier; every offset, table and vector in bounds and aligned; every index of a tensor, buffer,
operator code and subgraph; dimensions within a byte budget; constants as long as their shape and type ask for;
scales finite and positive; the order of operators; no subgraph that runs itself; counts and total work bounded.
Not checked: whether an operator's shapes and options make sense to its kernel; that is what the sandbox is for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from edgeres.errors import ArtifactError
from edgeres.storage import sha256_bytes
from targets.graph import Graph, Operator, Subgraph, Tensor, arena_bytes, check_calls, check_order, count_kinds
from targets.layer_names import layer_names
from targets.options import read_activation, read_calls, read_numbers
from targets.schema import CUSTOM, IDENTIFIER, OPERATORS, VERSION
from targets.tensors import Span, read_tensor
from targets.wire import Table, Wire, malformed

LIMITS = {"operator code": 4096, "subgraph": 1024, "tensor": 100_000, "operator": 100_000, "buffer": 200_000}
"""How many parts of a kind are accepted; the largest classifiers have a few thousand tensors."""

_EXTRAS = 4096
_MAX_OUTPUTS = 4096


def walk(content: bytes) -> Graph:
    """Check a `.tflite` and describe its structure.

    Raises:
        ArtifactError: not a TFLite flatbuffer, or malformed: names the part and what is wrong with it.
    """
    if not isinstance(content, (bytes, bytearray, memoryview)):
        raise ArtifactError(
            f"expected the bytes of a .tflite, found {type(content).__name__}", fix="give Path(file).read_bytes()"
        )
    if content[4:8] != IDENTIFIER:
        raise ArtifactError(
            f"not a .tflite file: expected {IDENTIFIER!r} at byte 4, found {content[4:8]!r}",
            fix="give a file written by the TFLite converter, or a bundle",
        )
    wire = Wire(content)
    model = wire.root()
    if (version := model.number(0, "I")) != VERSION:
        raise malformed("model", f"expected schema version {VERSION}, found {version}")
    if model.tables(9, "external buffer", limit=_EXTRAS):
        raise malformed("model", "it keeps its weights in other files, which is not supported")
    kinds = [_kind(code) for code in model.tables(1, "operator code", limit=LIMITS["operator code"])]
    stored = model.tables(4, "buffer", limit=LIMITS["buffer"])
    buffers = [_buffer(table, content) for table in stored]
    if buffers and buffers[0][1]:
        raise malformed("buffer 0", "must be empty: it stands for 'no data'")
    tables = model.tables(2, "subgraph", limit=LIMITS["subgraph"])
    if not tables:
        raise malformed("model", "it has no subgraph")
    subgraphs = tuple(_subgraph(table, kinds, buffers, len(tables)) for table in tables)
    order = check_calls(subgraphs)
    _check_signatures(model, subgraphs)
    return Graph(
        size_bytes=len(content),
        description=model.text(3),
        minimum_runtime=_minimum_runtime(model, buffers, content),
        subgraphs=subgraphs,
        kinds=count_kinds(subgraphs),
        parameter_bytes=_parameter_bytes(subgraphs),
        arena_bytes=arena_bytes(subgraphs, order),
        behind_bytes=sum(size for table, (_, size) in zip(stored, buffers, strict=True) if _behind(table)),
    )


def _kind(code: Table) -> str:
    """An operator's name; files older than the 32-bit code hold it in a byte."""
    number = max(code.number(0, "b"), code.number(3, "i"))
    if number < 0:
        raise malformed(code.where, f"the operator code {number} is negative")
    name = OPERATORS[number] if number < len(OPERATORS) else f"BUILTIN_{number}"
    if name != CUSTOM:
        return name
    if not (custom := code.text(1)):
        raise malformed(code.where, "a custom operator without a name")
    return custom


def _buffer(table: Table, content: bytes) -> Span:
    """Where a buffer's bytes lie: in a vector of the flatbuffer, or for large files behind it."""
    inside = table.span(0)
    if not _behind(table):
        return inside or (0, 0)
    start, size = table.number(1, "Q"), table.number(2, "Q")
    if inside and inside[1]:
        raise malformed(table.where, "its data is both inside and behind the flatbuffer")
    if start + size > len(content):
        raise malformed(table.where, f"its data ends at byte {start + size:,}, the file has {len(content):,}")
    return start, size


def _behind(buffer: Table) -> bool:
    """Whether its data lie behind the flatbuffer: an offset of 0 or 1 means that it is not used."""
    return bool(buffer.number(1, "Q") > 1)


def _subgraph(table: Table, kinds: Sequence[str], buffers: Sequence[Span], subgraphs: int) -> Subgraph:
    where = table.where
    tensors = tuple(read_tensor(tensor, buffers) for tensor in table.tables(0, "tensor", limit=LIMITS["tensor"]))
    count = len(tensors)
    operators = tuple(
        _operator(operator, kinds, count, subgraphs)
        for operator in table.tables(3, "operator", limit=LIMITS["operator"])
    )
    graph = Subgraph(
        name=table.text(4),
        tensors=tensors,
        inputs=_indices(table, 1, "input", count),
        outputs=_indices(table, 2, "output", count),
        operators=operators,
    )
    produced = {*graph.inputs, *graph.outputs, *(i for operator in operators for i in operator.outputs)}
    for index in produced:
        if 0 in tensors[index].shape:
            raise malformed(f"{where}, tensor {index}", f"an activation of shape {tensors[index].shape} is empty")
    check_order(graph, where)
    return graph


def _indices(table: Table, slot: int, noun: str, count: int, *, lowest: int = 0) -> tuple[int, ...]:
    """A vector of tensor indices, each in lowest … count - 1."""
    found = table.numbers(slot, "i4")
    if found is None or not len(found):
        return ()
    if found.min() < lowest or found.max() >= count:
        wrong = int(found[(found < lowest) | (found >= count)][0])
        raise malformed(table.where, f"the {noun} {wrong} is not a tensor (there are {count})")
    return tuple(found.tolist())


def _operator(table: Table, kinds: Sequence[str], tensors: int, subgraphs: int) -> Operator:
    code = table.number(0, "I")
    if code >= len(kinds):
        raise malformed(table.where, f"the operator code {code} does not exist (there are {len(kinds)})")
    kind = kinds[code]
    outputs = _indices(table, 2, "output", tensors)
    if len(outputs) > _MAX_OUTPUTS:
        raise malformed(table.where, f"{len(outputs):,} outputs, more than the {_MAX_OUTPUTS:,} accepted")
    _indices(table, 8, "intermediate", tensors)
    table.span(5)
    table.span(7)
    for slot in (4, 12):
        table.table(slot, "options")
    start, size = table.number(9, "Q"), table.number(10, "Q")
    table.check_range(start, size, "its custom options")
    inputs = _indices(table, 1, "input", tensors, lowest=-1)
    return Operator(
        kind,
        inputs,
        outputs,
        read_calls(table, kind, subgraphs),
        read_activation(table, kind),
        read_numbers(table, kind),
    )


def _check_signatures(model: Table, subgraphs: Sequence[Subgraph]) -> None:
    for signature in model.tables(7, "signature", limit=_EXTRAS):
        signature.text(2)
        index = signature.number(4, "I")
        if index >= len(subgraphs):
            raise malformed(signature.where, f"subgraph {index} does not exist (there are {len(subgraphs)})")
        for slot, noun in ((0, "input"), (1, "output")):
            for entry in signature.tables(slot, noun, limit=_EXTRAS):
                entry.text(0)
                tensor = entry.number(1, "I")
                if tensor >= len(subgraphs[index].tensors):
                    raise malformed(entry.where, f"tensor {tensor} does not exist")


def _minimum_runtime(model: Table, buffers: Sequence[Span], content: bytes) -> str:
    """What the converter wrote as `min_runtime_version`; checks all metadata on the way."""
    found = ""
    model.numbers(5, "i4")
    for entry in model.tables(6, "metadata", limit=_EXTRAS):
        name, buffer = entry.text(0), entry.number(1, "I")
        if buffer >= len(buffers):
            raise malformed(entry.where, f"buffer {buffer} does not exist (there are {len(buffers)})")
        if name == "min_runtime_version":
            start, size = buffers[buffer]
            found = content[start : start + min(size, 32)].rstrip(b"\0").decode("ascii", errors="replace")
    return found if found.isprintable() else ""


def _parameter_bytes(subgraphs: Sequence[Subgraph]) -> int:
    stored = {
        tensor.buffer: tensor.constant_bytes for graph in subgraphs for tensor in graph.tensors if tensor.constant_bytes
    }
    return sum(stored.values())


@dataclass(frozen=True)
class Port:
    """An input or output: dimensions that are open are -1; scale and zero point where it is quantized."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float | None = None
    zero_point: int | None = None


@dataclass(frozen=True)
class Layer:
    """An operator of the main subgraph: the Keras `layer` it computes, its first output's name, shape and type."""

    layer: str
    kind: str
    output: str
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class Description:
    """What a person wants to know of a `.tflite`; JSON-able by `edgeres.records.encode`.

    `kinds`: operator -> count. `constants`: type -> bytes stored. `parameter_bytes`, `arena_bytes`: see `Graph`.
    """

    sha256: str
    size_bytes: int
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    kinds: dict[str, int]
    constants: dict[str, int]
    parameter_bytes: int
    arena_bytes: int
    subgraphs: int
    layers: tuple[Layer, ...]
    description: str
    minimum_runtime: str
    format: str = "tflite"


def describe(content: bytes) -> Description:
    """What `edgeres inspect` shows of a `.tflite`.

    Raises:
        ArtifactError: see `walk`.
    """
    graph = walk(content)
    return Description(
        sha256=sha256_bytes(content),
        size_bytes=graph.size_bytes,
        inputs=tuple(map(_port, graph.inputs)),
        outputs=tuple(map(_port, graph.outputs)),
        kinds=graph.kinds,
        constants=_constants(graph),
        parameter_bytes=graph.parameter_bytes,
        arena_bytes=graph.arena_bytes,
        subgraphs=len(graph.subgraphs),
        layers=tuple(
            _layer(name, operator, graph.main.tensors)
            for name, operator in zip(layer_names(graph.main), graph.main.operators, strict=True)
        ),
        description=graph.description,
        minimum_runtime=graph.minimum_runtime,
    )


def _port(tensor: Tensor) -> Port:
    if len(tensor.scales) != 1:
        return Port(tensor.name, tensor.signature, tensor.dtype)
    return Port(tensor.name, tensor.signature, tensor.dtype, tensor.scales[0], tensor.zero_points[0])


def _layer(name: str, operator: Operator, tensors: Sequence[Tensor]) -> Layer:
    if not operator.outputs:
        return Layer(name, operator.kind, "", (), "")
    output = tensors[operator.outputs[0]]
    return Layer(name, operator.kind, output.name, output.shape, output.dtype)


def _constants(graph: Graph) -> dict[str, int]:
    stored = {
        tensor.buffer: tensor for subgraph in graph.subgraphs for tensor in subgraph.tensors if tensor.constant_bytes
    }
    found: Counter[str] = Counter()
    for tensor in stored.values():
        found[tensor.dtype] += tensor.constant_bytes
    return dict(found.most_common())
