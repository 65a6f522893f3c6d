"""Does every figure of a result follow from the raw data beside it: rounds, runs, starts, answers to each image?"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from edgeres.errors import ArtifactError
from edgeres.records import encode
from edgeres.results import Accuracy, ArtifactResult, Conditions, DataRecord, Result, part_of
from targets import energy, operator_times, startup, throughput
from targets.conditions import Evidence, flags
from targets.latency import summarize
from targets.predictions import MOST_FLIPS, Predictions
from targets.scoring import score
from targets.trend import trend

TOLERANCE = 1e-9
"""Largest relative difference that other versions of numpy may make."""

_RAW = (
    "flips", "rounds", "rates", "idle_watts", "inferences_mj", "inferences_ms", "runs_ms", "totals_ms", "starts",
    "reference_ms",
)  # fmt: skip
"""Raw data that are more than numbers: what was computed from them is compared."""

_NO_FIGURES = (".level", ".method", ".n")
"""What goes with a figure: compared, but not counted."""


@dataclass(frozen=True)
class Difference:
    """A stored figure that is not what its raw data give: `computed` is a number, a verdict, or what is wrong."""

    figure: str
    stored: Any
    computed: Any


@dataclass(frozen=True)
class Recomputed:
    """How many figures were computed again, which differ, and which have no raw data in the result."""

    figures: int
    differences: tuple[Difference, ...]
    without_raw_data: tuple[str, ...]

    def require(self, where: str) -> None:
        """Raise where a figure does not follow.

        Raises:
            ArtifactError: names the first of them, stored and computed.
        """
        if self.differences:
            shown = [f"{each.figure}: stored {each.stored}, computed {each.computed}" for each in self.differences[:10]]
            raise ArtifactError(
                f"{where}: {len(self.differences)} figures do not follow from the raw data",
                details=shown,
                fix="measure again",
            )


class _Mismatch(Exception):  # noqa: N818 - a finding
    """Raw data that do not fit together."""


def recompute(result: Result) -> Recomputed:
    """Compute every figure of a result again from its raw data, by the functions that computed it first."""
    figures, differences = 0, list[Difference]()
    bare: list[str] = []
    for artifact in result.artifacts:
        baseline = next(
            (one for one in result.artifacts if one.baseline and one.target == artifact.target and one != artifact),
            None,
        )
        for part, again in _AGAIN.items():
            stored, place = part_of(artifact, part), f"{artifact.name} on {artifact.target}: {part}"
            if stored is None:
                continue
            try:
                computed = again(artifact, baseline, result)
            except (_Mismatch, ValueError, ArithmeticError) as problem:
                differences.append(Difference(place, "raw data", str(problem)))
                continue
            if computed is None:
                bare.append(place)
                continue
            found = list(_leaves(encode(stored), encode(computed), place, whole=part == "accuracy"))
            figures += sum(not each.figure.endswith(_NO_FIGURES) for each in found)
            differences += [each for each in found if not _same(each.stored, each.computed)]
    return Recomputed(figures, tuple(differences), tuple(bare))


def _accuracy(artifact: ArtifactResult, baseline: ArtifactResult | None, result: Result) -> Accuracy | None:
    own, data = artifact.accuracy, result.data
    if own is None or own.predictions is None or data is None or data.truth is None or data.labels is None:
        return None
    kept, reference = _fitting(own, data), None
    if own.top1_drop_points is not None:
        if baseline is None or baseline.accuracy is None:
            raise _Mismatch("the baseline is not in the result")
        reference = _fitting(baseline.accuracy, data)
        _require_flips(own, reference.top1)
    found = score(
        kept,
        np.asarray(data.truth),
        classes=len(data.labels),
        baseline=reference,
        margin_points=1.0 if own.margin_points is None else own.margin_points,
    )
    return replace(found, top5=own.top5) if own.missed_top5 is None else found  # older results hold no raw top-5


def _fitting(accuracy: Accuracy, data: DataRecord) -> Predictions:
    """The stored predictions, where there is one of everything for each image."""
    kept, n = Predictions.stored(accuracy), len(data.truth or ())
    lengths = {"predictions": len(kept.top1), "images": data.images}
    if accuracy.calibration is not None:
        lengths["confidences"] = len(kept.confidences)
    if accuracy.divergence is not None:
        lengths |= {"kls_nats": len(kept.kls_nats), "sqnrs_db": len(kept.sqnrs_db) or n}
    for name, length in lengths.items():
        if length != n:
            raise _Mismatch(f"{length} {name} for {n} images")
    answered = {
        image for image in kept.missed_top5 if not 0 <= image < n or kept.top1[image] == (data.truth or ())[image]
    }
    if answered or len(set(kept.missed_top5)) != len(kept.missed_top5):
        raise _Mismatch("missed_top5 lists an image that is not there, is classified right, or is listed twice")
    return kept


def _require_flips(own: Accuracy, before: list[int]) -> None:
    pairs = enumerate(zip(before, own.predictions or (), strict=True))
    flipped = [(index, first, second) for index, (first, second) in pairs if first != second][:MOST_FLIPS]
    if own.flips is not None and flipped != [(flip.index, flip.baseline, flip.artifact) for flip in own.flips]:
        raise _Mismatch("the flips are not those of the predictions")


def _latency(artifact: ArtifactResult, baseline: ArtifactResult | None, result: Result) -> Any:
    own = artifact.latency
    if own is None:
        return None
    theirs = baseline.latency if baseline else None
    if own.speedup is not None and theirs is None:
        raise _Mismatch("the baseline is not in the result")
    rounds = theirs.rounds if theirs and own.speedup else None
    conditions = own.conditions and _conditions(own.conditions, own.rounds, result)
    found = summarize(
        own.rounds,
        threads=own.threads,
        baseline=rounds,
        planned=own.looks or 1,
        processes=own.processes,
        conditions=conditions,
    )
    sides = (artifact, baseline) if baseline else (artifact,)
    return replace(found, verdict="inconclusive") if found.verdict and any(each.unproved for each in sides) else found


def _conditions(own: Conditions, rounds: tuple[tuple[float, ...], ...], result: Result) -> Conditions:
    """The trends of the rounds and of the reference kernel, and the flags; what the system counted is raw itself.

    Those timed together hold the same times of the reference kernel.
    """
    measured = [artifact.latency.conditions for artifact in result.artifacts if artifact.latency]
    together = sum(each is not None and each.reference_ms == own.reference_ms for each in measured)
    ours, reference = trend([statistics.median(block) for block in rounds]), trend(own.reference_ms)
    counted = own.pressure, own.steal, own.switches_per_s, own.throttled
    judged = flags(Evidence(ours, reference, *counted, series=together + 1))
    return replace(own, flags=judged, trend=ours, reference=reference)


def _startup(artifact: ArtifactResult, _: ArtifactResult | None, __: Result) -> Any:
    return None if artifact.startup is None else startup.summarize(artifact.startup.starts)


def _throughput(artifact: ArtifactResult, _: ArtifactResult | None, __: Result) -> Any:
    rates = artifact.throughput or ()
    return throughput.again(rates) if all(rate.rates for rate in rates) else None


def _energy(artifact: ArtifactResult, baseline: ArtifactResult | None, _: Result) -> Any:
    own, theirs = artifact.energy, baseline.energy if baseline else None
    if own is None or not own.idle_watts:
        return None
    if own.saving is not None and theirs is None:
        raise _Mismatch("the baseline is not in the result")
    return energy.again(own, baseline=theirs if own.saving else None)


def _operators(artifact: ArtifactResult, _: ArtifactResult | None, __: Result) -> Any:
    timed = artifact.operators.timed if artifact.operators else None
    return operator_times.again(timed) if timed and timed.totals_ms else None


_AGAIN: dict[str, Callable[[ArtifactResult, ArtifactResult | None, Result], Any]] = {
    "accuracy": _accuracy,
    "latency": _latency,
    "throughput": _throughput,
    "energy": _energy,
    "startup": _startup,
    "operators.timed": _operators,
}
"""What computes a part of an artifact again, from it, its baseline and the data; None where it holds no raw data."""


def _leaves(stored: Any, computed: Any, place: str, *, whole: bool) -> Iterator[Difference]:
    """Every figure of the stored part beside the computed one.

    `whole`: what is stored and not computed differs; else it is no figure of the raw data, and left alone.
    """
    if isinstance(stored, dict):
        for key, value in stored.items():
            if key in _RAW:
                continue
            if isinstance(computed, dict) and key in computed:
                yield from _leaves(value, computed[key], f"{place}.{key}", whole=whole)
            elif whole:
                yield Difference(f"{place}.{key}", value, "nothing")
    elif isinstance(stored, list) and isinstance(computed, list) and len(stored) == len(computed):
        if any(isinstance(each, dict) for each in stored):
            for index, (one, other) in enumerate(zip(stored, computed, strict=True)):
                yield from _leaves(one, other, f"{place}[{index}]", whole=whole)
        elif stored != computed:
            yield Difference(place, stored, computed)
    else:
        yield Difference(place, stored, computed)


def _same(stored: Any, computed: Any) -> bool:
    numbers = all(isinstance(each, (int, float)) and not isinstance(each, bool) for each in (stored, computed))
    return math.isclose(stored, computed, rel_tol=TOLERANCE, abs_tol=1e-12) if numbers else bool(stored == computed)
