"""Each group pruned alone: measured as the step `slim` would prune it, kept cell by cell, and made a recipe."""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import tf_keras

from converters.commands import sensitivity
from converters.job import Job
from converters.pruning.analysis import analyse
from converters.pruning.effect import GroupEffects, group_shares, masking
from converters.pruning.graph import ChannelGroup
from converters.pruning.selection import Rules, Selection
from converters.pruning.shrink import masked, shrink
from converters.recipe import load_recipe
from converters.sensitivity import RECIPE, RECORD, Settings, keep_shares, study
from converters.steps import Criterion
from edgeres.console import run
from edgeres.errors import ConfigError, OutputError
from edgeres.keras_io import load_prunable
from edgeres.report.sensitivity_page import heatmap, render
from edgeres.sensitivity import Findings, read_sensitivity
from targets.paired import accuracy_drop, pairs
from tests.converters.small import small_job
from tests.edgeres.keras_models import classifier, saved
from tests.edgeres.report.chromium import EXECUTABLE, running
from tests.edgeres.report.test_html import Outline
from tests.trained import Trained

SETTINGS = Settings(keep=(0.75, 0.25), multiple=4, max_drop=25.0)
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("study") / "out"


@pytest.fixture(scope="module")
def findings(trained: Trained, out: Path) -> Findings:
    """A finished study; whoever runs another on its folder makes a copy first."""
    return study(trained.job, SETTINGS, out)


@pytest.fixture
def copied(findings: Findings, out: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(out, tmp_path / "copy"))


def effects_of(job: Job, settings: Settings = SETTINGS) -> GroupEffects:
    return GroupEffects(job, settings, job.dataset.split("validation"))


def test_masking_in_place_is_masking_and_leaves_no_trace(trained: Trained) -> None:
    model = load_prunable(trained.job.file)
    graph, before = analyse(model), [value.copy() for value in model.get_weights()]
    kept = graph.everything()
    kept[graph.groups[1].channels[::2]] = False
    inputs = np.random.default_rng(0).uniform(0, 16, (4, *model.input_shape[1:])).astype(np.float32)
    expected = masked(model, graph, kept)(inputs).numpy()
    with suppress(KeyboardInterrupt), masking(model, graph, kept):
        np.testing.assert_array_equal(model(inputs).numpy(), expected)
        raise KeyboardInterrupt
    assert not np.allclose(model(inputs).numpy(), expected)
    for now, then in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_a_cell_is_what_the_shrunk_network_does(trained: Trained, findings: Findings) -> None:
    job: Job = trained.job
    model = load_prunable(job.file)
    graph = analyse(model)
    group = next(each for each in graph.groups if each.joined)
    effects = effects_of(job)
    rules = Rules(multiple=4, keep={each.name: 1.0 for each in graph.groups if each is not group} | {group.name: 0.25})
    kept = Selection(graph, effects._scores, rules).share(1.0)
    small, split = shrink(model, graph, kept), job.dataset.split("validation")
    pixels = np.stack([job.contract(split.read(place)) for place in range(len(split))])
    right = [net(pixels).numpy().argmax(axis=1) == split.classes for net in (model, small)]
    cell = findings.cell(group.name, "0.25")
    assert cell is not None
    drop = accuracy_drop(pairs(*right))
    assert (cell.drop_points.value, cell.drop_points.low) == pytest.approx((drop.value, drop.low), abs=1e-6)
    assert cell.macs_share == pytest.approx(graph.macs(kept) / graph.macs(graph.everything()))
    assert (cell.lost, cell.won) == (int((right[0] & ~right[1]).sum()), int((right[1] & ~right[0]).sum()))
    assert cell.lost > 0, "a quarter of a whole stream costs nothing?"


def test_every_group_has_its_cells_and_the_worst_come_first(findings: Findings, out: Path) -> None:
    record = read_sensitivity(out / RECORD)
    assert record == findings.record
    assert (record.split, record.source) == ("validation", "digits")
    assert len(record.cells) == sum(len({*own} - {None}) for own in findings.settings.values())
    drops = {part.name: [0.0] for part in findings.ranked if any(findings.settings[part.name])}
    for cell in record.cells:
        drops[cell.part].append(cell.drop_points.value)
    worst = [max(own[1:]) for own in drops.values()]
    assert worst == sorted(worst, reverse=True)
    assert all(0 < part.macs_share < 1 for part in record.parts)


def test_the_split_is_too_small_and_says_so(findings: Findings, trained: Trained) -> None:
    assert findings.record.images == len(trained.job.dataset.split("validation")) < 961
    assert "961 are wanted" in findings.notes[0]


def test_the_sample_is_no_larger_than_the_interval_asks_for(trained: Trained, tmp_path: Path) -> None:
    settings = Settings(keep=(0.5,), multiple=16, within=8.0)
    found = study(trained.job, settings, tmp_path / "out")
    assert found.record.images == 61
    assert not any("are wanted" in note for note in found.notes)
    assert any("cannot show that a drop is within 1 points" in note for note in found.notes)
    assert found.chosen == {}
    assert found.together is None
    assert set(load_recipe(str(tmp_path / "out" / RECIPE)).steps[0].groups.values()) == {1.0}  # type: ignore[union-attr]


