from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from rich.console import Console

from edgeres.bundle import MODEL
from edgeres.errors import ArtifactError, ConfigError, ModelError
from edgeres.findings import Finding
from edgeres.inspection import Inspection, inspect, tables
from edgeres.storage import sha256_bytes
from tests.edgeres.keras_models import classifier, saved
from tests.targets.bundles import compiled_from, make_bundle
from tests.targets.forge import forge
from tests.trained import Bundles, Trained


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


def shown(found: Inspection) -> str:
    console = Console(width=300, record=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    for table in tables(found):
        console.print(table)
    return console.export_text()


def finding(layer: str, rule: str = "uneven sum") -> Finding:
    return Finding(rule, layer, "loses [bits]", "do not", "warning")


def test_findings_become_a_third_table_with_a_row_for_what_is_the_same_in_several_layers() -> None:
    found = Inspection("m", "tflite", "0", {}, ({"kind": "ADD"},), tuple(map(finding, ("a", "b", "c", "d", "e"))))
    assert len(tables(found)) == 3
    assert tables(found)[2].row_count == 1
    text = shown(found)
    for part in ("uneven sum", "warning", "a, b, c and 2 more", "loses [bits]", "do not"):
        assert part in text
    other = Inspection("m", "tflite", "0", {}, (), (finding("a"), finding("a", rule="wide activation")))
    assert tables(other)[1].row_count == 2


def test_a_flatbuffer_without_findings_says_so_and_a_keras_file_has_no_such_table() -> None:
    assert "none" in shown(Inspection("m", "tflite", "0", {}, (), ()))
    assert "finding" not in shown(Inspection("m", "keras", "0", {}, ()))


def test_a_flatbuffer_is_linted_where_tensorflow_and_the_quantizer_are_not_installed(
    bundles: Bundles, tmp_path: Path
) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(forge(bundles("int8").read(MODEL), uneven))
    script = (
        "import json, sys\n"
        "for name in ('tensorflow', 'tf_keras', 'litert_quantizer', 'tensorflow_model_optimization', 'pydantic'):\n"
        "    sys.modules[name] = None\n"
        "from edgeres.console import run\n"
        "sys.exit(run(['inspect', sys.argv[1], '--json', sys.argv[2]]))"
    )
    command = [sys.executable, "-c", script, str(path), str(tmp_path / "i.json")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "uneven sum" in done.stdout
    (found,) = json.loads((tmp_path / "i.json").read_text())["findings"]
    assert set(found) == {"rule", "layer", "consequence", "fix", "severity"}
    assert (found["rule"], found["layer"]) == ("uneven sum", "stage1_block0_add")


def uneven(model: Any) -> None:
    """Make the first residual sum's second branch a hundred times narrower than it is."""
    graph = model.subgraphs[0]
    first = next(
        operator for operator in graph.operators if operator.builtinOptionsType == schema.BuiltinOptions.AddOptions
    )
    quantization = graph.tensors[first.inputs[1]].quantization
    quantization.scale = np.array([quantization.scale[0] / 100], np.float32)


def test_a_bundle_has_the_findings_of_its_flatbuffer(bundles: Bundles) -> None:
    assert inspect(bundles("int8").path).findings == ()


def test_a_bundles_compiled_files_are_listed_and_checked(bundles: Bundles, tmp_path: Path) -> None:
    made = bundles("int8")
    assert inspect(made.path).compiled is None
    model, contract = made.read(MODEL), made.manifest.preprocess
    make_bundle(tmp_path / "b", model, labels=made.labels, contract=contract, compiled=True)
    record, content = compiled_from(model)
    found = inspect(tmp_path / "b")
    assert found.compiled is not None
    (row,) = found.compiled
    assert (row["sha256"], row["size_bytes"]) == (sha256_bytes(content), len(content))
    assert (row["target"], row["compiler"], row["made_of"]) == ("ethosu:u55-256", "vela 5", found.sha256)
    text = shown(found)
    for part in ("compiled/ethosu-u55-256.tflite", "9 of 9", "0.288 ms, 144,058 cycles; Shared_Sram", "nothing ran"):
        assert part in text
    (tmp_path / "b" / record.file).write_bytes(b"another")
    with pytest.raises(ArtifactError, match="was altered"):
        inspect(tmp_path / "b")


def test_of_very_many_layers_the_terminal_shows_the_first_and_says_so() -> None:
    layers = tuple({"name": f"layer{number}", "kind": "ADD"} for number in range(5002))
    shown = tables(Inspection("m.tflite", "tflite", "0" * 64, {}, layers))[1]
    assert shown.row_count == 5001
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(shown)
    assert "… and 2 more, all with --json" in console.export_text()
