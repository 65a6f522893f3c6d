"""What an app is made from: a bundle, read and checked, before anything is written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from converters.metadata.attachment import detached
from edgeres.bundle import LABELS, MANIFEST, MODEL, Bundle, Golden, is_bundle, open_bundle
from edgeres.errors import ArtifactError, ConfigError, ModelError
from edgeres.preprocess import Preprocess
from edgeres.records import encode
from targets.classifier import check_classifier
from targets.flatbuffer import walk
from targets.graph import Graph, Tensor


@dataclass(frozen=True)
class Source:
    """A bundle whose files have been checked against its manifest and each other.

    `model`: the flatbuffer, `graph`: its structure. `labels`: one for each output.
    """

    bundle: Bundle
    model: bytes
    graph: Graph
    labels: tuple[str, ...]
    golden: Golden

    @property
    def name(self) -> str:
        """The bundle's name, by its manifest."""
        return self.bundle.manifest.name

    @property
    def bare_model(self) -> bytes:
        """The model without its metadata: what a device needs that has the labels elsewhere, and little memory."""
        return detached(self.model)

    @property
    def contract(self) -> Preprocess:
        """How pixels become the model's input."""
        return self.bundle.manifest.preprocess

    @property
    def input(self) -> Tensor:
        """The model's input: (1, height, width, channels)."""
        return self.graph.inputs[0]

    @property
    def output(self) -> Tensor:
        """The model's output: (1, classes)."""
        return self.graph.outputs[0]

    @property
    def gives_probabilities(self) -> bool:
        """Whether the model ends in a softmax or a sigmoid; else its scores are logits."""
        return self.graph.gives_probabilities

    def description(self) -> dict[str, Any]:
        """What an app that reads JSON has to know, as JSON values."""
        return {
            "name": self.name,
            "labels": list(self.labels),
            "preprocess": encode(self.contract),
            "probabilities": self.gives_probabilities,
            "tolerance": self.bundle.manifest.tolerance,
        }


def read_source(path: Path) -> Source:
    """Read a bundle for an app.

    Raises:
        ModelError: there is nothing at the path, or the model is no image classifier.
        ArtifactError: no bundle, an altered file, no labels, or parts that do not fit each other.
        ConfigError: the contract makes inputs of another size than the model's.
    """
    if not path.exists():
        raise ModelError(f"{path} does not exist", fix="give the folder of a bundle")
    if not is_bundle(path):
        raise ArtifactError(f"{path} is not a bundle: it has no {MANIFEST}", fix="give a folder made by convert")
    bundle = open_bundle(path)
    model = bundle.read(MODEL)
    graph = walk(model)
    check_classifier(graph)
    source = Source(bundle, model, graph, _labels(bundle, graph.outputs[0].shape[1]), bundle.golden)
    _require_fitting(source)
    return source


def _labels(bundle: Bundle, classes: int) -> tuple[str, ...]:
    labels = bundle.labels if LABELS in bundle.manifest.files else ()
    if len(labels) != classes:
        raise ArtifactError(
            f"{bundle.path}: the model has {classes} classes, {LABELS} names {len(labels)}",
            fix="convert again with the data that the model was trained on: an app must say what it sees",
        )
    return labels


def _require_fitting(source: Source) -> None:
    if (made := (1, *source.contract.shape)) != source.input.shape:
        raise ConfigError(
            f"{source.bundle.path}: its preprocessing makes inputs of {made}, the model takes {source.input.shape}",
            fix="convert again",
        )
    golden = source.golden
    if golden.inputs.shape[1:] != source.input.shape[1:] or golden.outputs.shape[1:] != source.output.shape[1:]:
        raise ArtifactError(f"{source.bundle.path}: its golden tensors do not fit the model", fix="convert again")
