"""The zoo: networks written like their papers, one file a family, built by name.

`blocks.py` has the parts (basic block, bottleneck, shortcut), a family's file stacks them into stages, `cost.py`
counts what a network costs. Every network maps pixels in [0, 255] to logits.
"""

from __future__ import annotations

from edgeres.errors import ConfigError
from edgeres.models.network import Network
from edgeres.registry import lookup

MODELS = {
    f"resnet{depth}": f"edgeres.models.resnet:RESNET{depth}"
    for depth in (8, 14, 20, 32, 44, 56, 110, 18, 34, 50, 101, 152)
}
"""Network name -> "module:attribute" of a `Network`."""

__all__ = ["MODELS", "Network", "find_network"]


def find_network(name: str) -> Network:
    """A network of the zoo.

    Raises:
        ConfigError: no such name; gives the nearest.
    """
    found: Network = lookup(MODELS, name, noun="network", error=ConfigError)
    return found
