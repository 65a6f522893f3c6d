"""MODEL_CARD.md: what a bundle's manifest and measured results say of a model, and nothing else.

The sections follow Mitchell et al., "Model Cards for Model Reporting" (2019) as far as they are known; what nobody
measured is said to be not measured.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from converters.apps.literals import markdown
from converters.apps.source import Source
from edgeres.bundle import Manifest
from edgeres.errors import ArtifactError
from edgeres.records import encode
from edgeres.report.markdown import measured_on, table
from edgeres.report.sources import read_story
from edgeres.report.story import Comparison
from edgeres.report.wording import size
from edgeres.storage import sha256_bytes

_LABELS_SHOWN = 20


def render(source: Source, results: Sequence[Path] = ()) -> str:
    """The card as Markdown, ending in a line break; `results` are files that `--json` of evaluate and profile wrote.

    Raises:
        ArtifactError: a result is corrupt, or none of its artifacts is this model.
    """
    blocks = [f"# {markdown(source.name)}", *_model(source), *_origin(source.bundle.manifest)]
    blocks += ["## Measured", *(_measured(source, results) if results else ["Not measured."])]
    return "\n\n".join(blocks) + "\n"


def _model(source: Source) -> Iterator[str]:
    height, width, depth = source.contract.shape
    shown = ", ".join(markdown(label) for label in source.labels[:_LABELS_SHOWN])
    more = len(source.labels) - _LABELS_SHOWN
    yield "An image classifier. It gives a score to each of its classes, also for an image that shows none of them."
    yield _pairs(
        {
            "Classes": f"{len(source.labels)}: {shown}{f', and {more} more' if more > 0 else ''}",
            "Input": f"{height} x {width} x {depth}, {source.input.dtype}",
            "Output": f"{source.output.dtype}, {'probabilities' if source.gives_probabilities else 'logits'}",
            "Size": f"{size(len(source.model))} ({len(source.model):,} bytes)",
            "SHA-256": f"`{sha256_bytes(source.model)}`",
            "Preprocessing": markdown(json.dumps(encode(source.contract))),
        }
    )


def _origin(manifest: Manifest) -> Iterator[str]:
    yield "## How it was made"
    yield _pairs(
        {
            "Created": markdown(manifest.created),
            "From": markdown(json.dumps(manifest.source)),
            "Data": f"{markdown(manifest.data.source)}, splits dealt by seed {manifest.data.split_seed}",
            "Recipe": markdown(json.dumps(manifest.recipe)),
            "Seeds": markdown(json.dumps(manifest.seeds)),
            "Versions": markdown(", ".join(f"{name} {version}" for name, version in manifest.versions.items())),
            "SHA-256 of the inputs": markdown(", ".join(f"{role} {sha}" for role, sha in manifest.inputs.items())),
        }
    )


def _measured(source: Source, results: Sequence[Path]) -> Iterator[str]:
    own = sha256_bytes(source.model)
    story = read_story(results)
    for result in story.results:
        if all(artifact.sha256 != own for artifact in result.result.artifacts):
            raise ArtifactError(
                f"{result.path} says nothing of this model",
                details=(f"sha256 of the model {own}",),
                fix="measure this bundle: edgeres evaluate BUNDLE --data SOURCE --json FILE.json",
            )
    for comparison in story.comparisons:
        yield table(comparison, of=own)
        yield from _data(comparison)
    yield from measured_on(story)


def _data(comparison: Comparison) -> Iterator[str]:
    if (data := comparison.data) is not None:
        yield f"Accuracy on {data.images:,} images of {markdown(data.source)}, {markdown(data.split)} split."


def _pairs(values: dict[str, str]) -> str:
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in values.items())])
