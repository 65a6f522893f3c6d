"""Operator coverage: which nodes of the file a delegate took, read from the plan that ran."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from edgeres.results import Operators


@dataclass(frozen=True)
class Node:
    """A node as the runtime lists it: the operator's name, the tensors it reads and writes."""

    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True)
class Plan:
    """All nodes of an interpreter, delegates included, and the tensors that the model returns."""

    nodes: tuple[Node, ...]
    outputs: tuple[int, ...]


def coverage(plan: Plan, *, count: int, delegate: str, kinds: dict[str, int]) -> Operators:
    """What ran where.

    A LiteRT interpreter lists the file's nodes as they were, also those that a delegate has replaced, and after them
    one node for each part that a delegate took. What runs is found by walking back from the outputs, taking the
    delegate for a tensor's producer where there are two.

    The first `count` nodes of the plan are the file's; `delegate` is what to call the delegate, where one took a node;
    `kinds` counts the operators of the file.
    """
    producers = {tensor: place for place, node in enumerate(plan.nodes) for tensor in node.outputs}
    ran: set[int] = set()
    waiting = list(plan.outputs)
    while waiting:
        place = producers.get(waiting.pop())
        if place is not None and place not in ran:
            ran.add(place)
            waiting.extend(plan.nodes[place].inputs)
    left = Counter(plan.nodes[place].kind for place in ran if place < count)
    delegated = count - left.total() if any(place >= count for place in ran) else 0
    return Operators(
        nodes=count,
        delegated=delegated,
        delegate=delegate if delegated else None,
        kinds=kinds,
        left=dict(left.most_common()),
    )
