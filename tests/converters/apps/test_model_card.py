from __future__ import annotations

from pathlib import Path

import pytest

from converters.apps.model_card import render
from converters.apps.source import read_source
from edgeres.console import run
from edgeres.errors import ArtifactError
from edgeres.storage import sha256_file
from tests.converters.apps.conftest import Made
from tests.converters.apps.hostile import HOSTILE
from tests.targets.bundles import write_images


def test_a_card_without_measurements_says_so(made: Made) -> None:
    source = read_source(made("float32", "torch"))
    card = render(source)
    assert card.endswith("## Measured\n\nNot measured.\n")
    assert sha256_file(source.bundle.path / "model.tflite") in card
    assert "16 x 16 x 3, float32" in card
    assert "0.485" in card
    assert "4: ant, bee, cat, dog" in card
    assert "float32, probabilities" in card


def test_figures_come_from_the_result_with_their_intervals(made: Made, tmp_path: Path) -> None:
    data = write_images(tmp_path / "images", each=5)
    bundles = [str(made("float32")), str(made("int8"))]
    assert run(["evaluate", *bundles, "--data", data, "--split", "test", "--json", str(tmp_path / "result.json")]) == 0
    card = render(read_source(made("int8")), [tmp_path / "result.json"])
    measured = card.partition("## Measured")[2]
    assert "Not measured" not in measured
    (row,) = [line for line in measured.splitlines() if line.startswith(f"| {made('int8').name.replace('_', ' ')} |")]
    assert " to " in row
    assert "(baseline)" in measured
    assert "Measured in result.json" in measured


def test_a_result_of_another_model_is_refused(made: Made, tmp_path: Path) -> None:
    data = write_images(tmp_path / "images", each=5)
    assert run(["evaluate", str(made("int8")), "--data", data, "--json", str(tmp_path / "result.json")]) == 0
    with pytest.raises(ArtifactError, match="says nothing of this model"):
        render(read_source(made("float32")), [tmp_path / "result.json"])


def test_names_are_text_and_nothing_else(made: Made) -> None:
    labels = ("a | b", "\u202eevil", *HOSTILE[:-2])
    card = render(read_source(made("fifty", "raw", labels)))
    assert card.count("<script") == card.count("\\<script") > 0
    assert "a \\| b" in card
    assert "\u202e" not in card
