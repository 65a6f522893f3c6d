"""Models so deep that Python's limit of recursion is in the way: Keras follows a graph by recursion, a call a layer."""

from __future__ import annotations

import sys

_OTHERS = 1000
_MARGIN = 4
"""Calls a layer: rebuilding a model can make several layers of one."""

MOST_LAYERS = 10_000
"""Beyond, the limit stays: in the earlier versions of Python, each call takes from the stack of the process."""


def allow_layers(count: int) -> None:
    """Let Keras follow a graph of so many layers; the limit is never lowered.

    Building, copying, saving and loading follow it each time, so the limit is the process', not that of one call.
    """
    sys.setrecursionlimit(max(sys.getrecursionlimit(), _OTHERS + _MARGIN * min(count, MOST_LAYERS)))
