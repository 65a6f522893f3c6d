"""Settings that would change nothing: whoever gives one expects an effect, and is told what it takes.

A setting counts as given where it differs from its default, for a run records every one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edgeres.errors import ConfigError
from edgeres.training.settings import TrainingSettings

Needs = tuple[Callable[[TrainingSettings], bool], str, str]
"""When settings take effect, what is so otherwise, and what to add."""

_STEP: Needs = (lambda s: s.schedule == "step", "schedule is 'cosine'", "schedule=step")
_FACTOR: Needs = (*_STEP[:2], "schedule=step --set milestones=[EPOCH]")
_CROP: Needs = (lambda s: s.augment.startswith("crop"), "augment makes no crops", "augment=crop-flip")
_RAND: Needs = (lambda s: s.randaugment.layers > 0, "randaugment.layers is 0", "randaugment.layers=1")
_MIX: Needs = (lambda s: s.mixup > 0 or s.cutmix > 0, "neither mixup nor cutmix is on", "mixup=0.2")
_SGD: Needs = (lambda s: s.optimizer == "sgd", "optimizer is 'adamw'", "optimizer=sgd")
_FREEZE: Needs = (
    lambda s: s.transfer.freeze_epochs > 0,
    "transfer.freeze_epochs is 0: all layers train with learning_rate",
    "transfer.freeze_epochs=1",
)

_NEEDS = {
    "milestones": _STEP,
    "factor": _FACTOR,
    "momentum": _SGD,
    "crop_area": _CROP,
    "randaugment.magnitude": _RAND,
    "mix_probability": _MIX,
    "transfer.finetune_rate": _FREEZE,
}

_OF_A_TEACHER = ("distill.temperature", "distill.alpha", "distill.preprocess")


def require_effects(settings: TrainingSettings, *, where: str) -> None:
    """Refuse a setting that changes nothing beside the others; `where` they were given.

    Raises:
        ConfigError: the first; says what it needs.
    """
    for name, (takes_effect, found, remedy) in _NEEDS.items():
        if not takes_effect(settings) and _given(settings, name):
            raise ConfigError(f"{where}: {name} has no effect: {found}", fix=f"add --set {remedy}, or leave out {name}")
    late = [epoch for epoch in settings.milestones if epoch >= settings.epochs]
    if settings.schedule == "step" and late:
        raise ConfigError(
            f"{where}: the milestones {late} have no effect: the training ends after epoch {settings.epochs}",
            fix=f"give milestones below {settings.epochs}, or more --epochs",
        )
    if settings.accumulate > settings.batch:
        raise ConfigError(
            f"{where}: accumulate is {settings.accumulate}, for a batch of {settings.batch} images",
            fix=f"give {settings.batch} at most",
        )


def require_teacher(settings: TrainingSettings, teacher: object | None) -> None:
    """Refuse settings of a teacher where there is none, and a teacher that nothing is learned from.

    Raises:
        ConfigError: the first.
    """
    for name in _OF_A_TEACHER:
        if teacher is None and _given(settings, name):
            raise ConfigError(f"{name} has no effect: no teacher is given", fix=f"add --teacher, or leave out {name}")
    if teacher is not None and settings.distill.alpha == 0:
        raise ConfigError(
            "the teacher has no effect: distill.alpha, its part of the loss, is 0",
            fix="give distill.alpha above 0, or leave out --teacher",
        )


def _given(settings: TrainingSettings, name: str) -> bool:
    return bool(_value(settings, name) != _value(TrainingSettings(optimizer=settings.optimizer), name))


def _value(settings: Any, name: str) -> Any:
    for part in name.split("."):
        settings = getattr(settings, part)
    return settings
