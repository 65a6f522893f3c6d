from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from converters.recipe import json_schema, load_recipe, names
from converters.steps import ExportStep, Material, PruneStep, QuantizeStep
from edgeres.errors import ConfigError
from tests.golden import Golden

DOCS = Path(__file__).parents[2] / "docs"

EXPORT: dict[str, Any] = {"step": "export"}
INT8: dict[str, Any] = {"step": "quantize", "mode": "int8"}
PRUNE: dict[str, Any] = {"step": "prune"}


def written(folder: Path, content: Any) -> str:
    path = folder / "mine.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return str(path)


@pytest.mark.parametrize("name", names())
def test_every_shipped_recipe_loads_under_its_name(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    assert recipe.description


def test_the_shipped_recipes_are_those_that_are_promised() -> None:
    plain = ["aware-int8", "dynamic-int8", "float16", "float32", "int16x8", "int4", "int8"]
    assert names() == [*plain, "pruned-int8", "slim", "slim-int8", "slim-sparse-int8", "sparse-int8"]
    assert load_recipe("int8").steps == (ExportStep(step="export"), QuantizeStep(step="quantize", mode="int8"))
    assert [step.step for step in load_recipe("pruned-int8").steps] == ["prune", "export", "quantize"]


def test_the_schema_is_an_api(golden: Golden) -> None:
    golden.check(DOCS / "recipe.schema.json", json_schema())


def test_a_step_says_which_images_it_reads() -> None:
    assert PruneStep(step="prune").material == Material("train")
    assert ExportStep(step="export").material is None
    assert QuantizeStep(step="quantize", mode="int8", images=9).material == Material("calibration", 9)
    assert QuantizeStep(step="quantize", mode="float16").material is None


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ({"name": "x", "step": [EXPORT]}, "unknown key 'step'\n  fix: did you mean 'steps'?"),
        ({"name": "x", "steps": [EXPORT, {**INT8, "image": 3}]}, "unknown key 'steps.1.quantize.image'"),
        ({"name": "x", "steps": [EXPORT, {**INT8, "image": 3}]}, "fix: did you mean 'images'?"),
        ({"name": "x", "steps": [{**PRUNE, "sparcity": 0.3}, EXPORT]}, "did you mean 'sparsity'?"),
        ({"name": "x", "steps": [{**EXPORT, "mode": "int8"}]}, "unknown key 'steps.0.export.mode'"),
        ({"name": "x", "steps": [{"step": "quantise"}]}, "'quantise'"),
        ({"name": "x", "steps": [{"mode": "int8"}]}, "steps.0"),
        ({"name": "x", "steps": [EXPORT, {"step": "quantize", "mode": "int3"}]}, "found 'int3'"),
        ({"name": "x", "steps": [EXPORT, {**INT8, "images": 0}]}, "greater than or equal to 1, found 0"),
        ({"name": "x", "steps": [{**PRUNE, "sparsity": 1}, EXPORT]}, "less than 1, found 1"),
        ({"name": "x", "steps": [{**PRUNE, "learning_rate": float("nan")}, EXPORT]}, "learning_rate"),
        ({"name": "x", "steps": [{**PRUNE, "sparsity": -0.1}, EXPORT]}, "greater than or equal to 0, found -0.1"),
        (
            {"name": "x", "steps": [{**PRUNE, "layers": {"a*": 1}}, EXPORT]},
            "prune.layers.a*: input should be less than 1",
        ),
        ({"name": "x", "steps": [{"step": "slim", "keep": 0.5, "target": "cup"}, EXPORT]}, "did you mean 'cpu'?"),
        ({"name": "x", "steps": [{**PRUNE, "pattern": "4:2"}, EXPORT]}, "found '4:2'"),
        ({"name": "x", "steps": [{**PRUNE, "pattern": "2:4", "sparsity": 0.7}, EXPORT]}, "half of the weights"),
        ({"name": "x", "steps": [{**PRUNE, "pattern": "2:4", "layers": {"a": 0.7}}, EXPORT]}, "half of the weights"),
        ({"name": "x", "steps": [{**PRUNE, "pattern": "2:4", "ramp": 0.7}, EXPORT]}, "there is no ramp to set"),
        ({"name": "x", "steps": [{**PRUNE, "pattern": "block"}, EXPORT]}, "needs a block_size"),
        ({"name": "x", "steps": [{**PRUNE, "block_size": [4, 1]}, EXPORT]}, "mean nothing with the pattern unstr"),
        ({"name": "x", "steps": [{**PRUNE, "block_pooling": "max"}, EXPORT]}, "mean nothing with the pattern unstr"),
        ({"name": "x", "steps": [PRUNE, {"step": "aware"}, INT8]}, "found prune, aware, quantize"),
        ({"name": "x", "steps": [EXPORT, {"step": "aware"}]}, "found export, aware"),
        ({"name": "x", "steps": [{"step": "aware", "preserv": "none"}]}, "did you mean 'preserve'?"),
        ({"name": "x", "steps": [{**PRUNE, "epochs": "four"}, EXPORT]}, "found 'four'"),
        ({"name": "x", "steps": [INT8, EXPORT]}, "in that order, found quantize, export"),
        ({"name": "x", "steps": [EXPORT, PRUNE]}, "in that order, found export, prune"),
        ({"name": "x", "steps": [EXPORT, EXPORT]}, "found export, export"),
        ({"name": "x", "steps": [EXPORT, INT8, INT8]}, "found export, quantize, quantize"),
        ({"name": "x", "steps": [INT8]}, "found quantize"),
        ({"name": "x", "steps": []}, "steps must be"),
        ({"name": "x", "steps": 5}, "steps: "),
        ({"name": "x"}, "steps: field required"),
        ({"steps": [EXPORT]}, "name: field required"),
        ({"name": "../x", "steps": [EXPORT]}, "name: "),
        ({"name": "x", "steps": [EXPORT], "schema": "edgeres.recipe/2"}, "schema"),
        ({"name": "x", "steps": [EXPORT], 5: 6}, "mine.yaml"),
        ([EXPORT], "expected a mapping of keys to values, found list"),
        ("steps: [", "is not readable as YAML"),
    ],
)
def test_a_recipe_that_does_not_fit_is_an_error_that_says_where(recipe: Any, message: str, tmp_path: Path) -> None:
    name = written(tmp_path, recipe)
    with pytest.raises(ConfigError) as caught:
        load_recipe(name)
    assert message in str(caught.value)
    assert name in str(caught.value)


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="unknown recipe 'int88'") as caught:
        load_recipe("int88")
    assert caught.value.fix == "did you mean 'int8'? (or give a .yaml file)"
    with pytest.raises(ConfigError, match="does not exist"):
        load_recipe("absent.yaml")


