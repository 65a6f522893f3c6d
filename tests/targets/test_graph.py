from __future__ import annotations

from dataclasses import replace

import pytest

from edgeres.errors import ArtifactError
from targets.graph import Operator, Subgraph, Tensor, arena_bytes, check_calls, check_order, count_kinds


def tensor(*shape: int, dtype: str = "int8", stored: int = 0, variable: bool = False) -> Tensor:
    return Tensor("t", shape, shape, dtype, (), (), 0, 0, stored, variable)


def chain(*sizes: int, calls: tuple[int, ...] = ()) -> Subgraph:
    """Tensors of the given bytes, each computed from the one before."""
    operators = tuple(Operator("RELU", (i,), (i + 1,), calls) for i in range(len(sizes) - 1))
    return Subgraph("main", tuple(map(tensor, sizes)), (0,), (len(sizes) - 1,), operators)


def arena(*subgraphs: Subgraph) -> int:
    return arena_bytes(subgraphs, check_calls(subgraphs))


@pytest.mark.parametrize(
    ("dtype", "size"), [("float32", 60), ("int8", 15), ("int4", 8), ("int2", 4), ("string", 0), ("complex128", 240)]
)
def test_the_size_of_a_tensor(dtype: str, size: int) -> None:
    assert tensor(3, 5, dtype=dtype).size_bytes == size


def test_a_chain_needs_two_neighbours_at_a_time() -> None:
    assert arena(chain(10, 20, 30, 5)) == 50


def test_a_shortcut_stays_until_it_is_added() -> None:
    operators = (Operator("CONV_2D", (0,), (1,)), Operator("CONV_2D", (1,), (2,)), Operator("ADD", (2, 0), (3,)))
    graph = Subgraph("main", tuple(map(tensor, (10, 100, 1, 1))), (0,), (3,), operators)
    assert arena(graph) == 111


def test_outputs_and_variables_stay_and_constants_take_nothing() -> None:
    tensors = (tensor(10), tensor(7, stored=7), tensor(4), tensor(2), tensor(1000, variable=True))
    operators = (Operator("ADD", (0, 1), (2,)), Operator("ADD", (0, 4), (3,)))
    assert arena(Subgraph("main", tensors, (0,), (2, 3), operators)) == 1000 + 10 + 4 + 2


def test_unpacked_constants_take_nothing_even_in_two_steps() -> None:
    tensors = (tensor(10), tensor(50, stored=20), tensor(50), tensor(200), tensor(3))
    operators = (Operator("DENSIFY", (1,), (2,)), Operator("DEQUANTIZE", (2,), (3,)), Operator("CONV_2D", (0, 3), (4,)))
    assert arena(Subgraph("main", tensors, (0,), (4,), operators)) == 13


def test_a_called_subgraph_comes_on_top() -> None:
    assert arena(chain(10, 20, calls=(1,)), chain(5, 6, 7)) == 30 + 13


def test_a_graph_without_operators_holds_its_inputs_and_outputs() -> None:
    assert arena(Subgraph("main", (tensor(10),), (0,), (0,), ())) == 10


def test_optional_inputs_are_no_tensors() -> None:
    graph = Subgraph("main", (tensor(3), tensor(4), tensor(500)), (0,), (1,), (Operator("CONV_2D", (0, -1), (1,)),))
    check_order(graph, "subgraph 0")
    assert arena(graph) == 7


def test_memory_that_a_compiled_operator_works_in_is_written_by_nobody_and_live_all_the_time() -> None:
    tensors = (tensor(3), tensor(500), tensor(4), tensor(5))
    operators = (Operator("ethos-u", (0, 1, 1), (2,)), Operator("ADD", (2, 2), (3,)))
    graph = Subgraph("main", tensors, (0,), (3,), operators)
    check_order(graph, "subgraph 0")
    assert arena(graph) == 500 + 9
    with pytest.raises(ArtifactError, match="reads tensor 1 before any operator writes it"):
        check_order(replace(graph, operators=(replace(operators[0], kind="CUSTOM"), operators[1])), "subgraph 0")


def test_calls_are_ordered_callees_first() -> None:
    order = check_calls((chain(1, 1, calls=(2, 1)), chain(1, 1), chain(1, 1, calls=(1,))))
    assert order.index(1) < order.index(2) < order.index(0)


def test_a_long_ring_of_calls_is_found() -> None:
    ring = tuple(chain(1, 1, calls=((i + 1) % 1000,)) for i in range(1000))
    with pytest.raises(ArtifactError, match="runs itself"):
        check_calls(ring)


def test_a_long_line_of_calls_is_no_ring() -> None:
    line = tuple(chain(1, 1, calls=(i + 1,) if i < 999 else ()) for i in range(1000))
    assert arena(*line) == 2000


def test_kinds_are_counted_over_all_subgraphs() -> None:
    other = Subgraph("body", (tensor(1), tensor(1)), (0,), (1,), (Operator("ADD", (0, 0), (1,)),))
    assert list(count_kinds((chain(1, 1, 1), other)).items()) == [("RELU", 2), ("ADD", 1)]
