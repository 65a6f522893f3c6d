"""The first sentence of a report, and the figures beneath it: of the artifact that one would take.

That is, of those that pass, the one with the largest proved speed-up, else the smallest. Where none passes, that is
what the sentence says.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from edgeres.report.story import Comparison, Story
from edgeres.report.wording import Figure, number, percent, points, quantity, size, times
from edgeres.results import ArtifactResult


@dataclass(frozen=True)
class Lead:
    """One sentence, and named figures; `detail` goes with it in smaller letters."""

    sentence: str
    detail: str
    tiles: tuple[tuple[str, Figure], ...]


def best(comparison: Comparison) -> ArtifactResult | None:
    """The artifact that one would take; None where nothing speaks for any.

    Of the proved ones: those that pass, or all where no accuracy was compared; of these the fastest of those that are
    faster than the baseline, else the smallest that passes.
    """
    sound = [each for each in comparison.others if not each.unproved]
    compared = any(each.accuracy and each.accuracy.verdict for each in comparison.others)
    able = [each for each in sound if not compared or (each.accuracy and each.accuracy.verdict == "pass")]
    faster = [each for each in able if _is_faster(each)]
    if faster:
        return max(faster, key=_speedup)
    return min(able, key=lambda each: each.size_bytes) if able and compared else None


def _is_faster(artifact: ArtifactResult) -> bool:
    return artifact.latency is not None and artifact.latency.verdict == "faster"


def _speedup(artifact: ArtifactResult) -> float:
    return artifact.latency.speedup.value if artifact.latency and artifact.latency.speedup else 0.0


def outstanding(comparison: Comparison) -> ArtifactResult | None:
    """What to draw first: the best artifact, else the first that is compared."""
    return best(comparison) or next(iter(comparison.others), None)


def lead(story: Story) -> Lead | None:
    """The sentence about the first comparison that has another artifact than the baseline; None without any."""
    comparison = next((each for each in story.comparisons if each.baseline and each.others), None)
    if comparison is None:
        return None
    artifact = best(comparison)
    if artifact is None:
        return _none(comparison)
    return Lead(_sentence(comparison, artifact), _detail(comparison), _tiles(comparison, artifact))


def _none(comparison: Comparison) -> Lead:
    """What to say where nothing speaks for any artifact."""
    verdicts = [each.accuracy.verdict for each in comparison.others if each.accuracy and each.accuracy.verdict]
    count = len(comparison.others)
    if not verdicts:
        return Lead(_counted(count, "shown to be faster than the baseline"), _detail(comparison), ())
    margins = {each.accuracy.margin_points for each in comparison.others if each.accuracy} - {None}
    margin = f" of {_margin(margins.pop() or 0)}" if len(margins) == 1 else ""
    detail = f"{verdicts.count('fail')} lose more; for {verdicts.count('insufficient')} the images are too few to tell."
    return Lead(_counted(count, f"shown to keep its accuracy within the margin{margin}"), detail, ())


def _counted(count: int, what: str) -> str:
    return f"None of the {count} artifacts is {what}." if count > 1 else f"The artifact is not {what}."


def _margin(value: float) -> str:
    return f"{value:g} {'point' if value == 1 else 'points'}"


def _sentence(comparison: Comparison, artifact: ArtifactResult) -> str:
    baseline = comparison.baseline_of(artifact)
    against = comparison.label(baseline) if baseline else "the baseline"
    said = []
    if _is_faster(artifact) and artifact.latency and artifact.latency.speedup:
        ratio = times(artifact.latency.speedup)
        said.append(f"runs {ratio.value} ({ratio.note}) as fast as {against}")
    elif artifact.latency and artifact.latency.verdict:
        said.append(f"is not shown to be faster than {against}")
    if baseline and baseline.size_bytes:
        said.append(f"takes {100 * artifact.size_bytes / baseline.size_bytes:.0f} % of its space")
    accuracy = artifact.accuracy
    if accuracy and accuracy.verdict == "pass":
        bound = accuracy.top1_drop_bounds_points
        most = f": it loses at most {number(max(0.0, bound.high), 2)} points" if bound else ""
        said.append(f"keeps its accuracy{most}")
    else:
        said.append("was not compared in accuracy")
    head, last = said[:-1], said[-1]
    return f"{comparison.label(artifact)} {', '.join(head)}{' and ' if head else ''}{last}."


def _detail(comparison: Comparison) -> str:
    """On what, and where."""
    data, baseline = comparison.data, comparison.baseline
    said = [f"{data.images:,} {data.split} images of {data.source}"] if data else []
    threads = sorted({each.latency.threads for each in comparison.artifacts if each.latency})
    if threads and baseline:
        count = " or ".join(map(str, threads))
        said.append(f"{baseline.target}, {count} thread{'' if threads == [1] else 's'}")
        cpus = {str(source.result.environment.get("cpu")) for source in comparison.sources if source.result.environment}
        said += [f"{cpus.pop()}"] if len(cpus) == 1 else []
    return "; ".join(said)


def _tiles(comparison: Comparison, artifact: ArtifactResult) -> tuple[tuple[str, Figure], ...]:
    baseline, accuracy, latency = comparison.baseline_of(artifact), artifact.accuracy, artifact.latency
    tiles = []
    if latency and latency.speedup:
        tiles.append(("Speed-up", replace(times(latency.speedup), verdict=latency.verdict or "")))
    if latency:
        tiles.append(("Latency, p50", quantity(latency.p50_ms, " ms")))
    if accuracy and accuracy.top1_drop_points:
        tiles.append(("Top-1 drop", replace(points(accuracy.top1_drop_points), verdict=accuracy.verdict or "")))
    if accuracy:
        tiles.append(("Top-1", percent(accuracy.top1)))
    whole = f"of {size(baseline.size_bytes)}" if baseline else ""
    return (*tiles, ("Size", Figure(size(artifact.size_bytes), whole)))