def test_the_recipe_takes_the_smallest_share_within_the_limit(findings: Findings, out: Path, trained: Trained) -> None:
    step: Any = load_recipe(str(out / RECIPE)).steps[0]
    assert findings.chosen
    for part in findings.record.parts:
        cells = {column: findings.cell(part.name, column) for column in findings.columns}
        within = [column for column, cell in cells.items() if cell and cell.drop_points.high <= SETTINGS.max_drop]
        expected = float(within[-1]) if within else 1.0
        first = next(share for pattern, share in step.groups.items() if fnmatchcase(part.layers[0], pattern))
        assert first == expected
    graph = analyse(load_prunable(trained.job.file))
    kept = Selection(graph, np.ones(graph.count), Rules(multiple=step.multiple, keep=step.groups)).share(1.0)
    assert findings.together is not None
    assert findings.together.macs_share == pytest.approx(graph.macs(kept) / graph.macs(graph.everything()))


def test_a_study_that_was_interrupted_goes_on(trained: Trained, findings: Findings, tmp_path: Path) -> None:
    out = tmp_path / "out"

    def interrupt(stage: str, done: int, total: int) -> None:
        if stage == "cells" and done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        study(replace(trained.job, progress=interrupt), SETTINGS, out)
    assert read_sensitivity(out / RECORD).cells == findings.record.cells[:3]
    first: list[int] = []
    again = study(replace(trained.job, progress=lambda stage, done, total: first.append(done)), SETTINGS, out)
    assert first[0] == 3
    assert again == findings


def test_what_is_known_is_not_measured_again(
    trained: Trained, findings: Findings, copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measured(*_: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(GroupEffects, "right", measured)
    (copied / RECIPE).unlink()
    assert study(trained.job, SETTINGS, copied) == findings
    assert study(trained.job, replace(SETTINGS, keep=(0.25,), max_drop=0.0), copied).chosen == {}
    with pytest.raises(AssertionError):
        study(trained.job, replace(SETTINGS, keep=(0.5,)), copied)


@pytest.mark.parametrize(
    ("change", "named"),
    [({"criterion": "l1"}, "criterion: l2 there, l1 now"), ({"multiple": 2}, "multiple"), ({"within": 9.0}, "images")],
)
def test_a_folder_of_other_inputs_is_an_error(
    trained: Trained, copied: Path, change: dict[str, Any], named: str
) -> None:
    before = (copied / RECORD).read_bytes()
    with pytest.raises(OutputError, match="measured with other inputs") as caught:
        study(trained.job, replace(SETTINGS, **change), copied)
    assert named in str(caught.value)
    assert (copied / RECORD).read_bytes() == before


def test_a_folder_of_another_model_is_2(
    copied: Path, trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = load_prunable(trained.job.file)
    saved(model, tmp_path / "other.h5")
    options = ["--data", "digits", "--preprocess", "raw", "--out", str(copied), "--multiple", "4"]
    assert run(["sensitivity", str(tmp_path / "other.h5"), *options]) == 2
    err = capsys.readouterr().err
    assert "was measured with other inputs: model" in err
    assert "fix: choose another --out" in err


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--keep", "0.5,1.5"], 3, "expected shares in 0 < x <= 1"),
        (["--keep", "half"], 3, "expected shares in 0 < x <= 1"),
        (["--keep", "0"], 3, "expected shares in 0 < x <= 1"),
        (["--keep", "nan"], 3, "expected shares in 0 < x <= 1"),
        (["--keep", "1"], 3, "no group becomes narrower"),
        (["--of", "quantise"], 3, "unknown study 'quantise'"),
        (["--of", "quantize", "--keep", "0.5", "--multiple", "4"], 3, "--keep, --multiple means nothing"),
        (["--criterion", "l3"], 2, "Invalid value"),
        (["--target", "cup", "--multiple", "4"], 6, "unknown target 'cup'"),
        (["--within", "0"], 2, "Invalid value"),
    ],
)
def test_options_that_do_not_fit(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], code: int, words: str
) -> None:
    arguments = ["sensitivity", str(trained.model), "--data", "digits", "--out", str(tmp_path / "new"), *options]
    assert run(arguments) == code
    assert words in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(("content", "code", "words"), [("{", 8, "cannot be read as JSON"), ("{}", 8, "edgeres.sens")])
def test_a_damaged_record_is_8(
    tmp_path: Path, trained: Trained, capsys: pytest.CaptureFixture[str], content: str, code: int, words: str
) -> None:
    (tmp_path / RECORD).write_text(content)
    assert run(["sensitivity", str(trained.model), "--data", "digits", "--out", str(tmp_path)]) == code
    assert words in capsys.readouterr().err


