"""What an operator's options say: the subgraphs it runs, the activation at its end, its strides and dilations."""

from __future__ import annotations

from targets.schema import ACTIVATIONS, CALLS, CASE, FUSED, OPTIONS
from targets.wire import Table, malformed

_PLACES = {1: (3, 4), 2: (11, 12)}
"""Options union -> the slots of its type and of its table in an operator."""


def read_calls(table: Table, kind: str, subgraphs: int) -> tuple[int, ...]:
    """The subgraphs that an operator runs; `subgraphs`: how many the file has.

    Raises:
        ArtifactError: one that does not exist, or options that are not those of the operator.
    """
    if kind == CASE[0]:
        options = _options(table, kind, union=CASE[1], number=CASE[2])
        branches = options.numbers(0, "i4")
        found = () if branches is None else tuple(branches.tolist())
    elif kind in CALLS:
        union, number, slots = CALLS[kind]
        options = _options(table, kind, union=union, number=number)
        found = tuple(options.number(slot, "i") for slot in slots)
    else:
        return ()
    for index in found:
        if not 0 <= index < subgraphs:
            raise malformed(table.where, f"{kind} runs subgraph {index}, which does not exist (there are {subgraphs})")
    return found


def _options(table: Table, kind: str, *, union: int, number: int) -> Table:
    type_slot, slot = _PLACES[union]
    found = table.number(type_slot, "B")
    options = table.table(slot, "options")
    if found != number or options is None:
        raise malformed(table.where, f"{kind} needs options of type {number}, found type {found}")
    return options


def read_activation(table: Table, kind: str) -> str:
    """The activation fused into an operator, a name of `schema.ACTIVATIONS`; empty for none.

    As in the runtimes, an operator without options of its type has none. Codes of a later schema are `ACTIVATION_7`.
    """
    number, field = FUSED.get(kind, (0, 0))
    options = _own_options(table, number)
    if options is None:
        return ""
    code = int(options.number(field, "b"))
    return ACTIVATIONS[code] if 0 <= code < len(ACTIVATIONS) else f"ACTIVATION_{code}"


def read_numbers(table: Table, kind: str) -> dict[str, int]:
    """The numbers of an operator by the names of `schema.OPTIONS`; empty where it has no options of its type."""
    number, fields = OPTIONS.get(kind, (0, {}))
    options = _own_options(table, number)
    if options is None:
        return {}
    return {name: int(options.number(slot, "i", default)) for name, (slot, default) in fields.items()}


def _own_options(table: Table, number: int) -> Table | None:
    """The options of an operator if they are of that type of the first union; None for 0."""
    type_slot, slot = _PLACES[1]
    return table.table(slot, "options") if number and table.number(type_slot, "B") == number else None
