"""The steps of recipes: the settings of each, with their ranges, and which images it reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from edgeres.errors import ConfigError
from edgeres.registry import require_known
from targets import TARGETS
from targets.catalogue import find_target

Sparsity = Annotated[float, Field(ge=0, lt=1)]
Criterion = Literal["l1", "l2", "bn-scale", "taylor", "random"]
Share = Annotated[float, Field(gt=0, le=1)]
Side = Annotated[int, Field(ge=1, le=64)]
Precision = Literal["float32", "int8", "int16x8", "int4"]
Shortcuts = Literal["1x1", "3x3"]
_SHORTCUTS = (
    "kernels of strided 1x1 convolutions, such as projection shortcuts: as they are, or embedded in 3x3 kernels of "
    "zeros, which GPUs compute right in int8"
)
_GOALS = ("keep", "macs", "parameters", "arena", "latency")


@dataclass(frozen=True)
class Material:
    """The images that a step reads: the first `images` of a split, or all of it for None."""

    split: Literal["train", "calibration"]
    images: int | None = None


class StepSettings(BaseModel):
    """What the settings of every step have."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @property
    def material(self) -> Material | None:
        """The images that the step reads, or None where it needs none."""
        return None


class PruneStep(StepSettings):
    """Magnitude pruning while fine-tuning (tfmot; Zhu & Gupta, 2017): zeros in the kernels, shapes unchanged.

    Which layers it reaches, and which it leaves dense: `converters.pruning.wanted`.
    """

    step: Literal["prune"]
    pattern: Literal["unstructured", "2:4", "block"] = Field(
        "unstructured",
        description="zeros anywhere; two in four weights along the input channels; or whole blocks of dense layers",
    )
    sparsity: float = Field(0.5, ge=0, lt=1, description="fraction of zeros in each kernel at the end")
    layers: dict[str, Sparsity] = Field(
        default_factory=dict,
        description="patterns of layer names (fnmatch) with a sparsity of their own, 0 to stay dense; the first match "
        "counts",
    )
    ends: bool = Field(False, description="prune the first and the last layer with a kernel too")
    block_size: tuple[Side, Side] | None = Field(
        None, description="inputs and outputs of a dense layer that become zero together (block only)"
    )
    block_pooling: Literal["average", "max"] = Field("average", description="what ranks a block (block only)")
    epochs: int = Field(4, ge=1, le=1000, description="of fine-tuning, over the training split")
    ramp: float = Field(0.5, gt=0, le=1, description="part of the epochs over which sparsity rises to its end")
    learning_rate: float = Field(0.01, gt=0, le=10, description="peak of the cosine")
    batch: int = Field(64, ge=1, le=65_536, description="images in a step")

    @field_validator("pattern", mode="before")
    @classmethod
    def _not_in_base_60(cls, value: Any) -> Any:
        return "2:4" if type(value) is int and value == 124 else value  # what YAML 1.1 makes of 2:4 without quotes

    @model_validator(mode="after")
    def _fits_together(self) -> PruneStep:
        if self.pattern == "2:4" and {self.sparsity, *self.layers.values()} - {0.0, 0.5}:
            raise ValueError("prune: 2:4 makes half of the weights zero: sparsity can be 0.5, or 0 to stay dense")
        if self.pattern == "2:4" and self.ramp != type(self).model_fields["ramp"].default:
            raise ValueError("prune: 2:4 sets its zeros in the first step, so there is no ramp to set")
        if self.pattern == "block" and self.block_size in (None, (1, 1)):
            raise ValueError("prune: the pattern block needs a block_size, such as [4, 1]: 4 inputs of one output")
        if self.pattern != "block" and (self.block_size or self.block_pooling != "average"):
            raise ValueError(f"prune: block_size and block_pooling mean nothing with the pattern {self.pattern}")
        return self

    @property
    def material(self) -> Material:
        """All of the training split."""
        return Material("train")


