from __future__ import annotations

import io
import struct

import pytest

from targets.messages import Message, MessageError, pack, unpack


def read(content: bytes, *, limit: int = 1 << 20) -> Message:
    return unpack(io.BytesIO(content).read, limit=limit)


def test_a_message_comes_back_as_it_was() -> None:
    pieces = pack({"method": "ü", "n": [1, None]}, [b"", b"abc", memoryview(b"xyz")])
    assert read(b"".join(map(bytes, pieces))) == Message({"method": "ü", "n": [1, None]}, (b"", b"abc", b"xyz"))


def framed(text: bytes) -> bytes:
    return struct.pack("<I", len(text)) + text


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xff\xff\xff",
        framed(b"not json"),
        framed(b"\xff\xfe"),
        framed(b"[1]"),
        framed(b"{}"),
        framed(b'{"sizes": 3}'),
        framed(b'{"sizes": [-1]}'),
        framed(b'{"sizes": [true]}'),
        framed(b'{"sizes": [1e9]}'),
        framed(b'{"sizes": [9999999999]}'),
        framed(b"[" * 100_000),
    ],
)
def test_anything_else_is_an_error(content: bytes) -> None:
    with pytest.raises(MessageError):
        read(content)
