from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeres.data import open_dataset
from edgeres.data.dataset import Split
from edgeres.data.images import content_digest
from edgeres.errors import DataError, TargetError
from edgeres.preprocess import Content, Pixels, Preprocess
from targets import loading
from targets.decoding import Decoders
from targets.loading import Images, Loader
from tests.edgeres.pictures import fill
from tests.processes import children

CONTRACTS = (Preprocess(8, 8, scale=2.0), Preprocess(6, 9, channels="gray"), Preprocess(8, 8, scale=2.0))


class Counted:
    """A source's images, and how often each was read."""

    def __init__(self, split: Split) -> None:
        self._images, self.reads = split.images, Counter[int]()

    def __len__(self) -> int:
        return len(self._images)

    def read(self, index: int) -> Content:
        self.reads[index] += 1
        return self._images.read(index)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._images, name)


def files(folder: Path, count: int = 100) -> Split:
    return open_dataset(f"folder:{fill(folder, {'cat': count, 'dog': count})}").split("train")


def held() -> Split:
    return open_dataset("digits").split("test").head(150)


@pytest.fixture(params=["files", "held"])
def split(request: pytest.FixtureRequest, tmp_path: Path) -> Split:
    return files(tmp_path) if request.param == "files" else held()


def loaded(split: Split, **more: int) -> list[Images]:
    with Loader(split, CONTRACTS, **more) as loader:
        return list(loader.batches())


@pytest.mark.parametrize("takers", [1, 3])
def test_every_image_comes_once_in_order_as_each_contract_makes_it(split: Split, takers: int) -> None:
    counted = Counted(split)
    batches = loaded(replace(split, images=counted), takers=takers)
    assert len(batches) > takers
    for contract in CONTRACTS[:2]:
        found = np.concatenate([batch.inputs[contract] for batch in batches])
        assert found.dtype == np.float32
        for position, pixels in enumerate(found):
            np.testing.assert_array_equal(pixels, contract(split.read(position)))
    assert set(counted.reads.values()) == {1}
    assert len(counted.reads) == len(split)
    np.testing.assert_array_equal(np.concatenate([batch.truth for batch in batches]), split.classes)
    assert [batch.start for batch in batches] == [0, *np.cumsum([len(batch.truth) for batch in batches])[:-1]]


def test_the_digests_are_those_of_the_files(split: Split) -> None:
    one = loaded(split)[0]
    assert one.digests[:32] == content_digest(split.read(0))
    assert one.digests[32:40] == int(split.classes[0]).to_bytes(8, "little")
    assert len(one.digests) == 40 * len(one.truth)


def test_no_more_files_than_a_few_bytes_are_held_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    split = files(tmp_path)
    size = len(split.images.read(0))
    expected, held = loaded(split), []

    def watched(self: Decoders, contents: Sequence[bytes]) -> list[Pixels]:
        held.append(len(contents))
        return pixels(self, contents)

    pixels = Decoders.pixels
    monkeypatch.setattr(Decoders, "pixels", watched)
    monkeypatch.setattr(loading, "PIECE_BYTES", 4 * size)
    found = loaded(split)
    assert max(held) <= 6  # the files differ by a few bytes
    assert sum(held) == len(split)
    for one, other in zip(expected, found, strict=True):
        assert one.digests == other.digests
        for contract in CONTRACTS:
            np.testing.assert_array_equal(one.inputs[contract], other.inputs[contract])


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"just some text", "not an image"),
        (b"\xff\xd8\xff\xe0broken", "the image is corrupt"),
        (None, "cannot be read"),
    ],
)
def test_a_file_that_became_corrupt_is_named(tmp_path: Path, content: bytes | None, says: str) -> None:
    split = files(tmp_path)
    place = tmp_path / split.where(77)
    place.unlink()
    if content is not None:
        place.write_bytes(content)
    with pytest.raises(DataError, match=says) as caught:
        loaded(split)
    assert f"folder:{tmp_path}: {split.where(77)}: " in caught.value.message
    assert caught.value.fix == "remove or replace the file"


def own_children() -> set[int]:
    return set(children(os.getpid()))


def test_a_process_that_is_killed_while_it_decodes_ends_the_loading(tmp_path: Path) -> None:
    split, before = files(tmp_path), own_children()
    with Loader(split, CONTRACTS, takers=8) as loader:
        batches = loader.batches()
        next(batches)
        for process in own_children() - before:
            os.kill(process, signal.SIGKILL)
        with pytest.raises(TargetError, match="SIGKILL") as caught:
            list(batches)
        assert f"{split.source}: the images from " in caught.value.message
    assert own_children() == before


def test_pixels_that_a_source_holds_need_no_process() -> None:
    before = own_children()
    with Loader(held(), CONTRACTS) as loader:
        next(loader.batches())
        assert own_children() == before


def test_one_that_is_left_early_leaves_nothing_behind(tmp_path: Path) -> None:
    split, before = files(tmp_path), own_children()

    def interrupted() -> None:
        with Loader(split, CONTRACTS) as loader:
            next(loader.batches())
            assert own_children() > before
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert own_children() == before
