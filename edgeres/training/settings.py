"""Every setting of a training with its default, as flags and configuration files give them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edgeres.errors import ConfigError, suggestion


class TrainingSettings(BaseModel):
    """How a network is trained; the defaults are those of He et al. (2015, section 4.2) where it names them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    epochs: int = Field(20, ge=1, le=10_000, description="passes over the training split")
    batch: int = Field(128, ge=1, le=65_536, description="images in a step, over all devices")
    learning_rate: float = Field(0.1, gt=0, le=100, description="peak of the schedule")
    momentum: float = Field(0.9, ge=0, lt=1, description="of SGD, Nesterov's form")
    weight_decay: float = Field(1e-4, ge=0, le=1, description="as an L2 penalty; skips batch norm and biases")
    warmup: float = Field(1.0, ge=0, le=10_000, description="epochs of linear warm-up before the cosine")
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    augment: Literal["auto", "none", "shift", "shift-flip"] = Field(
        "auto", description="random shifts by up to an eighth; flips only where a mirrored image keeps its class"
    )
    seed: int = Field(0, ge=0, lt=2**31, description="of initial weights, shuffling and augmentation")


def typed_settings(values: dict[str, Any], *, where: str) -> TrainingSettings:
    """Validate settings.

    Raises:
        ConfigError: an unknown setting (with its nearest match) or a value out of range.
    """
    try:
        return TrainingSettings.model_validate(values)
    except ValidationError as problem:
        raise schema_error(problem, where=where, known=TrainingSettings.model_fields) from None


def schema_error(problem: ValidationError, *, where: str, known: Any) -> ConfigError:
    """The first finding of pydantic as one clear error; `known` are the keys a misspelt one is compared with."""
    finding = first_finding(problem)
    key = ".".join(str(part) for part in finding["loc"])
    if finding["type"] == "extra_forbidden":
        return ConfigError(f"{where}: unknown key '{key}'", fix=suggestion(str(finding["loc"][-1]), known))
    found = f", found {finding['input']!r}" if not isinstance(finding["input"], dict) else ""
    message = f"{where}: {key or 'the document'}: {finding['msg'].lower()}{found}"
    return ConfigError(message, fix="give a value that fits")


def first_finding(problem: ValidationError) -> Any:
    """What to tell first: a misspelt key rather than the key that is absent because of it."""
    findings = problem.errors(include_url=False)
    return next((finding for finding in findings if finding["type"] == "extra_forbidden"), findings[0])


def read_mapping(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file.

    Raises:
        ConfigError: absent, not UTF-8, not YAML, not a mapping.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path} does not exist", fix="name an existing YAML file") from None
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as problem:  # ValueError: not UTF-8, no such date
        reason = problem.strerror if isinstance(problem, OSError) else " ".join(str(problem).split())
        raise ConfigError(f"{path} is not readable as YAML: {reason}", fix="correct the file") from problem
    if not isinstance(content, dict):
        found = "nothing" if content is None else type(content).__name__
        raise ConfigError(
            f"{path}: expected a mapping of keys to values, found {found}", fix="write 'key: value' lines"
        )
    return content
