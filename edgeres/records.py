"""Frozen dataclasses to JSON and back, strictly: an unknown, missing or mistyped field is an error that names it.

Only the standard library, so that a device without pydantic reads manifests and results by the same rules.
Supported fields: str, int, float, bool, Literal, `X | None`, `tuple[X, ...]`, `dict[str, X]`, dataclasses, Any.
"""

from __future__ import annotations

import dataclasses
import json
import re
import reprlib
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from edgeres.annotations import field_types
from edgeres.errors import ArtifactError, EdgeresError, suggestion
from edgeres.storage import read_limited, write_text

T = TypeVar("T")

MAX_BYTES = 256 << 20
"""A longer JSON file is refused: the largest result, of every prediction on 50,000 images, has a few."""

_MAX_DEPTH = 64
_LARGEST = 1e300
_BRIEF = reprlib.Repr()
_MEND = "correct it there, or make the file again"
_RESTORE = "make the file again, or restore it"


def encode(record: Any) -> Any:
    """A record as JSON values; fields that are None (not measured, not known) are left out."""
    if dataclasses.is_dataclass(record) and not isinstance(record, type):
        pairs = ((field.name, getattr(record, field.name)) for field in dataclasses.fields(record))
        return {name: encode(value) for name, value in pairs if value is not None}
    if isinstance(record, Mapping):
        return {str(key): encode(value) for key, value in record.items()}
    if isinstance(record, (list, tuple)):
        return [encode(value) for value in record]
    return record


def decode(kind: type[T], data: Any, *, where: str, error: type[EdgeresError] = ArtifactError) -> T:
    """Build a record of type `kind` from JSON values.

    Args:
        kind: the dataclass.
        data: what `json.loads` gave.
        where: what the data is called in an error, e.g. the file's path.
        error: which error a user gets.

    Raises:
        EdgeresError: of type `error`; an unknown key (with its nearest match), a missing key, a wrong type.
    """
    return typing.cast("T", _decode(kind, data, where, error))


def _decode(kind: Any, data: Any, where: str, error: type[EdgeresError]) -> Any:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return data
    if origin is typing.Union:
        if data is None and type(None) in arguments:
            return None
        return _decode(next(a for a in arguments if a is not type(None)), data, where, error)
    if origin is typing.Literal:
        if data not in arguments:
            expected = ", ".join(map(repr, arguments))
            raise error(f"{where}: expected one of {expected}, found {shown(data)}", fix=_MEND)
        return data
    if origin is tuple:
        _expect(isinstance(data, list), "a list", data, where, error)
        return tuple(_decode(arguments[0], item, f"{where}[{i}]", error) for i, item in enumerate(data))
    if origin is dict:
        _expect(isinstance(data, dict), "an object", data, where, error)
        return {key: _decode(arguments[1], item, f"{where}.{key}", error) for key, item in data.items()}
    if dataclasses.is_dataclass(kind):
        return _decode_record(kind, data, where, error)
    if kind is float:
        _expect(isinstance(data, (int, float)) and not isinstance(data, bool), "a number", data, where, error)
        _expect(abs(data) < _LARGEST, "a number of ordinary size", data, where, error)
        return float(data)
    if kind is int and isinstance(data, int):
        _expect(abs(data) < 1 << 63, "an integer of 64 bits", data, where, error)
    _expect(isinstance(data, kind) and (kind is bool or not isinstance(data, bool)), kind.__name__, data, where, error)
    return data


def _decode_record(kind: Any, data: Any, where: str, error: type[EdgeresError]) -> Any:
    _expect(isinstance(data, dict), "an object", data, where, error)
    fields = {field.name: field for field in dataclasses.fields(kind)}
    for key in data:
        if key not in fields:
            raise error(f"{where}: unknown key '{key}'", fix=suggestion(key, fields))
    types = field_types(kind)
    values = {}
    for name, field in fields.items():
        if name in data:
            values[name] = _decode(types[name], data[name], f"{where}.{name}", error)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise error(f"{where}: the key '{name}' is missing", fix=_MEND)
    try:
        return kind(**values)
    except ValueError as problem:
        raise error(f"{where}: {problem}", fix=_MEND) from problem


def _expect(fits: bool, expected: str, data: Any, where: str, error: type[EdgeresError]) -> None:
    if not fits:
        raise error(f"{where}: expected {expected}, found {type(data).__name__} {shown(data)}", fix=_MEND)


def shown(value: Any) -> str:
    """A value as an error shows it: short, however large it is or often it refers to itself."""
    return repr(value[:60]) if isinstance(value, str) else _BRIEF.repr(value)[:60]


# A list of numbers as json.dumps indents it; a JSON string cannot match, for it holds no raw line break.
_NUMBER_LIST = re.compile(r"\[\n\s*([-\d.eE+]+(?:,\n\s*[-\d.eE+]+)*)\n\s*\]")


def dump(record: Any) -> str:
    """A record as indented JSON text; lists of numbers (rounds, predictions) stay on one line."""
    text = json.dumps(encode(record), indent=1, ensure_ascii=False, allow_nan=False)
    return _NUMBER_LIST.sub(lambda match: f"[{' '.join(match[1].split())}]", text) + "\n"


def write_json(path: Path, record: Any) -> None:
    """Write a record as JSON, atomically."""
    write_text(path, dump(record))


def read_versioned(kind: type[T], path: Path, *, schema: str, noun: str, fix: str) -> T:
    """A record from a file that says its schema.

    Raises:
        ArtifactError: absent, not JSON, another schema version, or a field that does not fit.
    """
    data = read_json(path)
    found = data.get("schema") if isinstance(data, dict) else None
    if found != schema:
        raise ArtifactError(f"{path}: expected a {noun} of schema '{schema}', found {found!r}", fix=fix)
    return decode(kind, data, where=str(path))


def parse_json(content: bytes) -> Any:
    """The values of a JSON text that this project could have written: finite numbers, UTF-8, no deep nesting.

    Raises:
        ValueError: it is none.
    """
    text = content.decode("utf-8")
    try:
        values = json.loads(text, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if "\\u" in text:
        json.dumps(values, ensure_ascii=False).encode("utf-8")  # half of a surrogate pair is no character
    level, depth = [[values]], 0
    while level := [each for item in level for each in _inside(item)]:
        if (depth := depth + 1) > _MAX_DEPTH:
            raise ValueError(f"it is nested more than {_MAX_DEPTH} levels deep")
    return values


def _inside(item: Any) -> list[Any]:
    found = item.values() if isinstance(item, dict) else item
    return [each for each in found if isinstance(each, (dict, list))]


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no number of JSON")


def read_json(path: Path, *, error: type[EdgeresError] = ArtifactError) -> Any:
    """The JSON values of a file; see `parse_json`.

    Raises:
        EdgeresError: of type `error`; the file is absent, no regular file, too long, or not JSON.
    """
    try:
        return parse_json(read_limited(path, MAX_BYTES))
    except FileNotFoundError:
        raise error(f"{path} does not exist", fix="check the path") from None
    except (OSError, ValueError) as problem:  # UnicodeDecodeError and JSONDecodeError among them
        raise error(f"{path} cannot be read as JSON: {problem}", fix=_RESTORE) from problem
