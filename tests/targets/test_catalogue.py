from __future__ import annotations

import pytest

from edgeres.errors import DataError, TargetError
from edgeres.registry import resolve
from targets import TARGETS
from targets.artifact import Artifact
from targets.catalogue import available_target, describe_targets, find_target, open_session
from targets.target import Family
from tests.targets.double import DoubleSession, DoubleTarget

OFF = DoubleTarget(lambda _: DoubleSession(), name="off", why="it is not plugged in")
ALONE = ("browser", "edgetpu")
"""Families that have a member without a name behind the colon."""

MODEL = Artifact("m", "path/m.tflite", "tflite", b"")


@pytest.mark.parametrize("name", TARGETS)
def test_every_target_of_the_table_is_there_under_its_name(name: str) -> None:
    target = resolve(TARGETS[name])
    if isinstance(target, Family):
        assert target.usage.startswith((f"{name}:", f"{name}[:"))
        if name in ALONE:
            assert find_target(name).name == name
        else:
            with pytest.raises(TargetError):
                find_target(name)
    else:
        assert find_target(name).name == name
        assert isinstance(target.timed, bool)


def test_an_unknown_target_is_an_error_with_the_nearest_match() -> None:
    with pytest.raises(TargetError, match="did you mean 'reference'"):
        find_target("referense")


def test_a_target_that_takes_no_argument_says_so() -> None:
    with pytest.raises(TargetError, match="takes nothing behind a colon, found 'cpu:8'"):
        find_target("cpu:8")


def test_an_unavailable_target_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TARGETS, "off", f"{__name__}:OFF")
    with pytest.raises(TargetError) as caught:
        available_target("off")
    assert "not plugged in" in str(caught.value)
    assert caught.value.fix == "plug it in"
    row = describe_targets()[-1]
    assert row == {
        "name": "off",
        "kind": "cpu",
        "available": False,
        "why": "it is not plugged in",
        "fix": "plug it in",
        "version": None,
    }


def test_errors_of_a_session_name_the_artifact() -> None:
    def fail(*_: object, **__: object) -> None:
        raise DataError("too bright", details=("by far",), fix="draw the curtains")

    session = DoubleSession()
    session.infer = session.time = session.operators = session.memory = fail  # type: ignore[method-assign,assignment]
    opened = open_session(MODEL, DoubleTarget(lambda _: session))
    for call in (lambda: opened.infer(None), lambda: opened.time(runs=1, seconds=0), opened.operators, opened.memory):
        with pytest.raises(DataError, match=r"path/m.tflite: too bright") as caught:
            call()
        assert (caught.value.details, caught.value.fix) == (("by far",), "draw the curtains")


def test_a_session_is_closed_with_its_block() -> None:
    target = DoubleTarget(lambda _: DoubleSession())
    with open_session(MODEL, target) as session:
        assert session.memory().peak_bytes == 2000
        assert target.opened[0].calls == []
    assert target.opened[0].calls == ["double close"]