def test_the_pattern_2_to_4_survives_yaml_which_reads_it_in_base_60(tmp_path: Path) -> None:
    name = written(tmp_path, "name: x\nsteps: [{step: prune, pattern: 2:4}, {step: export}]")
    for recipe in (load_recipe(name), load_recipe("pruned-int8", overrides=("prune.pattern=2:4",))):
        assert isinstance(recipe.steps[0], PruneStep)
        assert recipe.steps[0].pattern == "2:4"


def test_settings_can_be_overridden() -> None:
    recipe = load_recipe(
        "pruned-int8", overrides=("prune.sparsity=0.75", "quantize.images=12", "quantize.mode=int16x8")
    )
    prune, _, quantize = recipe.steps
    assert isinstance(prune, PruneStep)
    assert isinstance(quantize, QuantizeStep)
    assert (prune.sparsity, prune.epochs, quantize.images, quantize.mode) == (0.75, 4, 12, "int16x8")
    assert load_recipe("pruned-int8") != recipe


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("quantize.images", "expected STEP.key=value"),
        ("images=3", "expected STEP.key=value"),
        ("=", "expected STEP.key=value"),
        ("quantise.images=3", "the recipe has no step 'quantise'\n  fix: did you mean 'quantize'?"),
        ("prune.sparsity=0.3", "the recipe has no step 'prune'\n  fix: choose from: export, quantize"),
        ("quantize.image=3", "did you mean 'images'?"),
        ("quantize.images=-3", "found -3"),
        ("quantize.images=[1", "'[1' is not a YAML value"),
        ("quantize.images=2020-13-45", "is not a YAML value"),
        ("quantize.mode=", "mode"),
        ("quantize.step=prune", "unknown key"),
    ],
)
def test_an_override_that_does_not_fit_is_an_error(override: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_recipe("int8", overrides=(override,))
    assert message in str(caught.value)


@pytest.mark.parametrize("steps", [5, None, "export", {"a": 1}, [5, None]])
def test_an_override_of_a_recipe_without_steps_is_an_error(steps: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="the recipe has no step 'quantize'"):
        load_recipe(written(tmp_path, {"name": "x", "steps": steps}), overrides=("quantize.images=3",))
