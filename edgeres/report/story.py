"""What a report tells: runs, bundles and results, the results joined where they speak of the same comparison."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgeres.bundle import MODEL, Bundle, Golden
from edgeres.results import ArtifactResult, DataRecord, Result, joined_evidence, without_what_is_there
from edgeres.training.run import History, RunConfig

_PARTS = (
    "accuracy",
    "latency",
    "memory",
    "startup",
    "estimate",
    "failure",
    "parity",
    "throughput",
    "energy",
)


@dataclass(frozen=True)
class RunSource:
    """A training run that was given."""

    path: Path
    config: RunConfig
    history: History


@dataclass(frozen=True)
class ResultSource:
    """A result file that was given."""

    path: Path
    result: Result


@dataclass(frozen=True)
class BundleSource:
    """A bundle that was given, its files checked against its manifest. `size_bytes` is that of the flatbuffer."""

    bundle: Bundle
    labels: tuple[str, ...]
    golden: Golden
    size_bytes: int

    @property
    def sha256(self) -> str:
        """SHA-256 of the flatbuffer, by which results name it."""
        return self.bundle.manifest.files[MODEL]

    @property
    def name(self) -> str:
        """The bundle's name, by its manifest."""
        return self.bundle.manifest.name


@dataclass(frozen=True)
class Comparison:
    """Artifacts measured against one baseline on one set of images; target by target, the baseline first on each.

    `baseline` is None where a result has none; `data` is None where only speed was measured.
    """

    artifacts: tuple[ArtifactResult, ...]
    data: DataRecord | None
    sources: tuple[ResultSource, ...]

    @property
    def baseline(self) -> ArtifactResult | None:
        """What the others are compared with, on the first target."""
        return next((artifact for artifact in self.artifacts if artifact.baseline), None)

    def baseline_of(self, artifact: ArtifactResult) -> ArtifactResult | None:
        """What an artifact is compared with: the baseline on its own target, where it ran there."""
        there = (each for each in self.artifacts if each.baseline and each.target == artifact.target)
        return next(there, self.baseline)

    @property
    def others(self) -> tuple[ArtifactResult, ...]:
        """Every artifact but the baseline."""
        return tuple(artifact for artifact in self.artifacts if not artifact.baseline)

    def label(self, artifact: ArtifactResult) -> str:
        """The artifact's name, with what tells it apart from another of that name."""
        same = [other for other in self.artifacts if other.name == artifact.name]
        if len(same) == 1:
            return artifact.name
        if len({other.target for other in same}) == len(same):
            return f"{artifact.name} on {artifact.target}"
        return f"{artifact.name} on {artifact.target} ({artifact.sha256[:8]})"


@dataclass(frozen=True)
class Story:
    """Everything that one report is made from, in the order in which it was given."""

    runs: tuple[RunSource, ...]
    bundles: tuple[BundleSource, ...]
    results: tuple[ResultSource, ...]

    @property
    def comparisons(self) -> tuple[Comparison, ...]:
        """The results, joined; see `join`."""
        return join(self.results)

    @property
    def unmeasured(self) -> tuple[BundleSource, ...]:
        """Bundles of which no result speaks."""
        measured = {artifact.sha256 for source in self.results for artifact in source.result.artifacts}
        return tuple(bundle for bundle in self.bundles if bundle.sha256 not in measured)


def join(sources: Iterable[ResultSource]) -> tuple[Comparison, ...]:
    """Join results that share a baseline and complete each other, as accuracy and latency of the same artifacts do.

    Two results that measured the same thing of the same artifact stay apart: neither is silently preferred.
    """
    comparisons: list[Comparison] = []
    for source in sources:
        alone = Comparison(_by_target(source.result.artifacts), source.result.data, (source,))
        for position, comparison in enumerate(comparisons):
            if (joined := _joined(comparison, alone)) is not None:
                comparisons[position] = joined
                break
        else:
            comparisons.append(alone)
    return tuple(comparisons)


def _joined(one: Comparison, two: Comparison) -> Comparison | None:
    if one.baseline is None or two.baseline is None or one.baseline.sha256 != two.baseline.sha256:
        return None
    if one.data and two.data and _images(one.data) != _images(two.data):
        return None
    rows = {_key(artifact): artifact for artifact in one.artifacts}
    if len(rows) != len(one.artifacts):
        return None
    for artifact in two.artifacts:
        merged = _merged(rows.get(_key(artifact)), artifact)
        if merged is None:
            return None
        rows[_key(artifact)] = merged
    return Comparison(_by_target(tuple(rows.values())), one.data or two.data, one.sources + two.sources)


def _images(data: DataRecord) -> tuple[str, str, int]:
    return data.sha256, data.split, data.images


def _key(artifact: ArtifactResult) -> tuple[str, str, str, bool]:
    return artifact.name, artifact.sha256, artifact.target, artifact.baseline


def _merged(one: ArtifactResult | None, two: ArtifactResult) -> ArtifactResult | None:
    """Both in one, or None where both hold the same part, differently."""
    if one is None:
        return two
    parts = {}
    for name in _PARTS:
        first, second = getattr(one, name), getattr(two, name)
        if first is not None and second is not None and first != second:
            return None
        parts[name] = second if first is None else first
    evidence = joined_evidence(one, two)
    if evidence is None:
        return None
    return without_what_is_there(replace(one, **parts, **evidence, device=one.device or two.device), two)


def _by_target(artifacts: Sequence[ArtifactResult]) -> tuple[ArtifactResult, ...]:
    """Target by target in the order in which they come up, the baseline first on each."""
    targets = list(dict.fromkeys(artifact.target for artifact in artifacts))
    return tuple(sorted(artifacts, key=lambda artifact: (targets.index(artifact.target), not artifact.baseline)))