class SlimStep(StepSettings):
    """Channel pruning (`converters.pruning.channels`): whole channels go, then what is left is fine-tuned.

    One goal: `keep`, `macs`, `parameters`, `arena` or `latency`, a share of what the whole network has; or `groups`.
    """

    step: Literal["slim"]
    keep: Share | None = Field(None, description="share of the channels that stays")
    macs: Share | None = Field(None, description="share of the multiply-accumulates that stays, at most")
    parameters: Share | None = Field(None, description="share of the trainable parameters that stays, at most")
    arena: Share | None = Field(None, description="share of the activation memory that stays, at most")
    latency: Share | None = Field(None, description="share of the latency that stays, measured on the target, at most")
    groups: dict[str, Share] = Field(
        default_factory=dict,
        description="patterns of layer names (fnmatch) whose channels are kept in a share of their own, 1 for all of "
        "them; the first match counts",
    )
    criterion: Criterion = Field("l2", description="what ranks channels; taylor reads labelled training images")
    ranking: Literal["uniform", "global"] = Field(
        "uniform", description="the same share of every group, or the best of all channels together"
    )
    scope: Literal["all", "internal"] = Field(
        "all", description="internal: channels that a residual sum joins stay, those inside of blocks go"
    )
    target: str = Field("cpu", description="where it is to run: sets multiple, and is where latency is measured")
    multiple: int = Field(
        8,
        ge=1,
        le=256,
        description="widths are multiples of this, for kernels are slow on odd ones; by default the target's",
    )
    floor: float = Field(0.1, ge=0, le=1, description="share of each group's channels that stays in any case")
    rounds: int = Field(1, ge=1, le=100, description="of pruning and fine-tuning; each begins its schedule anew")
    epochs: int = Field(8, ge=0, le=1000, description="of fine-tuning in each round, over the training split")
    learning_rate: float = Field(0.05, gt=0, le=10, description="peak of the cosine")
    batch: int = Field(128, ge=1, le=65_536, description="images in a step")
    distill: float = Field(0.0, ge=0, le=1, description="weight of the unpruned network's answers beside the labels")
    images: int = Field(1024, ge=1, le=100_000, description="labelled training images for taylor")
    precision: Literal["int8", "float32"] | None = Field(
        None, description="in which latency is measured, by default what the recipe ends in (latency only)"
    )
    threads: int = Field(1, ge=1, le=256, description="with which latency is measured (latency only)")

    @model_validator(mode="before")
    @classmethod
    def _as_the_target_likes(cls, values: Any) -> Any:
        """Written out, so that a bundle's recipe says by which multiple it was pruned."""
        if values.get("multiple") is None and values.get("target") in TARGETS:
            return values | {"multiple": find_target(values["target"]).multiple}
        return values

    @field_validator("target")
    @classmethod
    def _known(cls, value: str) -> str:
        try:
            require_known(TARGETS, value, noun="target", error=ConfigError)
        except ConfigError as problem:
            raise ValueError(f"slim: {problem.message}; {problem.fix}") from problem
        return value

    @model_validator(mode="after")
    def _one_goal(self) -> SlimStep:
        given = [name for name in _GOALS if getattr(self, name) is not None]
        if len(given) > 1 or not (given or self.groups):
            found = ", ".join(given) or "none"
            undo = f"; take one back with --set slim.{given[0]}=null" if given else ""
            raise ValueError(f"slim: expected one of {', '.join(_GOALS)}, or groups alone; found {found}{undo}")
        if self.latency is not None and self.rounds > 1:
            raise ValueError("slim: a latency is measured in a single round; leave out rounds, or ask for macs")
        if self.distill and not self.epochs:
            raise ValueError("slim: distill does nothing without epochs of fine-tuning")
        used = {"images": self.criterion == "taylor", "precision": self.latency, "threads": self.latency}
        for name, use in used.items():
            if not use and getattr(self, name) != type(self).model_fields[name].default:
                needed = "the criterion taylor" if name == "images" else "a latency to reach"
                raise ValueError(f"slim: {name} means nothing without {needed}")
        return self

    @property
    def goal(self) -> tuple[str, float]:
        """("channels", "macs", "parameters", "arena" or "latency", its share)."""
        for name in _GOALS:
            if (share := getattr(self, name)) is not None:
                return "channels" if name == "keep" else name, share
        return "channels", 1.0

    @property
    def material(self) -> Material | None:
        """All of the training split, or nothing where none of it is read."""
        reads = self.epochs or self.criterion == "taylor" or self.latency is not None
        return Material("train") if reads else None


