from __future__ import annotations

from targets.operators import Node, Plan, coverage

FILE = (
    Node("CONV_2D", (0, 10), (1,)),
    Node("ADD", (1, 0), (2,)),
    Node("AVERAGE_POOL_2D", (2,), (3,)),
    Node("FULLY_CONNECTED", (3, 11, -1), (4,)),
    Node("SOFTMAX", (4,), (5,)),
)


def kinds_left(*delegates: Node) -> tuple[int, dict[str, int] | None, str | None]:
    found = coverage(Plan((*FILE, *delegates), (5,)), count=5, delegate="XNNPACK", kinds={"ADD": 1})
    assert (found.nodes, found.kinds) == (5, {"ADD": 1})
    return found.delegated, found.left, found.delegate


def test_without_a_delegate_every_node_is_left() -> None:
    delegated, left, delegate = kinds_left()
    assert (delegated, delegate) == (0, None)
    assert left == {"CONV_2D": 1, "ADD": 1, "AVERAGE_POOL_2D": 1, "FULLY_CONNECTED": 1, "SOFTMAX": 1}


def test_one_delegate_for_everything() -> None:
    assert kinds_left(Node("DELEGATE", (0, 10, 11), (5,))) == (5, {}, "XNNPACK")


def test_what_lies_between_two_delegates_is_left() -> None:
    first, second = Node("DELEGATE", (0, 10), (2,)), Node("DELEGATE", (3, 11), (4,))
    assert kinds_left(first, second) == (3, {"SOFTMAX": 1, "AVERAGE_POOL_2D": 1}, "XNNPACK")


def test_an_operator_of_the_file_that_is_called_delegate_is_none() -> None:
    plan = Plan((Node("DELEGATE", (0,), (1,)),), (1,))
    assert coverage(plan, count=1, delegate="XNNPACK", kinds={}).delegated == 0


def test_a_ring_of_tensors_ends() -> None:
    plan = Plan((Node("ADD", (1,), (2,)), Node("ADD", (2,), (1,))), (2,))
    assert coverage(plan, count=2, delegate="XNNPACK", kinds={}).left == {"ADD": 2}
