from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from converters.job import Job
from converters.pipeline import run as run_recipe
from converters.pruning import channels
from converters.pruning.channels import composed, one_round, slim
from converters.pruning.goal import Goal
from converters.recipe import load_recipe
from edgeres.errors import ConfigError
from edgeres.keras_file import read_keras_file
from edgeres.keras_io import load, load_prunable
from edgeres.models.cost import measure
from edgeres.rebuild.proof import excess
from targets import TARGETS
from targets.runtimes.cpu import CpuTarget
from tests.trained import Trained

QUICK = ("slim.epochs=1", "slim.multiple=4")


def step(*overrides: str) -> Any:
    """The step of the recipe `slim` with other settings."""
    return load_recipe("slim", overrides=overrides).steps[0]


def test_a_budget_of_macs_is_kept_and_recorded(trained: Trained, tmp_path: Path) -> None:
    settings = step("slim.epochs=0", "slim.multiple=2")
    content = channels.run(settings, trained.job, trained.model, tmp_path / "state")
    place = tmp_path / "slim.keras"
    place.write_bytes(content)
    file = read_keras_file(place)
    small, whole = load(file), load(trained.job.file)
    assert measure(small).macs / measure(whole).macs == pytest.approx(0.5, abs=0.05)
    assert file.card is not None
    assert file.card.network is not None
    assert file.card.network.parameters == measure(small).parameters
    assert file.card.kept is not None
    for layer in small.layers:
        before, kept = whole.get_layer(layer.name), file.card.kept.get(layer.name)
        if hasattr(layer, "filters"):
            assert len(kept or range(before.filters)) == layer.filters
    first = next(iter(file.card.kept))
    stem = whole.get_layer(first).get_weights()[0][..., list(file.card.kept[first])]
    assert np.isin(small.get_layer(first).get_weights()[0], stem).all()


@pytest.mark.parametrize(
    ("goal", "counted"),
    [("parameters", lambda cost: cost.parameters), ("arena", lambda cost: cost.arena_bytes)],
)
def test_other_budgets(trained: Trained, tmp_path: Path, goal: str, counted: Any) -> None:
    settings = step("slim.epochs=0", "slim.multiple=1", "slim.macs=null", f"slim.{goal}=0.6")
    found = slim(trained.job.file, settings, trained.job, tmp_path)
    share = counted(measure(found.model)) / counted(measure(load(trained.job.file)))
    assert 0.5 <= share <= 0.6


def test_a_keep_ratio_and_groups_of_their_own(trained: Trained, tmp_path: Path) -> None:
    settings = step("slim.epochs=0", "slim.multiple=1", "slim.macs=null", "slim.keep=0.5", "slim.groups={stage1_*: 1}")
    found = slim(trained.job.file, settings, trained.job, tmp_path)
    whole = load(trained.job.file)
    widths = {name: found.model.get_layer(name).filters / whole.get_layer(name).filters for name in
              ("stage1_block0_conv1", "stage2_block0_conv1", "stage3_block0_conv2")}  # fmt: skip
    assert widths == {"stage1_block0_conv1": 1, "stage2_block0_conv1": 0.5, "stage3_block0_conv2": 0.5}


def test_rounds_each_take_a_part(trained: Trained) -> None:
    settings = step("slim.epochs=0", "slim.multiple=1", "slim.rounds=2")
    model = load_prunable(trained.job.file)
    goal = Goal.of_step(settings, model)
    whole = measure(model).macs
    first = one_round(channels.Slimmed(model, {}), settings, trained.job, goal, 1)
    second = one_round(first, settings, trained.job, goal, 2)
    assert measure(first.model).macs / whole == pytest.approx(0.5**0.5, abs=0.03)
    assert measure(second.model).macs / whole == pytest.approx(0.5, abs=0.03)
    kept = second.kept["stage2_block0_conv1"]
    assert set(kept) < set(first.kept["stage2_block0_conv1"])
    kernel = model.get_layer("stage2_block0_conv1").get_weights()[0][..., list(kept)]
    assert np.isin(second.model.get_layer("stage2_block0_conv1").get_weights()[0], kernel).all()


def test_shares_of_channels_do_not_stick_in_rounds(trained: Trained, tmp_path: Path) -> None:
    """A round's share of a width, rounded to a multiple, can be the width again."""
    settings = step("slim.epochs=0", "slim.multiple=8", "slim.macs=null", "slim.keep=0.5", "slim.rounds=3")
    found = slim(trained.job.file, settings, trained.job, tmp_path)
    assert [found.model.get_layer(f"stage{stage}_block0_conv1").filters for stage in (2, 3)] == [8, 16]


WIDE = CpuTarget("wide", "AUTO", multiple=16)


@pytest.mark.parametrize(
    ("overrides", "multiple"), [((), 8), (("slim.target=wide",), 16), (("slim.target=wide", "slim.multiple=2"), 2)]
)
def test_widths_are_multiples_of_what_the_target_likes(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overrides: tuple[str, ...], multiple: int
) -> None:
    monkeypatch.setitem(TARGETS, "wide", f"{__name__}:WIDE")
    settings = step("slim.epochs=0", "slim.macs=null", "slim.keep=0.6", *overrides)
    assert settings.model_dump()["multiple"] == multiple
    found = slim(trained.job.file, settings, trained.job, tmp_path)
    narrower = {len(kept) for name, kept in found.kept.items() if len(kept) < _width(trained, name)}
    assert math.gcd(*narrower) == multiple


