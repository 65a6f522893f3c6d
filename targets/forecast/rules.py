"""What a runtime takes, as a table: operators by the form of their numbers, and what else it asks of one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from targets.forecast.view import HYBRID, Node

Check = Callable[[Node], str | None]
"""Why an operator is not taken, where that does not follow from its kind and form."""

RECIPES = {"int8": "int8", "float32": "float32", "int16": "int16x8", HYBRID: "dynamic-int8", "float16": "float16"}
"""Form -> the recipe whose operators have it, the preferred one first."""


@dataclass(frozen=True)
class Blocked:
    """An operator that a target does not take: why, and what would mend it. `layer` is Keras' name of it."""

    layer: str
    kind: str
    form: str
    reason: str
    fix: str


def kinds(text: str) -> frozenset[str]:
    """Names of operators, written one after the other."""
    return frozenset(text.split())


@dataclass(frozen=True)
class Rules:
    """What `runtime` takes: form -> kinds of operators, all that `checks` have nothing against.

    `forms` is None where it is not known which operators it has: then only `checks` speak.
    """

    runtime: str
    forms: Mapping[str, frozenset[str]] | None
    checks: Sequence[Check] = ()

    def blocked(self, found: Sequence[Node]) -> tuple[Blocked, ...]:
        """The operators that it does not take, in their order."""
        return tuple(
            Blocked(node.layer, node.kind, node.form, reason, self._fix(node))
            for node in found
            if (reason := self._reason(node)) is not None
        )

    def _reason(self, node: Node) -> str | None:
        if self.forms is not None and node.kind not in self.forms.get(node.form, ()):
            known = any(node.kind in taken for taken in self.forms.values())
            form = f" with {_words(node.form)}" if known else ""
            return f"{self.runtime} has no {node.kind}{form}"
        return next((reason for check in self.checks if (reason := check(node)) is not None), None)

    def _fix(self, node: Node) -> str:
        kind = "CONV_2D" if node.kind in ("DEQUANTIZE", "QUANTIZE") else node.kind  # they are there for the others
        weights = node.weights
        own = None if weights is not None and weights.dtype == "int4" else node.form
        others = [
            recipe
            for form, recipe in RECIPES.items()
            if form != own and (form in ("int8", "float32") if self.forms is None else kind in self.forms.get(form, ()))
        ]
        if others:
            return f"convert with the recipe {' or '.join(others[:2])}"
        return f"build the network without the layer '{node.layer}', or choose another target"


def _words(form: str) -> str:
    return "integer weights beside float activations" if form == HYBRID else f"{form} activations"