def test_a_folder_of_something_else_is_2(tmp_path: Path, trained: Trained, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.txt").write_text("keep me")
    assert run(["sensitivity", str(trained.model), "--data", "digits", "--out", str(tmp_path)]) == 2
    assert "exists already" in capsys.readouterr().err


def test_a_layer_that_cannot_be_followed_is_5(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small_job(tmp_path)  # writes the images
    model = classifier(tf_keras, body=tf_keras.layers.Permute((2, 1, 3), name="turned"))
    path = saved(model, tmp_path / "turned.keras")
    options = ["--data", f"folder:{tmp_path / 'images'}", "--preprocess", "raw", "--out", str(tmp_path / "new")]
    assert run(["sensitivity", str(path), *options]) == 5
    assert "the layer 'turned' cannot be pruned around" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_the_command_prints_a_table_and_writes_a_page(
    copied: Path, trained: Trained, findings: Findings, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--data", "digits", "--out", str(copied), "--multiple", "4", "--keep", "0.75,0.25", "--max-drop", "25"]
    assert run(["sensitivity", str(trained.model), *options]) == 0
    shown, told = capsys.readouterr()
    lines = [line.split()[0] for line in shown.splitlines() if line.split()[:1]]
    names = [part.name for part in findings.ranked]
    assert [line for line in lines if line in names] == names
    assert "recommended, all at once" in shown
    assert "are wanted for small drops to within 2 points" in told
    outline = Outline((copied / "sensitivity.html").read_text())
    assert not outline.crossed
    assert (copied / RECIPE).read_text() in "".join(outline.words)
    assert all(name in outline.text for name in names)
    assert json.loads(outline.data[0])["data"][0]["type"] == "heatmap"


def test_names_are_escaped_and_cells_carry_their_interval(findings: Findings) -> None:
    first = findings.ranked[0]
    parts = tuple(replace(part, name=HOSTILE) if part == first else part for part in findings.record.parts)
    cells = tuple(replace(cell, part=HOSTILE) if cell.part == first.name else cell for cell in findings.record.cells)
    settings = {HOSTILE if name == first.name else name: own for name, own in findings.settings.items()}
    record = replace(findings.record, parts=parts, cells=cells, model=HOSTILE)
    hostile = replace(findings, record=record, settings=settings)
    outline = Outline(render(hostile, f"groups: {HOSTILE}"))
    assert not outline.all("img")
    assert HOSTILE in outline.text
    figure = json.loads(heatmap(hostile).figure)["data"][0]
    assert figure["z"][0][-1] == hostile.cell(HOSTILE, "0.25").drop_points.value  # type: ignore[union-attr]
    assert "&lt;img" in figure["customdata"][0][-1]
    assert " to " in figure["customdata"][0][-1]


@pytest.mark.browser
@pytest.mark.skipif(EXECUTABLE is None, reason="Chromium is not installed")
def test_the_page_draws_its_map_asks_for_nothing_and_fits_a_phone(findings: Findings, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(render(findings, "schema: edgeres.recipe/1"))
    with running(tmp_path / "profile") as chromium:
        for width in (1280, 390):
            tab = chromium.page()
            tab.open(page, width=width)
            assert tab.problems == []
            assert [address for address in tab.requests if not address.startswith("data:")] == [page.as_uri()]
            assert tab.evaluate("document.documentElement.scrollWidth") <= width
            assert tab.evaluate("document.querySelectorAll('.chart .hm image').length") == 1


def group(*producers: str) -> ChannelGroup:
    return ChannelGroup(producers[0], producers, np.arange(4), joined=False)


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        ([group("a"), group("b")], {"a": 0.5, "b": 0.25}),
        ([group("a", "b"), group("b")], {"a": 0.5, "b": 0.25}),
        ([group("a"), group("a", "b")], {"b": 0.25, "a": 0.5}),
        ([group("a"), group("a", "b"), group("b")], {"a": 0.5, "b": 0.75}),
        ([group("x[1]"), group("y*")], {"x[[]1]": 0.5, "y[*]": 0.25}),
    ],
)
def test_patterns_give_each_group_its_share(groups: list[ChannelGroup], expected: dict[str, float]) -> None:
    shares = [0.5, 0.25, 0.75][: len(groups)]
    found = group_shares(groups, shares)
    assert found == expected
    for each, share in zip(groups, shares, strict=True):
        given = next(
            own for pattern, own in found.items() if any(fnmatchcase(name, pattern) for name in each.producers)
        )
        assert given >= share


def test_shares_are_sorted_once_each() -> None:
    assert keep_shares("0.5,1,0.25, 0.5") == (1.0, 0.5, 0.25)
    with pytest.raises(ConfigError):
        keep_shares("")


def test_the_command_offers_the_criteria_that_there_are() -> None:
    option = next(each for each in sensitivity.params if each.name == "criterion")
    assert tuple(option.type.choices) == get_args(Criterion)  # type: ignore[attr-defined]
