"""TFRecord files, record by record, without TensorFlow: where each begins, and whether its checksums agree.

A record is: its length (8 bytes, little endian), the masked CRC-32C of that (4), the data, the masked CRC-32C of the
data (4). Source: tensorflow.org/tutorials/load_data/tfrecord, "TFRecords format details".
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from edgeres.errors import DataError, require

_HEAD, _CRC = struct.Struct("<QI"), struct.Struct("<I")

MAX_RECORD_BYTES = 512 << 20
"""A longer record is refused before it is read into memory."""

_GZIP = b"\x1f\x8b"
_AGAIN = "restore the file, or remove it"


@dataclass(frozen=True)
class Record:
    """One record: `offset` of its first byte in the file, of its data's first byte, and whether the data are intact."""

    offset: int
    start: int
    data: bytes
    intact: bool


def records(source: str, path: Path) -> Iterator[Record]:
    """The records of a file in order; one whose data do not have their checksum is not `intact`.

    Raises:
        DataError: the file cannot be read, is compressed, ends within a record, or a record's length is damaged (what
            follows cannot be found then); names the file and the offset.
        MissingExtraError: google-crc32c is not installed.
    """
    try:
        with path.open("rb") as stream:
            yield from _records(f"{source}: {path}", stream)
    except OSError as problem:
        raise DataError(f"{source}: {path} cannot be read: {problem.strerror}", fix="check the file") from problem


def _records(where: str, stream: BinaryIO) -> Iterator[Record]:
    checksum = require("google_crc32c", extra="tfrecord", purpose="the data source 'tfrecord'").value
    offset = 0
    while head := stream.read(_HEAD.size):
        if offset == 0 and head.startswith(_GZIP):
            raise DataError(f"{where} is compressed", fix="decompress it with gunzip")
        if len(head) < _HEAD.size:
            raise _truncated(where, offset)
        length, crc = _HEAD.unpack(head)
        if crc != masked(checksum(head[:8])):
            if offset == 0:
                raise DataError(f"{where} is no TFRecord file, or its first bytes are damaged", fix=_AGAIN)
            raise DataError(f"{where}: the length of the record at byte {offset:,} is damaged", fix=_AGAIN)
        if length > MAX_RECORD_BYTES:
            raise DataError(f"{where}: the record at byte {offset:,} has {length:,} bytes, too many", fix=_AGAIN)
        data, tail = stream.read(length), stream.read(_CRC.size)
        if len(data) < length or len(tail) < _CRC.size:
            raise _truncated(where, offset)
        yield Record(offset, offset + _HEAD.size, data, _CRC.unpack(tail)[0] == masked(checksum(data)))
        offset += _HEAD.size + length + _CRC.size


def _truncated(where: str, offset: int) -> DataError:
    return DataError(f"{where} is truncated: it ends within the record at byte {offset:,}", fix=_AGAIN)


def masked(crc: int) -> int:
    """The form in which TFRecord files keep a CRC-32C, so that a checksum of checksums is still one."""
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF
