from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pytest

from converters import pipeline
from converters.job import Job
from converters.pipeline import convert, float_flatbuffer
from converters.quantization.examined import examined
from converters.recipe import load_recipe
from edgeres.bundle import CALIBRATION
from edgeres.console import run
from targets.verification import verify
from tests.converters.quantization.broken import READS, WRITES, with_outlier
from tests.trained import Bundles, Trained

MENDED = f"quantize.layers={{{WRITES}: float32, {READS}: float32}}"


def test_a_bundle_keeps_what_its_ranges_follow_from(bundles: Bundles, trained: Trained) -> None:
    job: Job = trained.job
    bundle = bundles("int8")
    kept = bundle.calibration
    assert kept is not None
    assert kept.images == 129
    assert kept.sha256 == bundle.manifest.inputs["calibration"]
    assert sum(kept.classes.values()) == 129
    assert set(kept.classes) == set(job.dataset.labels)
    assert kept.top1.value > 0.7
    layers = [each.layer for each in kept.activations]
    assert layers[1] == "stem_conv"
    assert layers[-1] == "logits"
    assert {(each.dtype, each.steps, each.saturated_share) for each in kept.activations} == {("int8", 256, 0.0)}
    assert kept.findings == ()
    assert verify(bundle.path).verified
    assert bundles("dynamic-int8").calibration is None


def test_an_outlier_is_named_where_it_is_converted_and_gone_as_advised(
    trained: Trained, tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    job = with_outlier(trained.job, tmp_path)
    with caplog.at_level(logging.WARNING):
        kept = convert(job, load_recipe("int8"), tmp_path / "b").calibration
    assert f"calibration: outlier channel ({WRITES}): of 8 channels 0 reaches" in caplog.text
    assert f"(`quantize.layers`): {WRITES}, {READS}" in caplog.text
    assert kept is not None
    assert [(each.rule, each.layer) for each in kept.findings] == [("outlier channel", WRITES)]

    caplog.clear()
    with caplog.at_level(logging.WARNING):
        mended = convert(job, load_recipe("int8", overrides=(MENDED,)), tmp_path / "mended").calibration
    assert "calibration:" not in caplog.text
    assert mended is not None
    assert mended.findings == ()

    assert run(["inspect", str(tmp_path / "b"), "--json", str(tmp_path / "b.json")]) == 0
    shown = capsys.readouterr().out
    assert "outlier channel" in shown
    assert "steps of the middle 99.9 %" in shown
    assert json.loads((tmp_path / "b.json").read_text())["calibration"] == json.loads(
        (tmp_path / "b" / CALIBRATION).read_text()
    )


def test_a_warning_comes_again_with_what_is_cached(
    trained: Trained, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for out in ("first", "second"):
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            convert(trained.job, load_recipe("int8", overrides=("quantize.images=24",)), tmp_path / out)
        assert "calibration: few images (images): ranges follow from 24 images" in caplog.text
        assert "fix: --set quantize.images=129" in caplog.text


def test_clipped_values_are_counted(trained: Trained, tmp_path: Path) -> None:
    source, recipe = float_flatbuffer(trained.job.file), load_recipe("int8", overrides=("quantize.ranges=mse",))
    kept = examined(source, pipeline.run(trained.job, recipe), trained.job, 256)
    clipped = [each.saturated_share for each in kept.activations]
    assert 0 < np.max(clipped) < 0.05
    for each in kept.activations:
        assert (each.saturated_share > 0) <= (each.seen_high > each.high or each.seen_low < each.low)
