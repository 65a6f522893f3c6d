from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from targets import proof_images
from targets.artifact import Artifact, open_artifact
from targets.flatbuffer import walk
from targets.runtimes.cpu import REFERENCE
from tests.targets.bundles import make_bundle
from tests.targets.conftest import Models


def chosen(artifact: Artifact) -> tuple[np.ndarray, bool]:
    with REFERENCE.open(artifact.model) as session:
        return proof_images.proof_images(artifact, walk(artifact.model), session.signature)


def test_multiplications_are_those_of_convolutions_and_dense_layers(models: Models) -> None:
    """A depthwise kernel has one weight for each map, a dense layer one position."""
    graph = walk(models("float32"))
    expected = 0
    for operator in graph.main.operators:
        if operator.kind in ("CONV_2D", "DEPTHWISE_CONV_2D"):
            _, height, width, _ = graph.main.tensors[operator.outputs[0]].shape
            expected += height * width * int(np.prod(graph.main.tensors[operator.inputs[1]].shape))
        if operator.kind == "FULLY_CONNECTED":
            expected += int(np.prod(graph.main.tensors[operator.inputs[1]].shape))
    assert proof_images.multiplications(graph) == expected > 0


def test_a_large_model_is_proved_with_fewer_images_and_one_at_least(
    models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = Artifact("m", "m.tflite", "tflite", models("float32"))
    assert len(chosen(given)[0]) == 4
    for images, expected in ((2.5, 2), (0.1, 1)):
        work = images * proof_images.multiplications(walk(given.model))
        monkeypatch.setattr(proof_images, "_WORK", work)
        assert len(chosen(given)[0]) == expected


def test_a_bundle_brings_its_golden_inputs_a_file_gets_noise(models: Models, tmp_path: Path) -> None:
    bundle = open_artifact(make_bundle(tmp_path / "b", models("int8")))
    assert chosen(bundle)[1]
    noise, golden = chosen(Artifact("m", "m.tflite", "tflite", models("int8")))
    assert not golden
    assert noise.std() > 0
