from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from edgeres.errors import ArtifactError, ConfigError
from edgeres.records import decode, dump, encode, read_json, write_json


@dataclass(frozen=True)
class Part:
    name: str
    size: int = 1


@dataclass(frozen=True)
class Whole:
    title: str
    ratio: float
    ready: bool
    mode: Literal["fast", "slow"]
    parts: tuple[Part, ...]
    counts: dict[str, int]
    note: str | None = None
    extra: Any = None
    values: tuple[float, ...] = field(default_factory=tuple)

    def __post_init__(self) -> None:
        if self.ratio < 0:
            raise ValueError("ratio must not be negative")


WHOLE = Whole("t", 0.5, True, "fast", (Part("a"), Part("b", 2)), {"x": 1}, note="n", extra={"k": [1]}, values=(1.5,))


def data(**changes: Any) -> dict[str, Any]:
    return {**json.loads(dump(WHOLE)), **changes}


def test_a_record_survives_the_round_trip() -> None:
    assert decode(Whole, json.loads(dump(WHOLE)), where="w") == WHOLE


def test_what_is_none_is_left_out() -> None:
    assert "note" not in encode(Whole("t", 1, True, "fast", (), {}))


def test_defaults_fill_what_is_absent() -> None:
    assert decode(Part, {"name": "a"}, where="w") == Part("a", 1)


def test_a_whole_number_becomes_a_float() -> None:
    ratio = decode(Whole, data(ratio=1), where="w").ratio
    assert isinstance(ratio, float)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"title": 3}, "w.title: expected str, found int 3"),
        ({"title": None}, "w.title: expected str, found NoneType"),
        ({"ratio": "1"}, "w.ratio: expected a number, found str"),
        ({"ratio": True}, "w.ratio: expected a number, found bool"),
        ({"ready": 1}, "w.ready: expected bool, found int"),
        ({"mode": "medium"}, "w.mode: expected one of 'fast', 'slow', found 'medium'"),
        ({"mode": ["fast"]}, "w.mode: expected one of"),
        ({"parts": {}}, "w.parts: expected a list, found dict"),
        ({"parts": [{"name": "a"}, {"name": 1}]}, r"w.parts\[1\].name: expected str"),
        ({"parts": ["a"]}, r"w.parts\[0\]: expected an object, found str"),
        ({"parts": [{"name": "a", "size": True}]}, r"w.parts\[0\].size: expected int, found bool"),
        ({"parts": [{"name": "a", "size": 1.5}]}, r"w.parts\[0\].size: expected int, found float"),
        ({"parts": [{}]}, r"w.parts\[0\]: the key 'name' is missing"),
        ({"counts": {"x": "1"}}, "w.counts.x: expected int"),
        ({"counts": []}, "w.counts: expected an object"),
        ({"note": 1}, "w.note: expected str"),
        ({"ratio": 10**400}, "w.ratio: expected a number of ordinary size, found int"),
        ({"parts": [{"name": "a", "size": 1 << 64}]}, r"size: expected an integer of 64 bits"),
        ({"ratio": -1.0}, "w: ratio must not be negative"),
    ],
)
def test_a_value_that_does_not_fit_is_named(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ArtifactError, match=says):
        decode(Whole, data(**changes), where="w")


@pytest.mark.parametrize("value", [None, [], "x", 1])
def test_what_is_no_object_is_refused(value: Any) -> None:
    with pytest.raises(ArtifactError, match="w: expected an object"):
        decode(Whole, value, where="w")


def test_an_unknown_key_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="w: unknown key 'tilte'") as caught:
        decode(Whole, data(tilte="x"), where="w", error=ConfigError)
    assert caught.value.fix == "did you mean 'title'?"


def test_a_missing_key_is_named() -> None:
    with pytest.raises(ArtifactError, match="w: the key 'title' is missing"):
        decode(Whole, {key: value for key, value in data().items() if key != "title"}, where="w")


def test_lists_of_numbers_stay_on_one_line_and_text_stays_as_it_is() -> None:
    record = {"n": [[1, 2.5, -3e-7], [4]], "s": ["[\n 1,\n 2\n]", "ä"], "empty": []}
    text = dump(record)
    assert "[1, 2.5, -3e-07]" in text
    assert "ä" in text
    assert json.loads(text) == record


def test_what_json_cannot_say_is_a_programmers_mistake() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        dump({"x": float("nan")})


def test_a_file_survives_the_round_trip(tmp_path: Path) -> None:
    write_json(tmp_path / "deep" / "w.json", WHOLE)
    assert decode(Whole, read_json(tmp_path / "deep" / "w.json"), where="w") == WHOLE


HALF_A_CHARACTER = b'{"name": "\\ud800"}'
NOT_JSON = [b"", b"{", b"\xff\xfe", b"[" * 100_000, b"[" * 70 + b"]" * 70, b"[NaN]", b"[-Infinity]", b"1" * 5000]


@pytest.mark.parametrize("content", [*NOT_JSON, HALF_A_CHARACTER])
def test_what_is_no_json_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(ArtifactError, match=r"x.json cannot be read as JSON"):
        read_json(tmp_path / "x.json")


def test_an_absent_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"x.json does not exist"):
        read_json(tmp_path / "x.json", error=ConfigError)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_json(tmp_path, error=ConfigError)


def test_a_pipe_is_not_waited_for_and_a_long_file_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    with pytest.raises(ArtifactError, match="no regular file"):
        read_json(tmp_path / "pipe.json")
    monkeypatch.setattr("edgeres.records.MAX_BYTES", 10)
    (tmp_path / "long.json").write_bytes(b" " * 11)
    with pytest.raises(ArtifactError, match="more than 10 bytes"):
        read_json(tmp_path / "long.json")


def test_characters_outside_of_the_first_plane_are_read(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_bytes(b'{"name": "\\ud83d\\ude00"}')
    assert read_json(tmp_path / "x.json") == {"name": "\U0001f600"}
