from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edgeres.errors import ConfigError
from edgeres.training.settings import TrainingSettings, read_mapping, reference, typed_settings, with_overrides


def test_defaults_are_those_of_the_paper() -> None:
    settings = typed_settings({}, where="x")
    assert (settings.batch, settings.learning_rate, settings.momentum, settings.weight_decay) == (128, 0.1, 0.9, 1e-4)
    assert settings.augment == "auto"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epoch": 3}, "run.yaml: unknown key 'epoch'\n  fix: did you mean 'epochs'?"),
        ({"learning-rate": 0.1}, "did you mean 'learning_rate'?"),
        ({"zzz": 1}, "choose from: accumulate, augment, batch, class_weights"),
        ({"epochs": 0}, "run.yaml: epochs: input should be greater than or equal to 1, found 0"),
        ({"epochs": "many"}, "epochs: input should be a valid integer"),
        ({"epochs": 1.5}, "epochs: input should be a valid integer"),
        ({"batch": 0}, "batch"),
        ({"learning_rate": float("nan")}, "learning_rate"),
        ({"learning_rate": float("inf")}, "learning_rate"),
        ({"learning_rate": -0.1}, "learning_rate"),
        ({"momentum": 1}, "momentum"),
        ({"warmup": float("inf")}, "warmup"),
        ({"label_smoothing": 1}, "label_smoothing"),
        (
            {"augment": "mixup"},
            "input should be 'auto', 'none', 'shift', 'shift-flip', 'crop' or 'crop-flip', found 'mixup'",
        ),
        ({"seed": 2**31}, "seed"),
        ({"seed": -1}, "seed"),
        ({1: 2}, "run.yaml"),
    ],
)
def test_a_bad_setting_is_named_with_what_was_found(values: dict[Any, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        typed_settings(values, where="run.yaml")
    assert message in str(caught.value)
    assert "run.yaml" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"epochs: [1", "not readable as YAML"),
        (b"- 1\n- 2\n", "expected a mapping of keys to values, found list"),
        (b"", "expected a mapping of keys to values"),
        (b"epochs: 2020-13-45\n", "not readable as YAML"),
        (b"\xff\xfe\xfa", "not readable as YAML"),
        (b"epochs: !!python/object/apply:os.system ['true']\n", "not readable as YAML"),
        (b"[" * 1500, "not readable as YAML"),
    ],
)
def test_a_file_that_is_no_mapping_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"run\.yaml") as caught:
        read_mapping(path)
    assert message in str(caught.value)


def test_an_absent_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"a\.yaml does not exist"):
        read_mapping(tmp_path / "a.yaml")
    with pytest.raises(ConfigError, match="not readable as YAML"):
        read_mapping(tmp_path)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"transfer": {"freeze_epoch": 1}},
            "unknown key 'transfer.freeze_epoch'\n  fix: did you mean 'freeze_epochs'?",
        ),
        ({"transfer": {"freeze_epochs": 20}}, "transfer.freeze_epochs must be below epochs, 20"),
        ({"transfer": 3}, "transfer: expected a mapping of keys to values, found 3"),
        ({"schedule": "step"}, "a step schedule needs milestones"),
        ({"schedule": "step", "milestones": [9, 3]}, "milestones must be rising epochs, found [9, 3]"),
        ({"class_weights": "ballanced"}, "class_weights must be 'none', 'balanced', or by label weights of"),
        ({"class_weights": {"cat": -1}}, "found {'cat': -1}"),
        ({"class_weights": None}, "class_weights must be"),
        ({"ema": 1}, "ema"),
        ({"precision": "float16"}, "precision"),
    ],
)
def test_a_setting_that_does_not_fit_the_others_is_named(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        typed_settings(values, where="run.yaml")
    assert message in str(caught.value)
    assert "value error" not in str(caught.value)


def test_the_rate_s_default_is_that_of_the_optimizer() -> None:
    assert typed_settings({"optimizer": "adamw"}, where="x").learning_rate == 0.001
    assert typed_settings({"optimizer": "adamw", "learning_rate": 0.1}, where="x").learning_rate == 0.1
    assert typed_settings({"optimizer": "sgd"}, where="x").learning_rate == 0.1
    assert typed_settings({"optimizer": "adamw"}, where="x").transfer.finetune_rate == 0.0001
    frozen = typed_settings({"optimizer": "adamw", "transfer": {"freeze_epochs": 1}}, where="x").transfer
    assert (frozen.freeze_epochs, frozen.finetune_rate) == (1, 0.0001)
    given = typed_settings({"optimizer": "adamw", "transfer": {"finetune_rate": 0.02}}, where="x").transfer
    assert given.finetune_rate == 0.02


def test_overrides_lie_over_a_file() -> None:
    values = {"epochs": 3, "transfer": {"freeze_epochs": 1}}
    found = with_overrides(values, ["epochs=5", "transfer.finetune_rate=0.1", "milestones=[1, 2]", "jit_compile=true"])
    assert found == {
        "epochs": 5,
        "transfer": {"freeze_epochs": 1, "finetune_rate": 0.1},
        "milestones": [1, 2],
        "jit_compile": True,
    }
    assert values == {"epochs": 3, "transfer": {"freeze_epochs": 1}}


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("epochs", "--set epochs: expected key=value"),
        ("=3", "expected key=value"),
        ("epochs=[", "'[' is not a YAML value"),
        ("epochs.more=3", "'epochs' is no group of settings"),
    ],
)
def test_a_bad_override_is_named(override: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        with_overrides({"epochs": 3}, [override])
    assert message in str(caught.value)


def test_the_guide_shows_every_setting() -> None:
    guide = Path(__file__).parents[3] / "docs" / "training.md"
    assert reference() in guide.read_text(encoding="utf-8")


def test_a_label_may_look_like_a_number() -> None:
    values = with_overrides({}, ["class_weights={3: 2}", "class_weights.7=0.5"])
    assert typed_settings(values, where="x").class_weights == {"3": 2.0, "7": 0.5}


def test_settings_survive_json(tmp_path: Path) -> None:
    settings = TrainingSettings(epochs=3, augment="shift")
    assert typed_settings(json.loads(json.dumps(settings.record())), where="x") == settings
