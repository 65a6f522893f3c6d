"""Images that a data set holds more than once: within a split, in two splits (a leak), under two labels (a mistake)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeres.data.dataset import SPLITS, Dataset

LISTED_GROUPS = 200
"""So many groups of equal images are listed; their number is always given."""


class Copies:
    """What is held of each image: split, position and the hash of its pixels, 17 bytes."""

    def __init__(self, images: int) -> None:
        self._splits = np.empty(images, np.int8)
        self._positions = np.empty(images, np.int64)
        self._digests = np.empty(images, np.uint64)
        self._count = 0

    def add(self, split: int, position: int, digest: int) -> None:
        """Take in an image; `split` is its place in `SPLITS`."""
        at = self._count
        self._splits[at], self._positions[at], self._digests[at] = split, position, digest
        self._count += 1

    def groups(self) -> list[list[tuple[int, int]]]:
        """The (split, position) of images that are equal, one list for each image that comes up more than once."""
        digests = self._digests[: self._count]
        order = np.argsort(digests, kind="stable")
        ordered = digests[order]
        starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])) if len(ordered) else ordered[:0]
        ends = np.append(starts[1:], len(ordered)).astype(np.int64)
        repeated: NDArray[np.int64] = np.flatnonzero(ends - starts.astype(np.int64) > 1)
        found = []
        for group in repeated.tolist():
            members = np.sort(order[int(starts[group]) : int(ends[group])])
            found.append([(int(self._splits[at]), int(self._positions[at])) for at in members])
        return sorted(found)


@dataclass(frozen=True)
class Member:
    """One of several equal images."""

    path: str
    split: str
    label: str


@dataclass(frozen=True)
class Group:
    """Equal images."""

    images: tuple[Member, ...]


@dataclass(frozen=True)
class Overlap:
    """How many images of the `second` split are also in the `first`."""

    first: str
    second: str
    images: int


@dataclass(frozen=True)
class Duplicates:
    """Equal images. `images`: how many could be removed without losing any, that is all but one of each group.

    `within`: the same for each split alone. `contradictions`: groups whose images have several labels. A group is
    listed once, as contradictory, else as leaking (in several splits), else as repeated; of each kind the first
    `LISTED_GROUPS`.
    """

    images: int
    groups: int
    within: dict[str, int]
    across: tuple[Overlap, ...]
    contradictions: int
    contradictory: tuple[Group, ...]
    leaking: tuple[Group, ...]
    repeated: tuple[Group, ...]


def find_duplicates(copies: Copies, dataset: Dataset) -> Duplicates:
    """Count the equal images of a data set."""
    groups = copies.groups()
    within: dict[str, int] = dict.fromkeys(SPLITS, 0)
    across: dict[tuple[str, str], int] = {}
    kinds: dict[str, list[Group]] = {"contradictory": [], "leaking": [], "repeated": []}
    contradictions = 0
    for group in groups:
        counts = np.bincount([split for split, _ in group], minlength=len(SPLITS)).tolist()
        held = [split for split, count in enumerate(counts) if count]
        for split in held:
            within[SPLITS[split]] += counts[split] - 1
        for place, first in enumerate(held):
            for second in held[place + 1 :]:
                pair = SPLITS[first], SPLITS[second]
                across[pair] = across.get(pair, 0) + counts[second]
        contradicts = len({_class(dataset, *each) for each in group}) > 1
        contradictions += contradicts
        kind = "contradictory" if contradicts else "leaking" if len(held) > 1 else "repeated"
        if len(kinds[kind]) < LISTED_GROUPS:
            kinds[kind].append(_group(dataset, group))
    return Duplicates(
        images=sum(len(group) - 1 for group in groups),
        groups=len(groups),
        within={name: count for name, count in within.items() if count},
        across=tuple(Overlap(*pair, count) for pair, count in across.items()),
        contradictions=contradictions,
        contradictory=tuple(kinds["contradictory"]),
        leaking=tuple(kinds["leaking"]),
        repeated=tuple(kinds["repeated"]),
    )


def _class(dataset: Dataset, split: int, position: int) -> int:
    return int(dataset.splits[SPLITS[split]].classes[position])


def _group(dataset: Dataset, group: list[tuple[int, int]]) -> Group:
    return Group(
        tuple(
            Member(
                dataset.splits[SPLITS[split]].where(position),
                SPLITS[split],
                dataset.labels[_class(dataset, split, position)],
            )
            for split, position in group[:20]
        )
    )
