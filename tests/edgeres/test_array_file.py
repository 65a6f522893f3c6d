from __future__ import annotations

import io
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeres.array_file import parse_npy, read_npz

LIMIT = 1 << 20


def npy(shape: Any, *, descr: str = "<f4", data: bytes = b"") -> bytes:
    """A file that says it holds an array of that shape."""
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}}}"
    header += " " * (-(len(header) + 11) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + data


def npz(**members: bytes) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)
    return content.getvalue()


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_what_numpy_saves_is_read(save: Any) -> None:
    arrays = {"a": np.arange(6, dtype=np.float32).reshape(2, 3).T, "b": np.zeros((0, 4), np.uint8), "c": np.array(7)}
    content = io.BytesIO()
    save(content, **arrays)
    found = read_npz(content.getvalue(), limit=LIMIT)
    assert set(found) == set(arrays)
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


class Payload:
    """What pickle would run."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return Path.touch, (self.mark,)


def test_pickled_objects_are_refused_and_not_run(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    content = io.BytesIO()
    np.savez(content, inputs=np.array([Payload(mark)], dtype=object))
    with pytest.raises(ValueError, match="array of objects"):
        read_npz(content.getvalue(), limit=LIMIT)
    with pytest.raises(ValueError, match=r"not an \.npz archive"):
        read_npz(pickle.dumps(Payload(mark)), limit=LIMIT)
    assert not mark.exists()
    np.load(io.BytesIO(content.getvalue()), allow_pickle=True)["inputs"]
    assert mark.exists()  # it would have run


HOSTILE = {
    "petabytes": (npy((1 << 40, 16, 16, 3)), "an array of 3,377,699,720,527,872 bytes, found 0"),
    "negative": (npy((-1, 16)), "an array of shape"),
    "short": (npy((4,), data=b"\0" * 15), "an array of 16 bytes, found 15"),
    "long": (npy((4,), data=b"\0" * 17), "an array of 16 bytes, found 17"),
    "no array": (b"text", "not the header of an array"),
    "unclosed": (b"\x93NUMPY\x01\x00" + struct.pack("<H", 900) + b"[" * 899 + b"\n", "not the header of an array"),
    "endless name": (npy((1,), descr="V99999999999999"), "not the header of an array"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_header_that_lies_is_refused(case: str) -> None:
    content, message = HOSTILE[case]
    with pytest.raises(ValueError, match=message):
        read_npz(npz(inputs=content), limit=LIMIT)


def test_what_unpacks_to_more_than_is_accepted_is_refused_before_it_is_unpacked() -> None:
    with pytest.raises(ValueError, match="unpack to 2,097,280 bytes, more than the 1,048,576"):
        read_npz(npz(inputs=npy((1 << 21,), descr="|u1", data=bytes(1 << 21))), limit=LIMIT)


def test_members_that_are_no_arrays_are_refused() -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("code.pkl", b"x")
    with pytest.raises(ValueError, match=r"not all of its members end in \.npy"):
        read_npz(content.getvalue(), limit=LIMIT)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_a_damaged_archive_is_read_or_refused(data: st.DataObject) -> None:
    content = bytearray(npz(inputs=npy((4,), data=bytes(16)), outputs=npy((2, 2), data=bytes(16))))
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(2, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        read_npz(bytes(content), limit=LIMIT)
    except ValueError:
        return


@settings(max_examples=300, deadline=None)
@given(header=st.text("[](){}'\":,0123456789-<f4|OV \n\\", max_size=120))
def test_any_header_is_read_or_refused(header: str) -> None:
    content = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode()
    try:
        parse_npy(content, limit=LIMIT)
    except ValueError:
        return
