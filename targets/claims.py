"""What a result claims of a bundle, measured again on this machine.

A claim is `confirmed`, `refuted`, or `not comparable`: measured on another CPU, on images that are not here, or against
a baseline that is not here. Accuracy is compared image by image. Times of two runs differ by more than their intervals,
for a machine's speed drifts: they are given some slack.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from edgeres.data import open_dataset
from edgeres.errors import ConfigError, DataError, MissingExtraError, TargetError
from edgeres.progress import Progress, silent
from edgeres.report.wording import NONE, interval, size
from edgeres.results import MACHINE, ArtifactResult, Estimate, Result
from targets.artifact import Artifact, open_artifact
from targets.catalogue import find_target
from targets.evaluation import Evaluation, evaluate
from targets.latency import MIN_ROUNDS, Protocol
from targets.machine import machine_of
from targets.paired import drop_bounds, pairs
from targets.profiling import profile

SLACK = 0.1
"""Times of two runs within 10 % of each other's intervals are the same to a claim."""

Outcome = Literal["confirmed", "refuted", "not comparable"]


@dataclass(frozen=True)
class Claim:
    """A figure of a result, and what was found here; `why` says what was compared, or why it could not be."""

    claim: str
    outcome: Outcome
    claimed: Estimate | float
    found: Estimate | float | None = None
    why: str | None = None


@dataclass(frozen=True)
class Material:
    """What measuring again may need: where the images are here, and the file of the baseline."""

    data: str | None = None
    baseline: str | None = None


def check_claims(
    bundle: Path | str, results: Sequence[tuple[Path, Result]], material: Material, *, progress: Progress = silent
) -> tuple[Claim, ...]:
    """Measure again what the results say of a bundle.

    Raises:
        ConfigError: a result that says nothing of this bundle's flatbuffer.
    """
    artifact = open_artifact(bundle)
    claims: list[Claim] = []
    for path, result in results:
        rows = [row for row in result.artifacts if row.sha256 == artifact.sha256]
        if not rows:
            raise ConfigError(
                f"{path} says nothing of {bundle}: none of its artifacts has the SHA-256 {artifact.sha256[:16]}…",
                fix="give a result of evaluate or profile in which this bundle was measured",
            )
        for row in rows:
            claims += _claims(artifact, row, result, material, progress)
    return tuple(claims)


def claim_cells(claims: Sequence[Claim]) -> list[tuple[str, str, str, str, str]]:
    """The claims as rows of a table: claim, outcome, claimed, found here, why."""
    return [(one.claim, one.outcome, _shown(one, one.claimed), _shown(one, one.found), one.why or "") for one in claims]


def _shown(claim: Claim, value: Estimate | float | None) -> str:
    if isinstance(value, Estimate):
        unit, factor = {"top-1": (" %", 100), "p50": (" ms", 1), "speed-up": ("x", 1)}[claim.claim]
        return interval(value, unit, factor=factor, decimals=None if claim.claim == "p50" else 2)
    return NONE if value is None else size(round(value))


def _claims(
    artifact: Artifact, row: ArtifactResult, result: Result, material: Material, progress: Progress
) -> Iterator[Claim]:
    found = len(artifact.model)
    yield Claim("size", "confirmed" if row.size_bytes == found else "refuted", row.size_bytes, found)
    if row.accuracy:
        yield _top1(artifact, row, result, material, progress)
    if row.latency:
        yield from _times(artifact, row, result, material, progress)