def _width(trained: Trained, name: str) -> int:
    width: int = load(trained.job.file).get_layer(name).get_weights()[0].shape[-1]
    return width


def test_latency_is_measured_as_the_recipe_ends() -> None:
    latency = ("slim.macs=null", "slim.latency=0.6")
    assert load_recipe("slim", overrides=latency).steps[0].precision == "float32"  # type: ignore[union-attr]
    assert load_recipe("slim-int8", overrides=latency).steps[0].precision == "int8"  # type: ignore[union-attr]
    assert load_recipe("slim-sparse-int8", overrides=latency).steps[0].precision == "int8"  # type: ignore[union-attr]
    assert load_recipe("slim").steps[0].precision is None  # type: ignore[union-attr]


def test_the_seed_of_a_random_choice_is_in_its_key(trained: Trained, own_cache: Path) -> None:
    recipe = load_recipe("slim", overrides=("slim.epochs=0", "slim.multiple=2", "slim.criterion=random"))
    first, other = (run_recipe(dataclasses.replace(trained.job, seed=seed), recipe) for seed in (0, 1))
    assert first.read_bytes() != other.read_bytes()


def test_what_two_prunings_kept() -> None:
    first, then = {"a": (0, 2, 4, 6), "b": (1, 2)}, {"a": (1, 3), "c": (0,)}
    assert composed(first, then) == {"a": (2, 6), "b": (1, 2), "c": (0,)}


@pytest.mark.slow
def test_fine_tuning_brings_accuracy_back(trained: Trained, own_cache: Path) -> None:
    from converters.export import keras_outputs

    split = trained.job.dataset.split("test")
    images = np.stack([trained.job.contract(split.picture(position)) for position in range(len(split))])

    def accuracy(path: Path) -> float:
        found = keras_outputs(load(read_keras_file(path)), images).argmax(axis=1)
        return float((found == split.classes).mean())

    recipe = load_recipe(
        "slim", overrides=("slim.epochs=3", "slim.multiple=2", "slim.criterion=taylor", "slim.images=256")
    )
    bare = load_recipe(
        "slim", overrides=("slim.epochs=0", "slim.multiple=2", "slim.criterion=taylor", "slim.images=256")
    )
    for each in (recipe, bare):
        run_recipe(trained.job, each)
    found = sorted(own_cache.glob("slim/*.keras"), key=accuracy)
    assert len(found) == 2
    assert accuracy(found[1]) > accuracy(found[0]) + 0.1
    assert not list(own_cache.glob("slim/*.state")), "what a finished step needs no more is still there"


class KilledError(Exception):
    """In the place of a kill."""


def test_a_stopped_round_goes_on_where_it_was(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pruned network is taken up as it was, even where a second choice would be another."""
    settings = step(*QUICK, "slim.criterion=random")
    calls: list[Path] = []

    def stopped(model: Any, *_: Any) -> Any:
        calls.append(model)
        if len(calls) == 1:
            raise KilledError
        return model

    monkeypatch.setattr(channels, "fine_tuned", stopped)
    with pytest.raises(KilledError):
        slim(trained.job.file, settings, trained.job, tmp_path)
    other = dataclasses.replace(trained.job, seed=1)  # with which random would choose otherwise
    found = slim(trained.job.file, settings, other, tmp_path)
    assert excess(calls[0], found.model) is None
    assert (tmp_path / "round1.keras").is_file()


@pytest.mark.slow
def test_the_teacher_counts(trained: Trained, tmp_path: Path) -> None:
    few = dataclasses.replace(trained.job, dataset=_few(trained.job))
    plain = slim(few.file, step(*QUICK), few, tmp_path / "plain").model
    taught = slim(few.file, step(*QUICK, "slim.distill=0.9"), few, tmp_path / "taught").model
    assert excess(plain, taught) is not None


def _few(job: Job) -> Any:
    splits = {name: split.head(64) for name, split in job.dataset.splits.items()}
    return dataclasses.replace(job.dataset, splits=splits)


def test_a_budget_out_of_reach_is_an_error(trained: Trained, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be brought from"):
        slim(trained.job.file, step("slim.macs=0.01"), trained.job, tmp_path)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (
            ("slim.keep=0.5",),
            "expected one of keep, macs, parameters, arena, latency, or groups alone; found keep, macs",
        ),
        (("slim.macs=null",), "found none"),
        (("slim.macs=1.5",), "less than or equal to 1"),
        (("slim.macs=null", "slim.latency=0.5", "slim.rounds=2"), "measured in a single round"),
        (("slim.epochs=0", "slim.distill=0.5"), "distill does nothing"),
        (("slim.images=64",), "images means nothing without the criterion taylor"),
        (("slim.threads=2",), "threads means nothing without a latency"),
        (("slim.criterion=l3",), "criterion"),
    ],
)
def test_settings_that_mean_nothing_are_errors(overrides: tuple[str, ...], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load_recipe("slim", overrides=overrides)
