"""Adds parts to a `.tflite` without changing a byte of it, and takes them away again.

    new header and model table | metadata | the file as it was | a zip of files

Offsets in a flatbuffer are relative and point forward. So a new model table in front of the old file can point at all
that the old one points at: weights, operators and their alignment stay what they were, whoever wrote them. A client
finds the zip by its end, as in any file.
"""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from targets.schema import IDENTIFIER, VERSION

METADATA = "TFLITE_METADATA"
"""The name under which clients look for a model's description."""

WHOLE = "edgeres.whole"
"""Names where the file as it was lies: its start and its length, two 64-bit numbers."""

_ALIGNMENT = 16
_SLOTS = 8
"""Fields of the model table in the schema of version 3, all but the first of them offsets."""

_BUFFERS, _METADATA = 4, 6
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The oldest date that a zip can hold: the same parts give the same bytes."""


def attached(model: bytes, description: bytes, files: Mapping[str, bytes]) -> bytes:
    """A `.tflite` that `walk` accepts, with a description and files.

    `description`: a flatbuffer of the metadata schema. `files`: their contents by name; stored, not compressed, for
    clients read them in place.

    Raises:
        ValueError: the file keeps bytes at fixed places, which must not move; or has parts of a later schema.
    """
    old = _Model(model)
    parts = {METADATA: description, WHOLE: b"\0" * 16}
    size = len(_prefix(old, parts, start=0))
    parts[WHOLE] = struct.pack("<QQ", size, len(model))
    archive = io.BytesIO(_prefix(old, parts, start=size) + model)
    with zipfile.ZipFile(archive, "a", zipfile.ZIP_STORED) as packed:
        for name, content in files.items():
            packed.writestr(zipfile.ZipInfo(name, _EPOCH), content)
    return archive.getvalue()


def detached(model: bytes) -> bytes:
    """The file as it was before `attached`; any other `.tflite` is given back as it is."""
    old = _Model(model)
    for at in old.vector(_METADATA):
        table = _Fields(model, at)
        start, count = old.span(table.target(0))
        if model[start : start + count] == WHOLE.encode("ascii"):
            buffer = _Fields(model, old.vector(_BUFFERS)[table.number(1)])
            whole, size = old.span(buffer.target(0))
            first, length = struct.unpack_from("<QQ", model, whole) if size == 16 else (0, 0)
            bare = model[first : first + length]
            return bare if len(bare) == length and bare[4:8] == IDENTIFIER else model
    return model


@dataclass(frozen=True)
class _Fields:
    """A table of a flatbuffer that was checked."""

    content: bytes
    at: int

    @property
    def slots(self) -> int:
        """How many fields its vtable has room for."""
        return int((struct.unpack_from("<H", self.content, self._vtable)[0] - 4) // 2)

    @property
    def _vtable(self) -> int:
        return self.at - int(struct.unpack_from("<i", self.content, self.at)[0])

    def place(self, slot: int) -> int:
        """Where a field lies; 0 where it is absent."""
        if slot >= self.slots:
            return 0
        offset = int(struct.unpack_from("<H", self.content, self._vtable + 4 + 2 * slot)[0])
        return self.at + offset if offset else 0

    def target(self, slot: int) -> int:
        """Where an offset leads; 0 where it is absent."""
        place = self.place(slot)
        return place + int(struct.unpack_from("<I", self.content, place)[0]) if place else 0

    def number(self, slot: int, form: str = "<I") -> int:
        """A number; 0 where it is absent."""
        place = self.place(slot)
        return int(struct.unpack_from(form, self.content, place)[0]) if place else 0


class _Model(_Fields):
    """The root table of a `.tflite`."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content, struct.unpack_from("<I", content)[0])

    def span(self, at: int) -> tuple[int, int]:
        """Where the bytes of a vector begin, and how many there are."""
        return (at + 4, int(struct.unpack_from("<I", self.content, at)[0])) if at else (0, 0)

    def vector(self, slot: int) -> list[int]:
        """Where the tables of a vector lie."""
        start, count = self.span(self.target(slot))
        places = range(start, start + 4 * count, 4)
        return [place + int(struct.unpack_from("<I", self.content, place)[0]) for place in places]

    def require_movable(self) -> None:
        """Check that nothing in the file is found by its distance from the start.

        Raises:
            ValueError: something is.
        """
        if any(_Fields(self.content, at).number(1, "<Q") > 1 for at in self.vector(_BUFFERS)):
            raise ValueError("it keeps its weights behind the flatbuffer")
        if any(self.place(slot) for slot in range(_SLOTS, self.slots)):
            raise ValueError("it has parts of a later schema")


