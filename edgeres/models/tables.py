"""The zoo as a table, one network as a table of layers, and both as JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.table import Table

from edgeres.models import find_network
from edgeres.models.figures import read_figures
from edgeres.native_output import muted, resolve_muted
from edgeres.records import encode, write_json
from edgeres.report.terminal import plain_table
from edgeres.report.wording import size

# By name: the zoo's table needs no TensorFlow.
_MEASURE = "edgeres.models.cost:measure"
_BLOCK_OF = "edgeres.models.cost:block_of"


def zoo() -> Table:
    """All networks at their papers' size, family by family."""
    heads = ("network", "input", "parameters", "MACs", "float32", "activations", "published top-1", "paper")
    rows = [
        (
            one.name,
            "x".join(map(str, one.input)),
            f"{one.parameters:,}",
            f"{one.macs / 1e6:,.1f} M",
            size(one.size_bytes),
            size(one.arena_bytes),
            one.published or "",
            one.paper,
        )
        for one in read_figures()
    ]
    return plain_table(heads, rows)


def write_zoo(path: Path) -> None:
    """The zoo as `{"models": [{"name", "parameters", "macs", …}]}`."""
    write_json(path, {"models": read_figures()})


def layers_of(name: str) -> Table:
    """The blocks of a network with their cost, under each the layers that cost anything, and the sums.

    Raises:
        ConfigError: unknown network.
    """
    cost = _cost(name)
    block_of = resolve_muted(_BLOCK_OF)
    rows = []
    for block in cost.blocks:
        rows.append(_row(block.name, "", block))
        if block.layers > 1:
            own = [layer for layer in cost.layers if block_of(layer.name) == block.name]
            rows += [_row(f"  {one.name}", one.kind, one) for one in own if one.parameters or one.macs]
    heads = ("layer", "kind", "output", "parameters", "MACs")
    return plain_table(heads, [*rows, ("total", "", "", f"{cost.parameters:,}", f"{cost.macs:,}")])


def _row(name: str, kind: str, cost: Any) -> tuple[str, ...]:
    return name, kind, "x".join(map(str, cost.output)), f"{cost.parameters:,}", f"{cost.macs:,}"


def write_layers(path: Path, name: str) -> None:
    """One network's cost, with every block and every layer."""
    write_json(path, encode(_cost(name)))


def _cost(name: str) -> Any:
    with muted():  # a network's module imports TensorFlow
        network = find_network(name)
    return resolve_muted(_MEASURE)(network.build())
