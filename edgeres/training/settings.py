"""Every setting of a training with its default, as flags and configuration files give them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic.fields import FieldInfo

from edgeres.errors import ConfigError, suggestion
from edgeres.records import shown
from edgeres.yaml_text import parse_yaml, read_yaml


class _Group(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RandAugmentSettings(_Group):
    """Random operations on colour and geometry (Cubuk et al., 2020)."""

    layers: int = Field(default=0, ge=0, le=10, description="operations on each image; 0: none")
    magnitude: float = Field(default=9, ge=0, le=10, description="of each operation, of 10")


class TransferSettings(_Group):
    """How weights that were trained elsewhere are taken on."""

    freeze_epochs: int = Field(
        default=0,
        ge=0,
        le=10_000,
        description="first epochs that train the new layers only, all others as in inference",
    )
    finetune_rate: float = Field(
        default=0.01,
        gt=0,
        le=100,
        description="peak of the schedule once all layers train; 0.0001 for adamw unless given",
    )


class DistillSettings(_Group):
    """How a teacher is followed (Hinton et al., 2015)."""

    temperature: float = Field(default=4.0, gt=0, le=100, description="divides both networks' logits")
    alpha: float = Field(
        default=0.9, ge=0, le=1, description="the teacher's part of the loss; the labels have the rest"
    )
    preprocess: str | None = Field(
        default=None, description="of a teacher's file that does not carry its own, as --preprocess"
    )


class TrainingSettings(_Group):
    """How a network is trained; the defaults are those of He et al. (2015, section 4.2) where it names them."""

    epochs: int = Field(default=20, ge=1, le=10_000, description="passes over the training split")
    batch: int = Field(default=128, ge=1, le=65_536, description="images in a step, over all devices")
    accumulate: int = Field(
        default=1,
        ge=1,
        le=65_536,
        description="parts into which a step's images are cut, one after the other, to save memory",
    )
    optimizer: Literal["sgd", "adamw"] = Field(default="sgd", description="SGD with Nesterov momentum, or AdamW")
    learning_rate: float = Field(
        default=0.1, gt=0, le=100, description="peak of the schedule; 0.001 for adamw unless given"
    )
    momentum: float = Field(default=0.9, ge=0, lt=1, description="of SGD, Nesterov's form")
    weight_decay: float = Field(
        default=1e-4, ge=0, le=1, description="as an L2 penalty (adamw: decoupled); skips batch norms and biases"
    )
    schedule: Literal["cosine", "step"] = Field(
        default="cosine", description="half a cosine to 0, or steps at milestones"
    )
    milestones: tuple[int, ...] = Field(
        default=(), description="epochs after which a step schedule multiplies by factor"
    )
    factor: float = Field(default=0.1, gt=0, lt=1, description="of a step schedule")
    warmup: float = Field(default=1.0, ge=0, le=10_000, description="epochs of linear warm-up before the schedule")
    label_smoothing: float = Field(default=0.0, ge=0, lt=1, description="part of each label spread over all classes")
    class_weights: Literal["none", "balanced"] | dict[str, Annotated[float, Field(ge=0, le=1e6)]] = Field(
        default="none", description="balanced: every class counts the same; or weights by label, 1 for those left out"
    )
    augment: Literal["auto", "none", "shift", "shift-flip", "crop", "crop-flip"] = Field(
        default="auto",
        description="shift: by up to an eighth; crop: a random part, resized; flip only where a mirrored image keeps "
        "its class; auto: shift, and flip where the data allow it",
    )
    crop_area: float = Field(default=0.08, gt=0, le=1, description="smallest part of the area that crop keeps")
    randaugment: RandAugmentSettings = RandAugmentSettings()
    mixup: float = Field(default=0.0, ge=0, le=100, description="alpha of mixup (Zhang et al., 2018); 0: none")
    cutmix: float = Field(
        default=0.0,
        ge=0,
        le=100,
        description="alpha of cutmix (Yun et al., 2019); 0: none; with mixup, each half of the time",
    )
    mix_probability: float = Field(
        default=1.0, ge=0, le=1, description="part of the batches that mixup or cutmix mixes"
    )
    ema: float = Field(default=0.0, ge=0, lt=1, description="decay of the averaged weights that are exported; 0: none")
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16"] = Field(
        default="float32", description="that layers compute in; the trained model is float32 always"
    )
    jit_compile: bool = Field(default=False, description="compile forward and backward with XLA")
    patience: int = Field(
        default=0,
        ge=0,
        le=10_000,
        description="epochs without a better validation loss that end the training; 0: never",
    )
    transfer: TransferSettings = TransferSettings()
    distill: DistillSettings = DistillSettings()
    deterministic: bool = Field(default=False, description="equal weights from equal runs, to the last bit; slower")
    seed: int = Field(default=0, ge=0, lt=2**31, description="of initial weights, shuffling and augmentation")

    @model_validator(mode="before")
    @classmethod
    def _rate_of_the_optimizer(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("optimizer") == "adamw":
            values = {"learning_rate": 0.001, "transfer": {}, **values}
            if isinstance(values["transfer"], dict):
                values["transfer"] = {"finetune_rate": 0.0001, **values["transfer"]}
        return values

    @field_validator("class_weights", mode="wrap")
    @classmethod
    def _by_label(cls, value: Any, check: Callable[[Any], Any]) -> Any:
        """YAML takes the label 3 for a number; and of two alternatives pydantic would tell the one not meant."""
        try:
            return check({str(label): weight for label, weight in value.items()} if isinstance(value, dict) else value)
        except ValidationError:
            expected = "'none', 'balanced', or by label weights of 0…1,000,000"
            raise ValueError(f"class_weights must be {expected}, found {value!r}") from None

    @model_validator(mode="after")
    def _consistent(self) -> TrainingSettings:
        if list(self.milestones) != sorted(set(self.milestones)) or any(epoch < 1 for epoch in self.milestones):
            raise ValueError(f"milestones must be rising epochs, found {list(self.milestones)}")
        if self.schedule == "step" and not self.milestones:
            raise ValueError("a step schedule needs milestones, for example [10, 15]")
        if self.transfer.freeze_epochs >= self.epochs:
            raise ValueError(f"transfer.freeze_epochs must be below epochs, {self.epochs}")
        return self

    def record(self) -> dict[str, Any]:
        """Every setting with its value, as JSON values."""
        return self.model_dump(mode="json")


def reference() -> str:
    """Every setting as a Markdown table: what docs/training.md shows."""
    rows = ["| key | default | |", "|---|---|---|"]
    for name, field in TrainingSettings.model_fields.items():
        group = field.annotation
        if isinstance(group, type) and issubclass(group, _Group):
            rows += [_row(f"{name}.{inner}", of) for inner, of in group.model_fields.items()]
        else:
            rows.append(_row(name, field))
    return "\n".join(rows) + "\n"


def _row(name: str, field: FieldInfo) -> str:
    default = field.default
    if isinstance(default, (tuple, type(None))):
        shown = "none"
    elif isinstance(default, bool) or not isinstance(default, (int, float)):
        shown = str(default).lower()
    else:
        shown = f"{default:g}"
    choices = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
    allowed = f"{', '.join(f'`{choice}`' for choice in choices)}: " if choices else ""
    return f"| `{name}` | {shown} | {allowed}{field.description} |"


def typed_settings(values: dict[str, Any], *, where: str) -> TrainingSettings:
    """Validate settings.

    Raises:
        ConfigError: an unknown setting (with its nearest match) or a value out of range.
    """
    try:
        return TrainingSettings.model_validate(values)
    except ValidationError as problem:
        raise schema_error(problem, where=where, known=_known(problem)) from None


def _known(problem: ValidationError) -> Any:
    """The settings that there are where the first finding is."""
    groups = {name: field.annotation for name, field in TrainingSettings.model_fields.items()}
    place = first_finding(problem)["loc"]
    group = groups.get(str(place[0])) if len(place) > 1 else None
    return group.model_fields if isinstance(group, type) and issubclass(group, _Group) else groups


def with_overrides(values: dict[str, Any], overrides: Iterable[str]) -> dict[str, Any]:
    """Settings with `key=value` and `group.key=value` laid over them; a value is YAML.

    Raises:
        ConfigError: no `=`, not YAML, or a key inside of what is no group.
    """
    for override in overrides:
        path, equals, text = override.partition("=")
        if not (equals and path):
            raise ConfigError(f"--set {override}: expected key=value", fix="for example --set mixup=0.2")
        try:
            value = parse_yaml(text)
        except ValueError:
            raise ConfigError(f"--set {override}: '{text}' is not a YAML value", fix="quote it") from None
        values = _with(values, path.split("."), value, override)
    return values


def _with(values: dict[str, Any], path: list[str], value: Any, override: str) -> dict[str, Any]:
    key, *rest = path
    if not rest:
        return {**values, key: value}
    inner = values.get(key, {})
    if not isinstance(inner, dict):
        raise ConfigError(f"--set {override}: '{key}' is no group of settings", fix="leave out what follows the dot")
    return {**values, key: _with(inner, rest, value, override)}


def schema_error(problem: ValidationError, *, where: str, known: Any) -> ConfigError:
    """The first finding of pydantic as one clear error; `known` are the keys a misspelt one is compared with."""
    finding = first_finding(problem)
    key = ".".join(str(part) for part in finding["loc"])
    if finding["type"] == "extra_forbidden":
        return ConfigError(f"{where}: unknown key '{key}'", fix=suggestion(str(finding["loc"][-1]), known))
    if finding["type"] == "value_error":  # from a validator of ours, whose words need nothing added
        return ConfigError(f"{where}: {finding['ctx']['error']}", fix="give settings that fit together")
    found = f", found {shown(finding['input'])}" if not isinstance(finding["input"], dict) else ""
    told = "expected a mapping of keys to values" if finding["type"] == "model_type" else finding["msg"].lower()
    message = f"{where}: {key or 'the document'}: {told}{found}"
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
        content = read_yaml(path)
    except FileNotFoundError:
        raise ConfigError(f"{path} does not exist", fix="name an existing YAML file") from None
    except (OSError, ValueError) as problem:
        reason = problem.strerror if isinstance(problem, OSError) else problem
        raise ConfigError(f"{path} is not readable as YAML: {reason}", fix="correct the file") from problem
    if not isinstance(content, dict):
        found = "nothing" if content is None else type(content).__name__
        raise ConfigError(
            f"{path}: expected a mapping of keys to values, found {found}", fix="write 'key: value' lines"
        )
    return content