class ExportStep(StepSettings):
    """Keras to a float32 flatbuffer with a batch of one; its outputs are checked against Keras'."""

    step: Literal["export"]
    shortcuts: Shortcuts = Field(default="1x1", description=_SHORTCUTS)


class QuantizeStep(StepSettings):
    """Post-training quantization of the float flatbuffer by the LiteRT Quantizer."""

    step: Literal["quantize"]
    mode: Literal["float16", "dynamic-int8", "int8", "int16x8", "int4"] = Field(
        description="float16 weights; int8 weights with float activations; int8 throughout; int16 activations with "
        "int8 weights; int8 throughout but int4 weights in convolutions and dense layers"
    )
    images: int = Field(256, ge=1, le=100_000, description="calibration images (modes with integer activations)")
    ranges: Literal["min-max", "moving-average", "mse"] = Field(
        "min-max",
        description="activation ranges (modes with integer activations): of all calibration images; averaged with the "
        "last ones weighing most, which clips rare large values such as the logits of a sure answer; or with the least "
        "squared error",
    )
    weights: Literal["min-max", "mse", "octav", "gptq"] = Field(
        "min-max",
        description="how weights are rounded (integer modes): over the whole range of a channel; with a scale for the "
        "least squared error, by a rule (mse) or an iteration (octav); or one after the other, each making up for the "
        "errors of those before it on the calibration images (gptq)",
    )
    granularity: Literal["channel", "tensor"] = Field(
        "channel", description="one scale for each output channel of a weight, or one for all: some targets need that"
    )
    io: Literal["integer", "uint8", "float32"] = Field(
        "integer",
        description="type of the input and the output (modes with integer activations): as the activations are, uint8 "
        "(int8 and int4 only), or float32",
    )
    layers: dict[str, Precision] = Field(
        default_factory=dict,
        description="patterns of layer names (fnmatch) with a precision of their own (modes with integer activations); "
        "the first match counts",
    )

    @property
    def calibrates(self) -> bool:
        """Whether activations become integers, whose ranges calibration images give."""
        return self.mode in ("int8", "int16x8", "int4")

    @model_validator(mode="after")
    def _fits_together(self) -> QuantizeStep:
        given = {name for name, field in type(self).model_fields.items() if getattr(self, name) != field.default}
        given -= {"layers"} if not self.layers else set()
        idle = set() if self.calibrates else {"images", "ranges", "io", "layers"}
        idle |= {"weights", "granularity"} if self.mode == "float16" else set()
        if found := sorted(given & idle):
            raise ValueError(f"quantize: {', '.join(found)} means nothing with the mode {self.mode}")
        if self.io == "uint8" and self.mode == "int16x8":
            raise ValueError("quantize: int16 activations cannot come from uint8 pixels; choose io integer or float32")
        if self.weights == "gptq" and not self.calibrates:
            raise ValueError(f"quantize: gptq needs calibration images, which {self.mode} does not read")
        if self.weights == "gptq" and self.granularity == "tensor":
            raise ValueError("quantize: gptq rounds channel by channel; choose the granularity channel")
        return self

    @property
    def material(self) -> Material | None:
        """The calibration images; only integer activations need any."""
        return Material("calibration", self.images) if self.calibrates else None


class AwareStep(StepSettings):
    """Quantization-aware training (tfmot; Jacob et al., 2018): fine-tuned as int8 computes, then an int8 flatbuffer."""

    step: Literal["aware"]
    preserve: Literal["sparsity", "none"] = Field("sparsity", description="whether weights that are zero stay zero")
    epochs: int = Field(2, ge=1, le=1000, description="of fine-tuning, over the training split")
    learning_rate: float = Field(0.0001, gt=0, le=10, description="peak of the cosine")
    batch: int = Field(64, ge=1, le=65_536, description="images in a step")
    shortcuts: Shortcuts = Field(default="1x1", description=_SHORTCUTS)

    @property
    def material(self) -> Material:
        """All of the training split."""
        return Material("train")


Step = Annotated[SlimStep | PruneStep | ExportStep | QuantizeStep | AwareStep, Field(discriminator="step")]
KINDS: dict[str, type[StepSettings]] = {
    "slim": SlimStep, "prune": PruneStep, "export": ExportStep, "quantize": QuantizeStep, "aware": AwareStep,
}  # fmt: skip
