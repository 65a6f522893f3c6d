"""What a reader should know of how artifacts were measured, in sentences: the conditions, and what is missing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from edgeres.results import ArtifactResult, Conditions


def remarks(artifacts: Iterable[ArtifactResult]) -> list[str]:
    """One sentence for each flag, and for each part that could not be measured.

    Those with the same words for several artifacts stand once, with all their names.
    """
    names: dict[str, list[str]] = {}
    for artifact in artifacts:
        for text in _texts(artifact):
            names.setdefault(text, []).append(artifact.name)
    return [f"{', '.join(dict.fromkeys(owners))}: {text}" for text, owners in names.items()]


_PARTS = {"energy": "energy", "operators.timed": "times of operators"}


def _texts(artifact: ArtifactResult) -> Iterator[str]:
    if artifact.proof and artifact.proof.device:
        yield f"{artifact.target} is {artifact.proof.device}"
    yield from _conditions(artifact)
    for part, why in (artifact.unmeasured or {}).items():
        yield f"{_PARTS.get(part, part)} not measured: {why.message}{f'; {why.fix}' if why.fix else ''}"


def _conditions(artifact: ArtifactResult) -> Iterator[str]:
    found = artifact.latency.conditions if artifact.latency else None
    if found is None:
        return
    if "drift" in found.flags:
        yield (
            f"drift: {_changed(found.trend.change)} in the last quarter of the rounds than in the first; "
            f"the reference kernel {_changed(found.reference.change)}"
        )
    if "contention" in found.flags:
        yield f"contention: {_contention(found)}; close other programs for steadier times"
    if "throttling" in found.flags:
        yield "throttling: the CPU itself became slower, or was held back; let it cool down, or check its quota"


def _contention(found: Conditions) -> str:
    parts = []
    if found.pressure is not None:
        parts.append(f"programs waited for a CPU {100 * found.pressure:.0f} % of the time")
    if found.steal:
        parts.append(f"the hypervisor took {100 * found.steal:.1f} % of it")
    if found.switches_per_s and found.pressure is None:  # of each model's own; pressure says the same of all
        parts.append(f"the model lost its CPU {found.switches_per_s:,.0f} times a second")
    return ", ".join(parts)


def _changed(change: float) -> str:
    return f"{100 * abs(change):.0f} % {'slower' if change >= 0 else 'faster'}"
