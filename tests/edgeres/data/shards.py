"""TFRecord files, written without TensorFlow and with any damage that a test asks for."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from pathlib import Path

import google_crc32c

from edgeres.data.framing import masked

Value = bytes | int | float | list[bytes] | list[int]


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def field(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def example(features: Mapping[str, Value]) -> bytes:
    """A serialized tf.train.Example; integers are packed as TensorFlow packs them."""
    entries = b""
    for name, value in features.items():
        values = value if isinstance(value, list) else [value]
        if isinstance(values[0], bytes):
            kind, body = 1, b"".join(field(1, each) for each in values)  # type: ignore[arg-type]
        elif isinstance(values[0], int):
            kind, body = 3, field(1, b"".join(varint(each) for each in values))  # type: ignore[arg-type]
        else:
            kind, body = 2, field(1, struct.pack("<f", values[0]))
        entries += field(1, field(1, name.encode()) + field(2, field(kind, body)))
    return field(1, entries)


def framed(data: bytes) -> bytes:
    """One record with its checksums."""
    length = struct.pack("<Q", len(data))
    return b"".join(
        (
            length,
            struct.pack("<I", masked(google_crc32c.value(length))),
            data,
            struct.pack("<I", masked(google_crc32c.value(data))),
        )
    )


def write(path: Path, examples: Iterable[Mapping[str, Value]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(framed(example(each)) for each in examples))
    return path
