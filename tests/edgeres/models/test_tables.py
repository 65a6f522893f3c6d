from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgeres.console import run
from edgeres.models import MODELS
from edgeres.models.cost import block_of
from tests.edgeres.models.test_zoo import FIGURES


def test_the_json_of_the_zoo_is_the_golden_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "--json", str(tmp_path / "m.json")]) == 0
    assert (tmp_path / "m.json").read_text(encoding="utf-8") == FIGURES.read_text(encoding="utf-8")
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert [line[0] for line in lines[2:]] == list(MODELS)
    assert "CIFAR-10 91.25 % (A)" in " ".join(next(line for line in lines if line[0] == "resnet20"))


def test_one_network_shows_blocks_and_their_layers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "resnet8-A", "--json", str(tmp_path / "m.json")]) == 0
    rows = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line.strip()}
    assert rows["stage2_block0"].split() == ["stage2_block0", "16x16x32", "13,952", "3,538,944"]
    assert rows["stage2_block0_conv1"].startswith("   stage2_block0_conv1")
    assert "stage2_block0_relu1" not in rows
    document = json.loads((tmp_path / "m.json").read_text(encoding="utf-8"))
    assert document["name"] == "resnet8-A"
    blocks = {block["name"]: block for block in document["blocks"]}
    assert list(blocks) == ["image", "stem", "stage1_block0", "stage2_block0", "stage3_block0", "pool", "logits"]
    own = [layer for layer in document["layers"] if layer["name"].startswith("stage2_block0_")]
    assert blocks["stage2_block0"] == {
        "name": "stage2_block0",
        "layers": len(own),
        "output": [16, 16, 32],
        "parameters": sum(layer["parameters"] for layer in own),
        "macs": sum(layer["macs"] for layer in own),
    }


@pytest.mark.parametrize(
    ("layer", "block"),
    [
        ("stage1_block12_shortcut_conv", "stage1_block12"),
        ("stage2_transition_pool", "stage2_transition"),
        ("stage3_conv1", "stage3"),
        ("stem_pool_pad", "stem"),
        ("fc1_dropout", "fc1"),
        ("logits", "logits"),
        ("_", "_"),
    ],
)
def test_a_layer_belongs_to_the_block_its_name_begins_with(layer: str, block: str) -> None:
    assert block_of(layer) == block
