from __future__ import annotations

from dataclasses import replace

import pytest

from edgeres.compiled_file import CompiledFile, file_name, require_provenance
from edgeres.results import Operators

NAME = "compiled/ethosu-u55-256.tflite"
RECORD = CompiledFile(NAME, "ethosu:u55-256", "vela 5", {}, "1" * 64, Operators(9, 9, "Ethos-U55-256"))
FILES = {"model.tflite": "1" * 64, NAME: "2" * 64}


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("ethosu:u55-256", NAME),
        ("npu:qualcomm:SM8750", "compiled/npu-qualcomm-SM8750.tflite"),
        ("ssh://pi/npu:x", "compiled/ssh-pi-npu-x.tflite"),
        ("ethosu:u65-256?config=/a/b.ini&memory-mode=X", "compiled/ethosu-u65-256-config-a-b.ini-memory-mode-X.tflite"),
    ],
)
def test_a_target_names_a_file_that_no_system_takes_for_a_path(target: str, name: str) -> None:
    assert file_name(target) == name


def test_files_with_provenance_are_accepted() -> None:
    require_provenance([RECORD], FILES, model="model.tflite")
    require_provenance([], {"model.tflite": "1" * 64}, model="model.tflite")


@pytest.mark.parametrize(
    ("records", "files", "says"),
    [
        ([], FILES, f"'compiled' says nothing of '{NAME}'"),
        ([RECORD], {"model.tflite": "1" * 64}, f"'files' has no '{NAME}'"),
        ([replace(RECORD, file="model.tflite")], FILES, "'compiled' says nothing of"),
        ([replace(RECORD, file="labels.txt")], {"model.tflite": "1" * 64}, "'files' has no 'labels.txt'"),
        ([replace(RECORD, made_of="3" * 64)], FILES, "was made of another file than its model.tflite"),
        ([RECORD], {NAME: "2" * 64}, "was made of another file"),
    ],
)
def test_a_file_without_provenance_or_of_another_model_is_refused(
    records: list[CompiledFile], files: dict[str, str], says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        require_provenance(records, files, model="model.tflite")
