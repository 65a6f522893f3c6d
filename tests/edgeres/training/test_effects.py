from __future__ import annotations

from typing import Any

import pytest

from edgeres.errors import ConfigError
from edgeres.training.effects import require_effects, require_teacher
from edgeres.training.settings import typed_settings


@pytest.mark.parametrize(
    ("values", "message", "mended"),
    [
        ({"milestones": [3]}, "milestones has no effect: schedule is 'cosine'", {"schedule": "step"}),
        ({"factor": 0.5}, "factor has no effect", {"schedule": "step", "milestones": [3]}),
        ({"optimizer": "adamw", "momentum": 0.5}, "momentum has no effect", {"optimizer": "sgd"}),
        ({"crop_area": 0.5}, "crop_area has no effect: augment makes no crops", {"augment": "crop"}),
        ({"randaugment": {"magnitude": 3}}, "randaugment.magnitude", {"randaugment": {"layers": 1, "magnitude": 3}}),
        ({"mix_probability": 0.5}, "neither mixup nor cutmix is on", {"cutmix": 1.0}),
        (
            {"transfer": {"finetune_rate": 0.1}},
            "transfer.finetune_rate has no effect",
            {"transfer": {"finetune_rate": 0.1, "freeze_epochs": 1}},
        ),
        (
            {"schedule": "step", "milestones": [2, 5, 9], "epochs": 5},
            "the milestones [5, 9] have no effect: the training ends after epoch 5",
            {"epochs": 10},
        ),
        ({"batch": 4, "accumulate": 8}, "accumulate is 8, for a batch of 4 images", {"accumulate": 4}),
    ],
)
def test_a_setting_without_effect_is_an_error_that_says_what_it_needs(
    values: dict[str, Any], message: str, mended: dict[str, Any]
) -> None:
    with pytest.raises(ConfigError) as caught:
        require_effects(typed_settings(values, where="x"), where="run.yaml")
    assert message in caught.value.message
    assert caught.value.fix
    require_effects(typed_settings({**values, **mended}, where="x"), where="x")


@pytest.mark.parametrize("values", [{}, {"optimizer": "adamw"}, {"optimizer": "adamw", "schedule": "cosine"}])
def test_defaults_have_no_effect_and_are_no_error(values: dict[str, Any]) -> None:
    """A run records every setting: its record is as good as what it was made of."""
    settings = typed_settings(values, where="x")
    require_effects(typed_settings(settings.record(), where="x"), where="x")
    require_teacher(settings, None)


@pytest.mark.parametrize("setting", [{"alpha": 0.5}, {"temperature": 2}, {"preprocess": "unit"}])
def test_a_teacher_s_settings_need_one(setting: dict[str, Any]) -> None:
    settings = typed_settings({"distill": setting}, where="x")
    with pytest.raises(ConfigError, match=f"distill.{next(iter(setting))} has no effect: no teacher is given"):
        require_teacher(settings, None)
    require_teacher(settings, "a teacher")


def test_what_a_factor_needs_is_named_whole() -> None:
    with pytest.raises(ConfigError) as caught:
        require_effects(typed_settings({"factor": 0.5}, where="x"), where="x")
    assert "schedule=step --set milestones=" in str(caught.value.fix)


def test_a_teacher_without_a_part_of_the_loss_is_an_error() -> None:
    settings = typed_settings({"distill": {"alpha": 0}}, where="x")
    with pytest.raises(ConfigError, match=r"the teacher has no effect: distill\.alpha"):
        require_teacher(settings, "a teacher")
