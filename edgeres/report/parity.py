"""In words: whether the flatbuffer that stands for a Keras file computes what Keras computes."""

from __future__ import annotations

from edgeres.results import ArtifactResult, Flip, Parity

_LISTED = 10


def parity_line(artifact: ArtifactResult) -> str | None:
    """One sentence, None where it was not measured."""
    found = artifact.parity
    return None if found is None else f"{artifact.name}: {statement(found)}"


def statement(found: Parity) -> str:
    """How far the two are apart, and how many images change class."""
    changed = {0: "none changes class", 1: "1 changes class"}.get(len(found.flips), f"{len(found.flips)} change class")
    accepted = f"(accepted {found.accepted:.0e}) on {found.images:,} images; {changed}"
    if found.passed:
        return f"its flatbuffer gives Keras' probabilities within {found.largest:.1e} {accepted}"
    return f"NOT WHAT KERAS COMPUTES: a probability of its flatbuffer is off by {found.largest:.1e} {accepted}"


def parity_flips(artifact: ArtifactResult, labels: tuple[str, ...]) -> list[str]:
    """A line for each of the first images that the two take for different classes."""
    flips = artifact.parity.flips if artifact.parity else ()
    more = [f"… and {len(flips) - _LISTED:,} more, in the JSON"] if len(flips) > _LISTED else []
    return [_flip(flip, labels) for flip in flips[:_LISTED]] + more


def _flip(flip: Flip, labels: tuple[str, ...]) -> str:
    keras, own = labels[flip.baseline], labels[flip.artifact]
    return (
        f"{flip.image}: Keras says {keras}, ahead by {flip.baseline_margin:.4f}; "
        f"the flatbuffer {own}, ahead by {flip.artifact_margin:.4f}"
    )
