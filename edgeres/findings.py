"""What a linter says: of a flatbuffer's structure, or of the images that it was calibrated with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_SHOWN_LAYERS = 3


@dataclass(frozen=True)
class Finding:
    """What a rule says of a layer: what follows from it, and what to do.

    `layer`: the Keras layer, the operator's kind and place where none is known, the name of an input, or "images".
    `severity`: "warning" can be mended; "note" follows from the architecture, or matters on some targets only.
    """

    rule: str
    layer: str
    consequence: str
    fix: str
    severity: str


def grouped(findings: Iterable[Finding]) -> Iterator[Finding]:
    """One for each thing to do, the first layers in it: the same in sixty layers is one of them."""
    layers: dict[tuple[str, ...], list[str]] = {}
    for finding in findings:
        key = finding.rule, finding.consequence, finding.fix, finding.severity
        layers.setdefault(key, []).append(finding.layer)
    for (rule, consequence, fix, severity), named in layers.items():
        more = f" and {len(named) - _SHOWN_LAYERS:,} more" if len(named) > _SHOWN_LAYERS else ""
        yield Finding(rule, ", ".join(named[:_SHOWN_LAYERS]) + more, consequence, fix, severity)
