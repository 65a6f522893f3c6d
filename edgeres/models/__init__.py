"""The zoo: networks written like their papers, one file a family, built by name.

`blocks.py` has the parts (convolutions, residual units, shortcuts), a family's file stacks them into stages,
`cost.py` counts what a network costs, `pretrained.py` brings weights. A network maps pixels to logits.

A name says all of how a network is built, so that a run or a model card that holds the name tells it: the family and
depth, the version where there are several (`resnet50` has its stride in the 3x3 convolutions, `resnet50v1` in the 1x1
ones as in the paper, `resnet50v2` is pre-activated), and a suffix for an option (`resnet20-A`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgeres.errors import ConfigError
from edgeres.models.network import Network
from edgeres.registry import lookup, require_known

MODELS = {
    **{
        f"resnet{depth}": f"edgeres.models.resnet:RESNET{depth}"
        for depth in (8, 14, 20, 32, 44, 56, 110, 1202, 18, 34, 50, 101, 152)
    },
    **{f"resnet{depth}v1": f"edgeres.models.resnet:RESNET{depth}V1" for depth in (50, 101, 152)},
    **{
        f"resnet{depth}v2": f"edgeres.models.resnet:RESNET{depth}V2"
        for depth in (20, 32, 44, 56, 110, 18, 34, 50, 101, 152)
    },
    **{f"plain{depth}": f"edgeres.models.plain:PLAIN{depth}" for depth in (20, 32, 44, 56, 18, 34)},
    "alexnet": "edgeres.models.alexnet:ALEXNET",
    "vgg16": "edgeres.models.vgg:VGG16",
    "vgg19": "edgeres.models.vgg:VGG19",
    "densenetbc100": "edgeres.models.densenet:DENSENETBC100",
    **{f"densenet{depth}": f"edgeres.models.densenet:DENSENET{depth}" for depth in (121, 169, 201)},
}
"""Network name -> "module:attribute" of a `Network`."""

SUFFIXES: dict[str, tuple[str, dict[str, Any]]] = {
    "-A": ("resnet", {"shortcut": "A"}),
    "-B": ("resnet", {}),
    "-C": ("resnet", {"shortcut": "C"}),
    "-dropout": ("densenet", {"dropout": 0.2}),
}
"""Suffix of a name -> how the names begin that take it, and what their builder is then given."""

__all__ = ["MODELS", "SUFFIXES", "Network", "find_network", "is_network", "require_network"]


def find_network(name: str) -> Network:
    """A network of the zoo.

    Raises:
        ConfigError: no such name; gives the nearest.
    """
    base, arguments = _split(name)
    found: Network = lookup(MODELS, base, noun="network", error=ConfigError)
    return found.variant(name, arguments) if arguments else found


def is_network(name: str) -> bool:
    """Whether it is the name of a network of the zoo, without importing TensorFlow."""
    return _split(name)[0] in MODELS


def require_network(name: str) -> None:
    """Refuse a name that `find_network` would, without importing TensorFlow.

    Raises:
        ConfigError: no such name; gives the nearest.
    """
    require_known(MODELS, _split(name)[0], noun="network", error=ConfigError)


def _split(name: str) -> tuple[str, Mapping[str, Any]]:
    """The name in `MODELS`, and what its suffix means."""
    for suffix, (family, arguments) in SUFFIXES.items():
        if name.startswith(family) and name.endswith(suffix):
            return name.removesuffix(suffix), arguments
    return name, {}