def _top1(artifact: Artifact, row: ArtifactResult, result: Result, material: Material, progress: Progress) -> Claim:
    """Refuted where this machine is right less often on the same images, and more so than chance allows."""
    accuracy, data = row.accuracy, result.data
    if accuracy is None or data is None:
        raise ValueError("expected an accuracy with its data")
    if data.truth is None or accuracy.predictions is None or len(data.truth) != len(accuracy.predictions):
        return Claim("top-1", "not comparable", accuracy.top1, why="the result keeps no answers to each image")
    source = material.data or data.source
    try:
        dataset = open_dataset(source, seed=data.seed)
        plan = Evaluation(target=row.target, split=data.split, images=data.images)
        found = evaluate([artifact], dataset, plan=plan, progress=progress)
    except (DataError, MissingExtraError) as error:
        return Claim("top-1", "not comparable", accuracy.top1, why=f"the images are not here: {error.message}")
    except (TargetError, ConfigError) as error:
        return Claim("top-1", "not comparable", accuracy.top1, why=error.message)
    own = found.artifacts[0].accuracy
    if found.data is None or own is None or found.data.sha256 != data.sha256:
        return Claim("top-1", "not comparable", accuracy.top1, why=f"{source} holds other images here")
    truth = np.asarray(data.truth)
    bounds = drop_bounds(pairs(np.asarray(accuracy.predictions) == truth, np.asarray(own.predictions) == truth))
    outcome: Outcome = "refuted" if bounds.low > 0 else "confirmed"
    changed = sum(before != after for before, after in zip(accuracy.predictions, own.predictions or (), strict=True))
    why = f"{changed:,} of {data.images:,} answers changed"
    return Claim("top-1", outcome, accuracy.top1, own.top1, why)


def _times(
    artifact: Artifact, row: ArtifactResult, result: Result, material: Material, progress: Progress
) -> Iterator[Claim]:
    latency = row.latency
    if latency is None:
        raise ValueError("expected a latency")
    why = _elsewhere(row, result)
    found, reference = None, None if why else _baseline(row, result, material)
    if why is None:
        measured = [artifact] if reference is None else [reference, artifact]
        protocol = Protocol(rounds=max(MIN_ROUNDS, latency.p50_ms.n), threads=latency.threads)
        try:
            place = None if reference is None else 0
            again = profile(measured, baseline=place, targets=(row.target,), protocol=protocol, progress=progress)
            found = again.artifacts[-1].latency
        except (TargetError, ConfigError) as error:
            why = error.message
    if found is None:
        yield Claim("p50", "not comparable", latency.p50_ms, why=why)
    else:
        outcome: Outcome = "refuted" if found.p50_ms.low > latency.p50_ms.high * (1 + SLACK) else "confirmed"
        yield Claim("p50", outcome, latency.p50_ms, found.p50_ms, "slower is refuted, beyond 10 % and both intervals")
    if latency.speedup is not None:
        if found is None or found.speedup is None:
            missing = why or "the baseline of the claim is not here: give it with --baseline"
            yield Claim("speed-up", "not comparable", latency.speedup, why=missing)
        else:
            slower = found.speedup.high * (1 + SLACK) < latency.speedup.low
            yield Claim("speed-up", "refuted" if slower else "confirmed", latency.speedup, found.speedup)


def _elsewhere(row: ArtifactResult, result: Result) -> str | None:
    """Why a time that was measured here would be none of the claim's; None where it would."""
    try:
        here = machine_of(find_target(row.target)).describe()
    except (TargetError, ConfigError) as error:
        return error.message
    measured = result.environment_of(row)
    other = [name for name in MACHINE if here.get(name) != measured.get(name)]
    return f"measured on another machine ({', '.join(other)})" if other else None


def _baseline(row: ArtifactResult, result: Result, material: Material) -> Artifact | None:
    """The artifact that the claim was measured against, where it is here: by its SHA-256.

    Raises:
        ConfigError: what was given is another.
    """
    if material.baseline is None:
        return None
    claimed = next((each for each in result.artifacts if each.baseline and each.target == row.target), None)
    given = open_artifact(material.baseline)
    if claimed is None or given.sha256 != claimed.sha256:
        name = claimed.name if claimed else "none"
        raise ConfigError(
            f"{material.baseline} is not the baseline of the claim ({name})", fix="give the file that was measured then"
        )
    return given
