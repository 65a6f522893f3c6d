"""Recipes: which steps turn a trained model into a flatbuffer, with every setting.

The named ones are the YAML files in `recipes/`; a user's own is any YAML file of the same schema. What each setting
means is in docs/recipes.md; `json_schema()` lets an editor complete it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from converters.steps import KINDS, AwareStep, SlimStep, Step
from edgeres.errors import ConfigError, suggestion
from edgeres.training.settings import first_finding, read_mapping, schema_error
from edgeres.yaml_text import parse_yaml

_FOLDER = Path(__file__).parent / "recipes"


class Recipe(BaseModel):
    """Steps in the order in which they run: `slim`, `prune`, then `export` with at most one `quantize`, or `aware`."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    schema_: Literal["edgeres.recipe/1"] = Field("edgeres.recipe/1", alias="schema")
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,63}$")
    description: str = ""
    steps: tuple[Step, ...]

    @model_validator(mode="after")
    def _measured_as_it_will_run(self) -> Recipe:
        last = self.steps[-1] if self.steps else None
        ends = "int8" if isinstance(last, AwareStep) or getattr(last, "mode", None) == "int8" else "float32"
        steps = tuple(
            step.model_copy(update={"precision": ends})
            if isinstance(step, SlimStep) and step.latency is not None and step.precision is None
            else step
            for step in self.steps
        )
        object.__setattr__(self, "steps", steps)  # a frozen model, still being made
        return self

    @model_validator(mode="after")
    def _in_order(self) -> Recipe:
        order = [step.step for step in self.steps]
        pruning = [step for step in order if step in ("slim", "prune")]
        ending = order[len(pruning) :]
        sorted_first = order[: len(pruning)] == sorted(pruning, reverse=True)  # fine-tuning for slim would undo zeros
        if not sorted_first or ending not in (["export"], ["export", "quantize"], ["aware"]):
            expected = "slim…, prune…, export, quantize? or slim…, prune…, aware"
            raise ValueError(f"steps must be {expected}, in that order, found {', '.join(order)}")
        return self

    @property
    def trains(self) -> bool:
        """Whether a step of it fine-tunes the network."""
        return any(getattr(step, "epochs", 0) for step in self.steps)


def names() -> list[str]:
    """The named recipes, in alphabetical order."""
    return sorted(path.stem for path in _FOLDER.glob("*.yaml"))


def load_recipe(name: str, *, overrides: tuple[str, ...] = ()) -> Recipe:
    """A named recipe or a YAML file, with `STEP.key=value` overrides.

    Raises:
        ConfigError: unknown name, unreadable file, unknown key (with its nearest match), value out of range.
    """
    is_file = name.endswith((".yaml", ".yml"))
    if not is_file and name not in names():
        raise ConfigError(f"unknown recipe '{name}'", fix=f"{suggestion(name, names())} (or give a .yaml file)")
    values = read_mapping(Path(name) if is_file else _FOLDER / f"{name}.yaml")
    for override in overrides:
        _override(values, override)
    return typed_recipe(values, where=name)


def typed_recipe(values: dict[str, Any], *, where: str) -> Recipe:
    """Validate a recipe.

    Raises:
        ConfigError: says where, what was found, and the nearest match for a misspelt key.
    """
    try:
        return Recipe.model_validate(values)
    except ValidationError as problem:
        raise schema_error(problem, where=where, known=_known_keys(problem)) from None


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a recipe, for editors."""
    return Recipe.model_json_schema(by_alias=True)


def _known_keys(problem: ValidationError) -> list[str]:
    """The keys that are allowed where the first finding is."""
    finding = first_finding(problem)
    kinds = [part for part in finding["loc"] if part in KINDS]
    fields = KINDS[str(kinds[0])].model_fields if kinds else Recipe.model_fields
    return ["schema" if name == "schema_" else name for name in fields]


def _override(values: dict[str, Any], override: str) -> None:
    """Apply `STEP.key=value` to every step of that kind."""
    path, equals, text = override.partition("=")
    kind, dot, key = path.partition(".")
    written = values.get("steps")
    known = [step for step in written if isinstance(step, dict)] if isinstance(written, list) else []
    steps = [step for step in known if step.get("step") == kind]
    if not (equals and dot and key):
        raise ConfigError(f"--set {override}: expected STEP.key=value", fix="for example --set quantize.images=512")
    if not steps:
        found = [str(step.get("step")) for step in known]
        raise ConfigError(f"--set {override}: the recipe has no step '{kind}'", fix=suggestion(kind, found))
    try:
        value = parse_yaml(text)
    except ValueError as problem:
        raise ConfigError(f"--set {override}: '{text}' is not a YAML value") from problem
    for step in steps:
        step[key] = value
