from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgeres.errors import ArtifactError, ConfigError
from edgeres.report.sources import read_story
from tests.edgeres.report.material import BUNDLES, Material


def test_every_kind_of_input_is_told_apart_in_any_order(material: Material) -> None:
    story = read_story(reversed(material.all))
    assert [run.path for run in story.runs] == [material.run]
    assert [source.path for source in story.results] == [material.latency, material.accuracy]
    assert [bundle.name for bundle in story.bundles] == [figures.name for figures in reversed(BUNDLES)]
    assert [bundle.size_bytes for bundle in story.bundles] == [len(figures.model) for figures in reversed(BUNDLES)]


def test_a_path_given_twice_counts_once(material: Material) -> None:
    assert len(read_story([material.run, str(material.run)]).runs) == 1


@pytest.mark.parametrize(("name", "found"), [("absent", "does not exist"), ("folder", "a folder"), ("x.txt", "a file")])
def test_anything_else_is_refused_with_what_was_expected(tmp_path: Path, name: str, found: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "x.txt").write_text("no result")
    with pytest.raises(ArtifactError, match=found) as caught:
        read_story([tmp_path / name])
    assert "run folder" in caught.value.details[0]
    assert caught.value.fix


def test_json_that_is_no_result_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(json.dumps({"schema": "another/1"}))
    with pytest.raises(ArtifactError, match=r"edgeres\.result/1"):
        read_story([tmp_path / "x.json"])


@pytest.mark.parametrize("name", ["model.tflite", "labels.txt", "golden.npz"])
def test_a_bundle_that_was_altered_is_refused(material: Material, tmp_path: Path, name: str) -> None:
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    for file in material.bundles[0].iterdir():
        (bundle / file.name).write_bytes(file.read_bytes())
    (bundle / name).write_bytes(b"altered")
    with pytest.raises(ArtifactError, match="altered"):
        read_story([bundle])


def test_a_run_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ConfigError):
        read_story([tmp_path])
