"""A bounded reader of the flatbuffer wire format: nothing is read outside the bytes, nothing is read without end.

A table is a position that points back to a vtable of 16-bit field offsets; a vector is a 32-bit count and its
elements; a string is a vector of bytes. Offsets are 32-bit and point forward, so a table cannot hold itself.
See https://flatbuffers.dev/internals. Needs only numpy.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeres.errors import ArtifactError

WORK = 4_000_000
"""Elements read from one file before it is refused: vectors can be shared, so a small file can ask for much."""

_TABLE_WORK = 16  # reading a table takes as long as reading so many elements

TEXT = 1 << 16
"""Bytes of the longest name."""


def malformed(where: str, problem: str) -> ArtifactError:
    """The error for bytes that are not a well-formed model: what is wrong, and in which part."""
    return ArtifactError(
        f"not a well-formed .tflite file: {where}: {problem}",
        fix="convert the model again, or fetch the file again",
    )


class Wire:
    """The bytes of a flatbuffer, read with bounds, alignment and a budget of work."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self._work = WORK

    def spend(self, elements: int, where: str) -> None:
        """Take from the budget of work.

        Raises:
            ArtifactError: it is used up.
        """
        self._work -= elements
        if self._work < 0:
            raise malformed(
                where, f"the parts of the file have more than {WORK:,} elements, counted as often as they are used"
            )

    def number(self, form: str, at: int, where: str) -> Any:
        """A little-endian number in `struct` notation.

        Raises:
            ArtifactError: outside the file, or not aligned to its size.
        """
        size = struct.calcsize(form)
        if at < 0 or at + size > len(self.content):
            raise malformed(where, f"points to byte {at:,}, the file has {len(self.content):,}")
        if at % size:
            raise malformed(where, f"a number of {size} bytes lies at byte {at:,}, which is not aligned")
        return struct.unpack_from(f"<{form}", self.content, at)[0]

    def root(self) -> Table:
        """The table that the file's first four bytes point to."""
        return Table(self, self.number("I", 0, "header"), "model")

    def vector(self, at: int, item_size: int, where: str) -> tuple[int, int]:
        """The start and the count of a vector's elements, which all lie in the file.

        Raises:
            ArtifactError: they do not, or are not aligned.
        """
        count, start = self.number("I", at, where), at + 4
        if start + count * item_size > len(self.content):
            raise malformed(where, f"a vector of {count:,} x {item_size} bytes does not fit into the file")
        if count and start % item_size:
            raise malformed(where, f"a vector of {item_size}-byte elements at byte {start:,} is not aligned")
        return start, count


class Table:
    """A table whose vtable has been checked; `slot` is a field's place in the schema, counted from 0.

    A read of an absent field gives the default. `where` names the table in errors.
    """

    def __init__(self, wire: Wire, at: int, where: str) -> None:
        self._wire, self._at, self.where = wire, at, where
        vtable = at - wire.number("i", at, where)
        self._vtable_size = wire.number("H", vtable, where)
        self._size = wire.number("H", vtable + 2, where)
        if self._vtable_size < 4 or self._vtable_size % 2 or vtable + self._vtable_size > len(wire.content):
            raise malformed(where, f"a table of fields of {self._vtable_size} bytes does not fit into the file")
        if self._size < 4 or at + self._size > len(wire.content):
            raise malformed(where, f"a table of {self._size} bytes does not fit into the file")
        self._vtable = vtable

    def _field(self, slot: int, size: int) -> int | None:
        entry = 4 + 2 * slot
        if entry >= self._vtable_size:
            return None
        offset = self._wire.number("H", self._vtable + entry, self.where)
        if offset == 0:
            return None
        if offset < 4 or offset + size > self._size:
            raise malformed(self.where, f"field {slot} lies outside its table")
        return self._at + int(offset)

    def number(self, slot: int, form: str, default: int = 0) -> Any:
        """A scalar field in `struct` notation."""
        at = self._field(slot, struct.calcsize(form))
        return default if at is None else self._wire.number(form, at, self.where)

    def _target(self, slot: int) -> int | None:
        at = self._field(slot, 4)
        return None if at is None else self._follow(at)

    def _follow(self, at: int) -> int:
        offset = self._wire.number("I", at, self.where)
        if offset == 0:
            raise malformed(self.where, "an offset points to itself")
        return at + int(offset)

    def table(self, slot: int, noun: str) -> Table | None:
        """A sub-table."""
        at = self._target(slot)
        return None if at is None else Table(self._wire, at, f"{self.where}, {noun}")

    def tables(self, slot: int, noun: str, *, limit: int) -> list[Table]:
        """A vector of tables, named `noun 0`, `noun 1`, … in errors.

        Raises:
            ArtifactError: more than `limit`.
        """
        at = self._target(slot)
        if at is None:
            return []
        start, count = self._wire.vector(at, 4, self.where)
        if count > limit:
            raise malformed(self.where, f"{count:,} parts of the kind '{noun}', more than the {limit:,} accepted")
        self._wire.spend(count * _TABLE_WORK, self.where)
        prefix = "" if self.where == "model" else f"{self.where}, "
        return [Table(self._wire, self._follow(start + 4 * i), f"{prefix}{noun} {i}") for i in range(count)]

    def numbers(self, slot: int, dtype: str) -> NDArray[Any] | None:
        """A vector of numbers as a read-only array; None where absent."""
        at = self._target(slot)
        if at is None:
            return None
        item = np.dtype(dtype).newbyteorder("<")
        start, count = self._wire.vector(at, item.itemsize, self.where)
        self._wire.spend(count, self.where)
        if not count:  # numpy refuses a view of nothing at the end of the file
            return np.empty(0, item)
        return np.frombuffer(self._wire.content, item, count, start)

    def span(self, slot: int) -> tuple[int, int] | None:
        """Where a vector of bytes lies: its start and its length; nothing is read."""
        at = self._target(slot)
        return None if at is None else self._wire.vector(at, 1, self.where)

    def check_range(self, start: int, size: int, noun: str) -> None:
        """Check that bytes which this table places behind the flatbuffer lie in the file."""
        if start + size > len(self._wire.content):
            end, length = start + size, len(self._wire.content)
            raise malformed(self.where, f"{noun} end at byte {end:,}, the file has {length:,}")

    def text(self, slot: int) -> str:
        """A string, with whatever cannot be printed replaced; empty where absent.

        Raises:
            ArtifactError: longer than `TEXT`.
        """
        span = self.span(slot)
        if span is None:
            return ""
        start, count = span
        if count > TEXT:
            raise malformed(self.where, f"a name of {count:,} bytes, more than the {TEXT:,} accepted")
        if self._wire.content[start + count : start + count + 1] != b"\0":
            raise malformed(self.where, "a name that is not ended by a zero byte")
        self._wire.spend(count, self.where)
        decoded = self._wire.content[start : start + count].decode("utf-8", errors="replace")
        return decoded if decoded.isprintable() else "".join(c if c.isprintable() else "\ufffd" for c in decoded)