def _prefix(old: _Model, parts: Mapping[str, bytes], *, start: int) -> bytes:
    """What comes before the file: a header, a model table that points into the file at `start`, and the parts."""
    old.require_movable()
    buffers, entries = old.vector(_BUFFERS), old.vector(_METADATA)
    out = _Layout()
    targets = {slot: at for slot in range(1, _SLOTS) if (at := old.target(slot)) or slot in (_BUFFERS, _METADATA)}
    root = out.table(0, (0, *targets))
    struct.pack_into("<I", out.content, root.pop(0), VERSION)
    for slot, place in root.items():
        out.aim(place, start + targets[slot])
    new_buffers = out.vector(root[_BUFFERS], [start + at for at in buffers], len(parts))
    new_entries = out.vector(root[_METADATA], [start + at for at in entries], len(parts))
    for number, (name, content) in enumerate(parts.items()):
        out.octets(out.table(new_buffers[number], (0,))[0], content)
        entry = out.table(new_entries[number], (0, 1))
        out.octets(entry[0], name.encode("ascii"))
        struct.pack_into("<I", out.content, entry[1], len(buffers) + number)
    out.align()
    return bytes(out.content)


class _Layout:
    """Writes a flatbuffer forward, all fields of 32 bits: an offset is left open until its target is written."""

    def __init__(self) -> None:
        self.content = bytearray(struct.pack("<I4s", 0, IDENTIFIER))

    def put(self, form: str, value: int) -> int:
        """Write a number; returns where it lies."""
        self.content += struct.pack(f"<{form}", value)
        return len(self.content) - struct.calcsize(form)

    def align(self, *, ahead: int = 0) -> None:
        """Pad so that what follows after `ahead` bytes is aligned as tensors are."""
        self.content += bytes(-(len(self.content) + ahead) % _ALIGNMENT)

    def aim(self, place: int, target: int) -> None:
        """Let the offset at `place` point at `target`; behind it, it stays open."""
        struct.pack_into("<I", self.content, place, max(0, target - place))

    def table(self, opened: int, slots: Sequence[int]) -> dict[int, int]:
        """A table of fields of value 0, at which the offset at `opened` points. Returns where each field lies."""
        self.align()
        vtable = self.put("H", 4 + 2 * (max(slots) + 1))
        self.put("H", 4 + 4 * len(slots))
        for slot in range(max(slots) + 1):
            self.put("H", 4 + 4 * slots.index(slot) if slot in slots else 0)
        self.align()
        self.aim(opened, len(self.content))
        self.put("i", len(self.content) - vtable)
        return {slot: self.put("I", 0) for slot in slots}

    def vector(self, opened: int, targets: Sequence[int], more: int) -> list[int]:
        """A vector of offsets to `targets`, and of `more` open ones, whose places are returned."""
        self.align()
        self.aim(opened, self.put("I", len(targets) + more))
        for target in targets:
            self.put("I", max(0, target - len(self.content)))
        return [self.put("I", 0) for _ in range(more)]

    def octets(self, opened: int, content: bytes) -> None:
        """A vector of bytes, aligned as a tensor's, and ended by a zero as a string's."""
        self.align(ahead=4)
        self.aim(opened, self.put("I", len(content)))
        self.content += content + b"\0"
