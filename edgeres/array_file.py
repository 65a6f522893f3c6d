"""Arrays from `.npy` and `.npz` bytes that somebody else made: no pickle, and no more memory than is asked for.

NumPy takes the memory that a header asks for before it reads, unpacks whatever a member expands to, and raises errors
of a dozen kinds for a header that is none: so sizes are compared before an array is built.
"""

from __future__ import annotations

import io
import math
import zipfile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeres.archive import check_members

_END = ".npy"


def read_npz(content: bytes, *, limit: int) -> dict[str, NDArray[Any]]:
    """The arrays of an `.npz` archive by name; all together take at most `limit` bytes.

    Raises:
        ValueError: no archive, one that `edgeres.archive` refuses, or a member that is no array.
    """
    if not content.startswith(b"PK"):
        raise ValueError("not an .npz archive")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            check_members(archive, limit=limit)
            names = archive.namelist()
            if not all(name.endswith(_END) for name in names):
                raise ValueError(f"not all of its members end in {_END}")
            return {name.removesuffix(_END): parse_npy(archive.read(name), limit=limit) for name in names}
    except ValueError:
        raise
    except Exception as problem:  # a damaged archive raises errors of zlib, struct, zipfile and more
        raise ValueError(f"a damaged archive: {problem}") from problem


def parse_npy(content: bytes, *, limit: int) -> NDArray[Any]:
    """The array in the bytes of an `.npy` file.

    Raises:
        ValueError: no array, one of objects, or not of the size that its header says.
    """
    stream = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(stream)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read_header(stream)
    except Exception as problem:  # it is parsed as Python's literals: SyntaxError, TokenError, MemoryError …
        raise ValueError(f"not the header of an array: {problem}") from problem
    if dtype.hasobject:
        raise ValueError("an array of objects, which would take pickle to read")
    if any(length < 0 for length in shape):
        raise ValueError(f"an array of shape {shape}")
    expected, found = math.prod(shape) * dtype.itemsize, len(content) - stream.tell()
    if expected != found or expected > limit:
        raise ValueError(f"an array of {expected:,} bytes, found {found:,}, at most {limit:,} accepted")
    array: NDArray[Any] = np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
    return array
