"""Why a model was not rebuilt: one sentence that names the layer."""

from __future__ import annotations


class NotRebuiltError(Exception):
    """A layer that has no counterpart. Internal: `edgeres.keras_io` turns it into a ModelError or a fact."""

    def __init__(self, layer: str, reason: str) -> None:
        super().__init__(f"layer '{layer}': {reason}")
