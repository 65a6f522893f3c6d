"""The features of a serialized `tf.train.Example`, read without protobuf: where bytes lie, and what integers say.

Only positions are returned for bytes, so that an index can point into the file and an image is read in one piece.

    Example { Features features = 1 }      Features { map<string, Feature> feature = 1 }
    Feature { BytesList = 1 | FloatList = 2 | Int64List = 3 }, each { repeated value = 1 }

Source: tensorflow/core/example/{example,feature}.proto; protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

Span = tuple[int, int]
"""Where bytes begin and end in the record."""


class MalformedError(ValueError):
    """The bytes are no Example."""


@dataclass(frozen=True)
class Feature:
    """The values of one feature: spans of bytes, or integers; both empty for floats."""

    spans: tuple[Span, ...] = ()
    integers: tuple[int, ...] = ()


def features(data: bytes) -> dict[str, Feature]:
    """The features by name.

    Raises:
        MalformedError: the bytes are no Example.
    """
    try:
        found: dict[str, Feature] = {}
        for outer in _messages(data, (0, len(data)), 1):
            for entry in _messages(data, outer, 1):
                name, feature = "", Feature()
                for number, value in _fields(data, entry):
                    if number == 1 and isinstance(value, tuple):
                        name = data[slice(*value)].decode("utf-8")
                    elif number == 2 and isinstance(value, tuple):
                        feature = _feature(data, value)
                found[name] = feature
    except (IndexError, UnicodeDecodeError) as problem:
        raise MalformedError(str(problem)) from problem
    return found


def _feature(data: bytes, span: Span) -> Feature:
    for number, value in _fields(data, span):
        if number == 1 and isinstance(value, tuple):
            return Feature(spans=tuple(_messages(data, value, 1)))
        if number == 3 and isinstance(value, tuple):
            return Feature(integers=tuple(_integers(data, value)))
    return Feature()


def _integers(data: bytes, span: Span) -> Iterator[int]:
    """Packed or one by one; two's complement of 64 bits."""
    for number, value in _fields(data, span):
        if number != 1:
            continue
        if isinstance(value, int):
            yield _signed(value)
            continue
        at, end = value
        while at < end:
            each, at = _varint(data, at)
            yield _signed(each)


def _signed(value: int) -> int:
    value &= (1 << 64) - 1  # a varint holds up to 70 bits; protobuf too drops those above
    return value - (1 << 64) if value >= 1 << 63 else value


def _messages(data: bytes, span: Span, wanted: int) -> Iterator[Span]:
    for number, value in _fields(data, span):
        if number == wanted and isinstance(value, tuple):
            yield value


def _fields(data: bytes, span: Span) -> Iterator[tuple[int, int | Span]]:
    """The fields of a message: number, and an integer or where the bytes are."""
    at, end = span
    while at < end:
        tag, at = _varint(data, at)
        number, kind = tag >> 3, tag & 7
        value: int | Span
        if kind == _VARINT:
            value, at = _varint(data, at)
        elif kind == _BYTES:
            length, start = _varint(data, at)
            at = start + length
            value = (start, at)
        elif kind in (_FIXED32, _FIXED64):
            start, at = at, at + (4 if kind == _FIXED32 else 8)
            value = (start, at)
        else:
            raise MalformedError(f"wire type {kind}")
        if at > end or not number:
            raise MalformedError("a field goes beyond its message")
        yield number, value


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise MalformedError("an integer of more than 64 bits")
