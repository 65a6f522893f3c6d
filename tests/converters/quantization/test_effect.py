from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import pytest

from converters.quantization.effect import ALONE, LEFT, WHOLE, LayerEffects
from converters.recipe import load_recipe
from converters.sensitivity import RECIPE, Settings, study
from edgeres.report.sensitivity_page import render
from edgeres.report.sensitivity_table import print_findings
from edgeres.sensitivity import Findings
from targets.flatbuffer import walk
from targets.layer_names import WEIGHTED, layer_names
from tests.converters.quantization.broken import READS, WRITES, with_outlier
from tests.trained import Trained

SETTINGS = Settings(of="quantize", max_drop=8.0)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("study") / "out"


@pytest.fixture(scope="module")
def findings(trained: Trained, out: Path) -> Findings:
    return study(trained.job, SETTINGS, out)


@pytest.fixture(scope="module")
def effects(trained: Trained) -> LayerEffects:
    return LayerEffects(trained.job, SETTINGS, trained.job.dataset.split("validation"))


def precisions(content: bytes) -> dict[str, str]:
    """Layer with weights -> their type."""
    graph = walk(content).main
    operators = zip(layer_names(graph), graph.operators, strict=True)
    return {layer: graph.tensors[each.inputs[1]].dtype for layer, each in operators if each.kind in WEIGHTED}


def test_the_kernels_part_in_a_drop_is_told(findings: Findings, capsys: pytest.CaptureFixture[str]) -> None:
    (remark,) = findings.remarks
    assert "of the scores of 32 images are those of the reference kernels bit for bit" in remark
    assert remark in render(findings, "steps: []")
    print_findings(findings)
    assert "bit for bit" in capsys.readouterr().out


def test_one_layer_is_int8_or_all_but_one(effects: LayerEffects) -> None:
    alone, left = (precisions(effects._changed({"stem_conv": column})) for column in (ALONE, LEFT))
    assert {layer for layer, dtype in alone.items() if dtype == "int8"} == {"stem_conv"}
    assert {layer for layer, dtype in left.items() if dtype == "float32"} == {"stem_conv"}
    assert set(precisions(effects._changed({WHOLE: ALONE})).values()) == {"int8"}


def test_every_layer_is_measured_by_noise_and_by_answers(findings: Findings) -> None:
    whole = findings.cell(WHOLE, ALONE)
    assert whole is not None
    assert whole.sqnr_db is not None
    assert findings.cell(WHOLE, LEFT) is None
    names = [part.name for part in findings.record.parts[1:]]
    assert {"stem_conv", "stage1_block0_add", "logits"} < set(names)
    for name in names:
        alone, left = findings.cell(name, ALONE), findings.cell(name, LEFT)
        assert alone is not None
        assert alone.sqnr_db is not None
        assert alone.sqnr_db > whole.sqnr_db, "one layer adds less noise than all"
        assert left is not None
        assert left.macs_share == pytest.approx(1 - alone.macs_share)


def test_what_is_within_the_limit_stays_int8(findings: Findings, out: Path) -> None:
    assert findings.chosen == {}
    assert findings.together is not None
    assert findings.together.setting == f"{WHOLE}: int8 throughout"
    assert load_recipe(str(out / RECIPE)).steps[1].layers == {}  # type: ignore[union-attr]


@pytest.mark.slow
def test_an_outlier_is_found_named_and_left_in_float(trained: Trained, tmp_path: Path) -> None:
    broken = with_outlier(trained.job, tmp_path)
    found = study(broken, SETTINGS, tmp_path / "out")
    whole = found.cell(WHOLE, ALONE)
    assert whole is not None
    assert whole.drop_points.value > 10
    assert {part.name for part in found.ranked[:3]} == {WHOLE, WRITES, READS}
    assert {WRITES, READS} <= set(found.chosen)
    assert found.together is not None
    assert found.together.drop_points.high <= SETTINGS.max_drop
    chosen = load_recipe(str(tmp_path / "out" / RECIPE)).steps[1].layers  # type: ignore[union-attr]
    assert chosen == dict.fromkeys(found.chosen, "float32")


def test_a_limit_that_cannot_be_shown_recommends_nothing_and_says_so(
    trained: Trained, out: Path, findings: Findings, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        found = study(trained.job, replace(SETTINGS, max_drop=0.01), out)
    assert found.chosen == {}
    assert "the interval of the drop still ends above 0.01 points" in caplog.text


def test_the_table_and_the_page_speak_of_layers(findings: Findings, capsys: pytest.CaptureFixture[str]) -> None:
    print_findings(findings)
    shown = capsys.readouterr().out
    assert "in float32" in shown.splitlines()[0]
    assert " dB" in shown
    assert "% of the MACs in int8" in shown
    page = render(findings, "x: y")
    assert "What each layer costs" in page
    assert "SQNR" in page
    assert "channels" not in page.split("</header>")[0]
