"""Frozen dataclasses to JSON and back, strictly: an unknown, missing or mistyped field is an error that names it.

Only the standard library, so that a device without pydantic reads manifests and results by the same rules.
Supported fields: str, int, float, bool, Literal, `X | None`, `tuple[X, ...]`, `dict[str, X]`, dataclasses, Any.
"""

from __future__ import annotations

import dataclasses
import json
import re
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from edgeres.errors import ArtifactError, EdgeresError, suggestion
from edgeres.storage import write_text

T = TypeVar("T")

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
    if origin in (typing.Union, types.UnionType):
        if data is None and type(None) in arguments:
            return None
        return _decode(next(a for a in arguments if a is not type(None)), data, where, error)
    if origin is typing.Literal:
        if data not in arguments:
            expected = ", ".join(map(repr, arguments))
            raise error(f"{where}: expected one of {expected}, found {data!r}", fix=_MEND)
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
        return float(data)
    _expect(isinstance(data, kind) and (kind is bool or not isinstance(data, bool)), kind.__name__, data, where, error)
    return data


def _decode_record(kind: Any, data: Any, where: str, error: type[EdgeresError]) -> Any:
    _expect(isinstance(data, dict), "an object", data, where, error)
    fields = {field.name: field for field in dataclasses.fields(kind)}
    for key in data:
        if key not in fields:
            raise error(f"{where}: unknown key '{key}'", fix=suggestion(key, fields))
    hints = typing.get_type_hints(kind)
    values = {}
    for name, field in fields.items():
        if name in data:
            values[name] = _decode(hints[name], data[name], f"{where}.{name}", error)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise error(f"{where}: the key '{name}' is missing", fix=_MEND)
    try:
        return kind(**values)
    except ValueError as problem:
        raise error(f"{where}: {problem}", fix=_MEND) from problem


def _expect(fits: bool, expected: str, data: Any, where: str, error: type[EdgeresError]) -> None:
    if not fits:
        raise error(f"{where}: expected {expected}, found {type(data).__name__} {str(data)[:60]!r}", fix=_MEND)


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


def read_json(path: Path, *, error: type[EdgeresError] = ArtifactError) -> Any:
    """The JSON values of a file.

    Raises:
        EdgeresError: of type `error`; the file is absent, not UTF-8, or not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise error(f"{path} does not exist", fix="check the path") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as problem:
        raise error(f"{path} cannot be read as JSON: {problem}", fix=_RESTORE) from problem
