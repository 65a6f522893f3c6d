"""Messages between a process and its sandbox: a 4-byte length, a JSON header, and the bytes of tensors.

    length of the header (uint32, little-endian) · header (JSON; "sizes": lengths of what follows) · bytes · bytes …

No pickle: whatever the other side sends is data, never code.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

MAX_HEADER = 1 << 26


class MessageError(Exception):
    """Bytes that are not a message."""


@dataclass(frozen=True)
class Message:
    """A header of JSON values, and binary parts."""

    header: dict[str, Any]
    blobs: tuple[bytes, ...] = ()


def pack(header: dict[str, Any], blobs: Sequence[bytes | memoryview] = ()) -> list[bytes | memoryview]:
    """The pieces of a message, to be written one after the other; blobs are not copied."""
    text = json.dumps({**header, "sizes": [memoryview(blob).nbytes for blob in blobs]}).encode()
    return [struct.pack("<I", len(text)) + text, *blobs]


def unpack(read: Callable[[int], bytes], *, limit: int) -> Message:
    """Read one message; `read(n)` returns exactly n bytes.

    Raises:
        MessageError: not a message, or longer than `limit` bytes.
    """
    (length,) = struct.unpack("<I", read(4))
    if length > min(limit, MAX_HEADER):
        raise MessageError(f"a header of {length:,} bytes")
    try:
        header = json.loads(read(length))
    except (ValueError, RecursionError) as problem:
        raise MessageError("the header is not JSON") from problem
    sizes = header.pop("sizes", None) if isinstance(header, dict) else None
    if not isinstance(sizes, list) or not all(type(size) is int and size >= 0 for size in sizes):
        raise MessageError("the header has no sizes")
    if sum(sizes) > limit:
        raise MessageError(f"{sum(sizes):,} bytes of tensors, at most {limit:,} are accepted")
    return Message(header, tuple(read(size) for size in sizes))
