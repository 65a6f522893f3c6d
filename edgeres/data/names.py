"""Many short texts in little memory: the file names of a large data set."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Sequence
from typing import overload

import numpy as np
from numpy.typing import NDArray


class Names(Sequence[str]):
    """Texts in one block of bytes: each takes its own length and 8 bytes, where a list of str takes 60 more.

    `block`: the texts as the file system encodes them, one after another. `ends`: int64 (n,), where each ends.
    """

    def __init__(self, block: bytes, ends: NDArray[np.int64]) -> None:
        self._block, self._ends = block, ends

    def __len__(self) -> int:
        return len(self._ends)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...
    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        """One text, or a list of a slice's."""
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        index %= len(self)
        start = int(self._ends[index - 1]) if index else 0
        return os.fsdecode(self._block[start : int(self._ends[index])])


def pack(groups: Iterable[Iterable[str]]) -> Names:
    """The texts of all groups in order; a group may be let go once it is packed."""
    block = bytearray()
    lengths: list[NDArray[np.int64]] = []
    for group in groups:
        encoded = [os.fsencode(name) for name in group]
        lengths.append(np.fromiter(map(len, encoded), np.int64, len(encoded)))
        block += b"".join(encoded)
    ends = np.cumsum(np.concatenate(lengths)) if lengths else np.empty(0, np.int64)
    return Names(bytes(block), ends.astype(np.int64, copy=False))


def is_label(name: str) -> bool:
    """Whether a text can name a class: not blank, no control characters, line breaks or broken text."""
    return bool(name.strip()) and not any(
        unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in name
    )
