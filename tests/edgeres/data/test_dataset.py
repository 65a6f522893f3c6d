from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgeres.data import SPLITS, open_dataset
from edgeres.errors import DataError
from edgeres.preprocess import Preprocess
from tests.edgeres.pictures import fill


@pytest.mark.parametrize("source", ["digit", "folders:x", "", ":x"])
def test_an_unknown_source_names_the_known_ones(source: str) -> None:
    with pytest.raises(DataError, match="unknown data source") as caught:
        open_dataset(source)
    assert caught.value.fix is not None
    assert "digits" in caught.value.fix or "folder" in caught.value.fix


def test_a_split_is_read_lazily_and_in_order(tmp_path: Path) -> None:
    dataset = open_dataset(f"folder:{fill(tmp_path, {'cat': 9, 'dog': 9})}")
    split = dataset.split("train")
    contents = list(split)
    assert len(contents) == len(split) == 12
    assert contents[3] == (split.read(3), int(split.classes[3]))
    assert split.where(3).split("/")[0] == dataset.labels[split.classes[3]]
    assert (tmp_path / split.where(3)).read_bytes() == split.read(3)


def test_head_is_the_beginning_of_the_split(tmp_path: Path) -> None:
    split = open_dataset(f"folder:{fill(tmp_path, {'cat': 9, 'dog': 9})}").split("train")
    assert [split.head(4).where(i) for i in range(4)] == [split.where(i) for i in range(4)]
    assert len(split.head(4)) == len(split.head(4).classes) == 4
    assert len(split.head(None)) == len(split.head(1000)) == len(split)


def test_an_unknown_split_names_the_four(tmp_path: Path) -> None:
    dataset = open_dataset(f"folder:{fill(tmp_path, {'cat': 9, 'dog': 9})}")
    with pytest.raises(DataError, match="unknown split 'tset'") as caught:
        dataset.split("tset")
    assert caught.value.fix == "did you mean 'test'?"


def test_decode_follows_the_contract() -> None:
    split = open_dataset("digits").split("test")
    contract = Preprocess(32, 32, kernel="bicubic")
    np.testing.assert_array_equal(split.decode(5, contract), contract.geometry(split.read(5)))


@pytest.mark.parametrize(
    ("content", "says"), [(b"just some text", "not an image"), (b"\xff\xd8\xff\xe0broken", "the image is corrupt")]
)
def test_decode_names_the_file_that_is_no_image(tmp_path: Path, content: bytes, says: str) -> None:
    split = open_dataset(f"folder:{fill(tmp_path, {'cat': 9, 'dog': 9})}").split("train")
    (tmp_path / split.where(2)).write_bytes(content)
    with pytest.raises(DataError, match=says) as caught:
        split.decode(2, Preprocess(8, 8))
    assert f"folder:{tmp_path}: {split.where(2)}: " in caught.value.message
    assert caught.value.fix == "remove or replace the file"
    assert split.head(3).decode(1, Preprocess(8, 8)).shape == (8, 8, 3)


def test_decode_names_a_file_that_vanished(tmp_path: Path) -> None:
    split = open_dataset(f"folder:{fill(tmp_path, {'cat': 9, 'dog': 9})}").split("test")
    (tmp_path / split.where(0)).unlink()
    with pytest.raises(DataError, match=r"cannot be read: No such file") as caught:
        split.decode(0, Preprocess(8, 8))
    assert split.where(0) in caught.value.message


def test_every_source_offers_the_four_splits(tmp_path: Path) -> None:
    for source in ("digits", f"folder:{fill(tmp_path, {'cat': 9, 'dog': 9})}"):
        assert set(open_dataset(source).splits) == set(SPLITS)
