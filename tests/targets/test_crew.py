from __future__ import annotations

from dataclasses import replace

import pytest

from targets.artifact import Artifact
from targets.crew import sessions_each
from tests.targets.double import DoubleSession, DoubleTarget

SMALL = Artifact("m", "m.tflite", "tflite", b"x" * 1000)
CPU = DoubleTarget(lambda _: DoubleSession(), kind="cpu")


@pytest.mark.parametrize(
    ("models", "images", "cores", "expected"),
    [
        (1, 10_000, 2, 3),  # one for each core, and one more
        (2, 10_000, 2, 2),
        (3, 10_000, 2, 2),
        (4, 10_000, 2, 1),
        (9, 10_000, 2, 1),
        (1, 10_000, 16, 17),
        (1, 40, 16, 2),  # few images
        (1, 1, 16, 1),
    ],
)
def test_the_cores_are_kept_busy(
    models: int, images: int, cores: int, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("targets.crew.usable_cores", lambda: cores)
    assert sessions_each(CPU, [SMALL] * models, images=images) == expected


def test_large_models_are_not_opened_more_often_than_memory_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("targets.crew.usable_cores", lambda: 8)
    monkeypatch.setattr("targets.crew.physical_memory", lambda: 40_000)
    assert sessions_each(CPU, [SMALL], images=10_000) == 2
    assert sessions_each(CPU, [SMALL] * 3, images=10_000) == 1


def test_an_accelerator_runs_one_session() -> None:
    assert sessions_each(replace(CPU, kind="npu"), [SMALL], images=10_000) == 1
