"""Recipes: which steps turn a trained model into a flatbuffer, with every setting.

The named ones are the YAML files in `recipes/`; a user's own is any YAML file of the same schema. What each setting
means is in docs/recipes.md; `json_schema()` lets an editor complete it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from edgeres.errors import ConfigError, suggestion
from edgeres.training.settings import first_finding, read_mapping, schema_error

_FOLDER = Path(__file__).parent / "recipes"


@dataclass(frozen=True)
class Material:
    """The images that a step reads: the first `images` of a split, or all of it for None."""

    split: Literal["train", "calibration"]
    images: int | None = None


class _Step(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    @property
    def material(self) -> Material | None:
        """The images that the step reads, or None where it needs none."""
        return None


class PruneStep(_Step):
    """Magnitude pruning while fine-tuning (tfmot; Zhu & Gupta, 2017): zeros in the kernels, shapes unchanged."""

    step: Literal["prune"]
    sparsity: float = Field(0.5, gt=0, lt=1, description="fraction of zeros in each kernel at the end")
    epochs: int = Field(4, ge=1, le=1000, description="of fine-tuning, over the training split")
    ramp: float = Field(0.5, gt=0, le=1, description="part of the epochs over which sparsity rises to its end")
    learning_rate: float = Field(0.01, gt=0, le=10, description="peak of the cosine")
    batch: int = Field(64, ge=1, le=65_536, description="images in a step")

    @property
    def material(self) -> Material:
        """All of the training split."""
        return Material("train")


class ExportStep(_Step):
    """Keras to a float32 flatbuffer with a batch of one; its outputs are checked against Keras'."""

    step: Literal["export"]


class QuantizeStep(_Step):
    """Post-training quantization of the float flatbuffer by the LiteRT Quantizer."""

    step: Literal["quantize"]
    mode: Literal["float16", "dynamic-int8", "int8"] = Field(
        description="float16 weights; int8 weights with float activations; int8 throughout, in and out"
    )
    images: int = Field(256, ge=1, le=100_000, description="calibration images (int8 only)")
    ranges: Literal["min-max", "moving-average"] = Field(
        "min-max",
        description="activation ranges (int8 only): of all calibration images, or averaged with the last ones weighing "
        "most, which clips rare large values such as the logits of a sure answer",
    )

    @property
    def material(self) -> Material | None:
        """The calibration images; only int8 activations need any."""
        return Material("calibration", self.images) if self.mode == "int8" else None


Step = Annotated[PruneStep | ExportStep | QuantizeStep, Field(discriminator="step")]
_KINDS: dict[str, type[_Step]] = {"prune": PruneStep, "export": ExportStep, "quantize": QuantizeStep}


class Recipe(BaseModel):
    """Steps in the order in which they run: any number of `prune`, one `export`, at most one `quantize`."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    schema_: Literal["edgeres.recipe/1"] = Field("edgeres.recipe/1", alias="schema")
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,63}$")
    description: str = ""
    steps: tuple[Step, ...]

    @model_validator(mode="after")
    def _in_order(self) -> Recipe:
        order = [step.step for step in self.steps]
        rank = {"prune": 0, "export": 1, "quantize": 2}
        if order.count("export") != 1 or order.count("quantize") > 1 or order != sorted(order, key=rank.__getitem__):
            raise ValueError(f"steps must be prune…, export, quantize? in that order, found {', '.join(order)}")
        return self


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
    kinds = [part for part in finding["loc"] if part in _KINDS]
    fields = _KINDS[str(kinds[0])].model_fields if kinds else Recipe.model_fields
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
        value = yaml.safe_load(text)
    except (ValueError, yaml.YAMLError, RecursionError) as problem:
        raise ConfigError(f"--set {override}: '{text}' is not a YAML value") from problem
    for step in steps:
        step[key] = value
