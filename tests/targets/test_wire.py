from __future__ import annotations

import struct

import pytest

from edgeres.errors import ArtifactError
from targets.wire import TEXT, WORK, Table, Wire


def table(fields: bytes, *slots: int, tail: bytes = b"", size: int | None = None) -> Table:
    """A table at byte 32 whose vtable (at 8) has the given field offsets; `fields` follow its first four bytes."""
    vtable = struct.pack(f"<HH{len(slots)}H", 4 + 2 * len(slots), 4 + len(fields) if size is None else size, *slots)
    content = struct.pack("<I4x", 32) + vtable.ljust(24, b"\0") + struct.pack("<i", 24) + fields + tail
    return Wire(content).root()


def test_scalars_and_their_defaults() -> None:
    found = table(struct.pack("<iIb3x", -7, 9, -1), 4, 8, 12)
    assert (found.number(0, "i"), found.number(1, "I"), found.number(2, "b")) == (-7, 9, -1)
    assert (found.number(3, "i"), found.number(9, "I", 5)) == (0, 5)


def test_vectors_and_strings() -> None:
    fields = struct.pack("<II", 8, 20)
    tail = struct.pack("<I2i", 2, 3, -4) + b"\0\0\0\0" + struct.pack("<I", 2) + b"hi\0\0"
    found = table(fields, 4, 8, tail=tail)
    numbers = found.numbers(0, "i4")
    assert numbers is not None
    assert numbers.tolist() == [3, -4]
    assert found.text(1) == "hi"
    assert found.numbers(5, "i4") is None
    assert found.text(5) == ""


def test_a_vector_of_larger_numbers_is_aligned_to_their_size() -> None:
    found = table(struct.pack("<I", 8), 4, tail=struct.pack("<IIq", 0, 1, 5)).numbers(0, "i8")
    assert found is not None
    assert found.tolist() == [5]


def test_an_empty_vector_at_the_end_of_the_file() -> None:
    found = table(struct.pack("<I", 4), 4, tail=struct.pack("<I", 0)).numbers(0, "i8")
    assert found is not None
    assert len(found) == 0


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (lambda: Wire(b"").root(), "points to byte 0, the file has 0"),
        (lambda: Wire(struct.pack("<I", 400)).root(), "points to byte 400"),
        (lambda: Wire(struct.pack("<II", 5, 0) + bytes(8)).root(), "not aligned"),
        (lambda: Wire(struct.pack("<Ii", 4, 100)).root(), "points to byte -96"),
        (lambda: Wire(struct.pack("<Ii", 4, -100)).root(), "points to byte 104"),
        (lambda: table(b"", size=3), "a table of 3 bytes"),
        (lambda: table(b"", size=900), "a table of 900 bytes"),
        (lambda: table(bytes(4), 6).number(0, "i"), "field 0 lies outside its table"),
        (lambda: table(bytes(4), 2).number(0, "i"), "field 0 lies outside its table"),
        (lambda: table(bytes(8), 6).number(0, "i"), "not aligned"),
        (lambda: table(struct.pack("<I", 0), 4).text(0), "points to itself"),
        (lambda: table(struct.pack("<I", 1 << 31), 4).text(0), "points to byte"),
        (lambda: table(struct.pack("<I", 4), 4, tail=struct.pack("<I", 99)).numbers(0, "i4"), "does not fit"),
        (lambda: table(struct.pack("<I", 4), 4, tail=struct.pack("<I", 0xFFFFFFFF)).span(0), "does not fit"),
        (
            lambda: table(struct.pack("<I", 4), 4, tail=struct.pack("<Iq", 1, 5) + bytes(8)).numbers(0, "i8"),
            "not aligned",
        ),
        (lambda: table(struct.pack("<I", 4), 4, tail=struct.pack("<I", 3) + b"abc").text(0), "ended by a zero"),
        (
            lambda: table(struct.pack("<I", 4), 4, tail=struct.pack("<I", TEXT + 1) + bytes(TEXT + 8)).text(0),
            "a name of",
        ),
        (
            lambda: table(struct.pack("<I", 4), 4, tail=struct.pack("<I4x", 5) + bytes(40)).tables(0, "x", limit=4),
            "5 parts",
        ),
    ],
)
def test_what_points_outside_is_refused(broken: object, message: str) -> None:
    assert callable(broken)
    with pytest.raises(ArtifactError, match="not a well-formed") as caught:
        broken()
    assert message in caught.value.message


def test_an_odd_vtable_is_refused() -> None:
    content = bytearray(struct.pack("<I4x", 32) + struct.pack("<HH", 5, 4).ljust(24, b"\0") + struct.pack("<i", 24))
    with pytest.raises(ArtifactError, match="fields of 5 bytes"):
        Wire(bytes(content)).root()


def test_a_vector_that_is_read_again_and_again_uses_up_the_work() -> None:
    count = 100_000
    shared = table(struct.pack("<I", 4), 4, tail=struct.pack("<I", count) + bytes(4 * count))
    for _ in range(WORK // count):
        shared.numbers(0, "i4")
    with pytest.raises(ArtifactError, match="counted as often as they are used"):
        shared.numbers(0, "i4")
