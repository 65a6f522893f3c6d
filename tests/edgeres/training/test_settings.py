from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgeres.errors import ConfigError
from edgeres.training.settings import TrainingSettings, read_mapping, typed_settings


def test_defaults_are_those_of_the_paper() -> None:
    settings = typed_settings({}, where="x")
    assert (settings.batch, settings.learning_rate, settings.momentum, settings.weight_decay) == (128, 0.1, 0.9, 1e-4)
    assert settings.augment == "auto"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epoch": 3}, "run.yaml: unknown key 'epoch'\n  fix: did you mean 'epochs'?"),
        ({"learning-rate": 0.1}, "did you mean 'learning_rate'?"),
        ({"zzz": 1}, "choose from: augment, batch, epochs"),
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
        ({"augment": "mixup"}, "input should be 'auto', 'none', 'shift' or 'shift-flip', found 'mixup'"),
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


def test_settings_survive_json(tmp_path: Path) -> None:
    settings = TrainingSettings(epochs=3, augment="shift")
    assert typed_settings(settings.model_dump(), where="x") == settings
