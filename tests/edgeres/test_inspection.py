from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from rich.console import Console

from edgeres.errors import ConfigError, ModelError
from edgeres.inspection import Inspection, inspect, tables
from tests.edgeres.keras_models import classifier, saved
from tests.trained import Trained


def test_what_is_absent_or_an_unfinished_run_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="absent does not exist"):
        inspect(tmp_path / "absent")
    with pytest.raises(ModelError, match="is a folder, but no bundle"):
        inspect(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"config\.json: the key 'network' is missing"):
        inspect(tmp_path)


def test_an_unfinished_run_says_how_to_finish_it(trained: Trained, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(trained.folder, run)
    (run / "model.keras").unlink()
    with pytest.raises(ModelError, match="has not ended: 3 of 3 epochs are done") as caught:
        inspect(run)
    assert f"edgeres train resnet8 --data digits --out {run} --resume" in str(caught.value.fix)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("number", [2, 3])
def test_keras_files_of_both_generations_are_described_alike(number: int, suffix: str, tmp_path: Path) -> None:
    import keras
    import tf_keras

    k = tf_keras if number == 2 else keras
    found = inspect(saved(classifier(k), tmp_path / f"m{suffix}"))
    assert found.kind == "keras"
    assert found.facts["format"] == f"Keras {number}, {suffix}"
    assert found.facts["written_by"] == f"Keras {k.__version__}"
    assert (found.facts["input"], found.facts["classes"], found.facts["prunable"]) == ([8, 8, 3], 3, "yes")
    assert (found.facts["parameters"], found.facts["macs"]) == (127, 3 * 3 * 3 * 4 * 36 + 12)
    kinds = [layer["kind"] for layer in found.layers]
    assert kinds == ["InputLayer", "Conv2D", "GlobalAveragePooling2D", "Dense"]


def test_what_cannot_be_pruned_says_why_and_shows_its_layers(tmp_path: Path) -> None:
    import keras

    body = keras.layers.AutoContrast(name="odd")
    found = inspect(saved(classifier(keras, body=body), tmp_path / "m.keras"))
    assert found.facts["prunable"] == "no: layer 'odd': AutoContrast has no counterpart in tf_keras that edgeres knows"
    assert found.facts["parameters"] == 127
    assert {"name": "odd", "kind": "AutoContrast", "parameters": 0} in found.layers


def test_a_saved_model_is_described_by_its_operators(tmp_path: Path) -> None:
    import tf_keras

    classifier(tf_keras).export(tmp_path / "m")
    found = inspect(tmp_path / "m")
    assert (found.kind, found.facts["format"], found.facts["input"]) == ("saved_model", "SavedModel", [8, 8, 3])
    assert (found.facts["parameters"], found.facts["classes"]) == (127, 3)
    assert "SavedModel" in found.facts["prunable"]
    assert {"kind": "Conv2D", "nodes": 1} in found.layers


def test_facts_and_layers_become_two_tables() -> None:
    facts = {"input": [8, 8, 3], "labels": ["a", "b"], "parameters": 1234567, "quantized": True, "absent": None}
    found = Inspection("m.keras", "keras", "0" * 64, facts, ({"name": "conv", "macs": 1000}, {"name": "[bold]x"}))
    console = Console(width=200, record=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    for table in tables(found):
        console.print(table)
    shown = console.export_text()
    for text in ("8x8x3", "a, b", "1,234,567", "True", "1,000", "[bold]x"):
        assert text in shown
    assert "absent" not in shown
    assert len(tables(Inspection("m", "keras", "0", {}, ()))) == 1
