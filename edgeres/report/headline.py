"""What the report says first: what the model is, and one honest sentence about each artifact."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from edgeres.preprocess import Preprocess
from edgeres.report.parity import statement
from edgeres.report.story import Comparison, Story
from edgeres.report.wording import NOT_MEASURED, NOT_PROVED, difference, level, number, points, size, spoken, times
from edgeres.results import Accuracy, ArtifactResult, Latency

DROP_MEANING = {
    "pass": "pass, the drop is within the margin{margin}",
    "fail": "fail, the drop is beyond the margin{margin}",
    "insufficient": "insufficient, these images cannot tell whether the drop is within the margin{margin}",
}
SPEED_MEANING = {
    "faster": "faster",
    "slower": "slower",
    "equivalent": "equivalent, no difference that matters",
    "inconclusive": "inconclusive, the measurement cannot tell which is faster",
}


@dataclass(frozen=True)
class Sentence:
    """What is said of one artifact, `subject` its name, `verdicts` the conclusions within the text."""

    subject: str
    text: str
    verdicts: tuple[str, ...] = ()


def model_facts(story: Story) -> dict[str, str]:
    """What the model is: network, parameters, data, classes, input, preprocessing; what is not known is left out."""
    facts: dict[str, str] = {}
    for source in _descriptions(story):
        for name, value in source.items():
            if value:
                facts.setdefault(name, str(value))
    return facts


def _descriptions(story: Story) -> Iterator[dict[str, Any]]:
    """Descriptions of the model, the best informed first."""
    for run in story.runs:
        built, data = run.config.network, run.config.data
        yield {
            "Network": built.name if built.width == 1 else f"{built.name}, width × {built.width:g}",
            "Parameters": f"{built.parameters:,}",
            "Data": data.source,
            **_input(run.config.preprocess),
            "Classes": _classes(data.labels),
        }
    for bundle in story.bundles:
        manifest = bundle.bundle.manifest
        network = manifest.source.get("network") or manifest.name
        known = network if isinstance(network, dict) else {"name": network}
        parameters = known.get("parameters")
        yield {
            "Network": known.get("name"),
            "Parameters": f"{parameters:,}" if isinstance(parameters, int) else None,
            "Data": manifest.data.source,
            **_input(manifest.preprocess),
            "Classes": _classes(bundle.labels),
        }
    for comparison in story.comparisons:
        if comparison.baseline:
            yield {"Network": comparison.baseline.name}
        if comparison.data:
            yield {"Data": comparison.data.source, "Classes": _classes(comparison.data.labels or ())}


def _classes(labels: tuple[str, ...]) -> str:
    if not labels:
        return ""
    shown = ", ".join(labels[:10])
    return f"{len(labels)}: {shown}{', …' if len(labels) > 10 else ''}"


def _input(contract: Preprocess) -> dict[str, str]:
    return {
        "Input": f"{contract.height} × {contract.width} pixels, {contract.channels}",
        "Preprocessing": preprocessing(contract),
    }


def preprocessing(contract: Preprocess) -> str:
    """The contract in a line: how an image is fitted, and what becomes of a pixel in 0…255."""
    fit = {"stretch": "stretched", "crop": f"cropped ({contract.crop_fraction:g})", "pad": "padded"}[contract.resize]
    value = "pixel" if contract.scale == 1 else f"pixel × {contract.scale:.6g}"
    if any(contract.mean):
        value = f"{value} − {_per_channel(contract.mean)}"
    if any(deviation != 1 for deviation in contract.std):
        value = (
            f"({value}) ÷ {_per_channel(contract.std)}"
            if any(contract.mean)
            else (f"{value} ÷ {_per_channel(contract.std)}")
        )
    return f"{fit} ({contract.kernel}), {value}"


def _per_channel(values: tuple[float, ...]) -> str:
    return f"{values[0]:g}" if len(values) == 1 else f"({', '.join(f'{value:g}' for value in values)})"


def sentences(story: Story) -> tuple[Sentence, ...]:
    """One sentence about every artifact that was compared, and about every bundle that was not measured."""
    artifacts = [artifact for comparison in story.comparisons for artifact in comparison.artifacts]
    said = [
        Sentence(f"{artifact.name} on {artifact.target}", f"{NOT_PROVED}: {difference(artifact.proof)}.")
        for artifact in artifacts
        if artifact.proof and not artifact.proof.passed
    ]
    said += [
        Sentence(artifact.name, f"{statement(artifact.parity)}.")
        for artifact in artifacts
        if artifact.parity and not artifact.parity.passed
    ]
    said += [
        Sentence(f"{artifact.name} on {artifact.target}", f"{NOT_MEASURED}: {artifact.failure.message}.")
        for artifact in artifacts
        if artifact.failure
    ]
    said += [
        _about(comparison, artifact)
        for comparison in story.comparisons
        for artifact in comparison.others
        if artifact.failure is None
    ]
    said += [
        Sentence(bundle.name, f"is {size(bundle.size_bytes)}; neither its accuracy nor its speed was measured.")
        for bundle in story.unmeasured
    ]
    return tuple(said)


def _about(comparison: Comparison, artifact: ArtifactResult) -> Sentence:
    baseline = comparison.baseline_of(artifact)
    text = f"is {size(artifact.size_bytes)}"
    if baseline is None:
        return Sentence(comparison.label(artifact), f"{text}; there is no baseline to compare it with.")
    against = comparison.label(baseline)
    if baseline.size_bytes:
        share = artifact.size_bytes / baseline.size_bytes * 100
        text = f"{text}, {share:.1f} % of the {size(baseline.size_bytes)} of {against}"
    parts = [text, _drop(artifact.accuracy), _speed(artifact.latency, against, artifact.target)]
    verdicts = (
        artifact.accuracy.verdict if artifact.accuracy else None,
        artifact.latency.verdict if artifact.latency else None,
    )
    return Sentence(comparison.label(artifact), "; ".join(parts) + ".", tuple(filter(None, verdicts)))


def _drop(accuracy: Accuracy | None) -> str:
    if accuracy is None or accuracy.top1_drop_points is None:
        return "its accuracy was not compared"
    drop = accuracy.top1_drop_points
    margin = "" if accuracy.margin_points is None else f" of {_points(accuracy.margin_points)}"
    verdict = DROP_MEANING[accuracy.verdict].format(margin=margin) if accuracy.verdict else "no margin was set"
    bounds, needed = accuracy.top1_drop_bounds_points, accuracy.images_needed
    bound = f", at most {number(bounds.high, 2)} (one-sided {level(bounds)} bound)" if bounds else ""
    more = f"; about {needed:,} would" if needed else ""
    return f"top-1 drop {spoken(drop, points(drop))}{bound} on {accuracy.images:,} images: {verdict}{more}"


def _points(margin: float) -> str:
    return f"{margin:g} {'point' if margin == 1 else 'points'}"


def _speed(latency: Latency | None, against: str, target: str) -> str:
    if latency is None or latency.speedup is None:
        return "its speed was not compared"
    ratio = latency.speedup
    threads = "1 thread" if latency.threads == 1 else f"{latency.threads} threads"
    verdict = SPEED_MEANING[latency.verdict] if latency.verdict else "no verdict"
    return f"{spoken(ratio, times(ratio))} the speed of {against} on {target}, {threads}: {verdict}"
