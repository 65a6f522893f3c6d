from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from edgeres.data import Dataset, open_dataset
from edgeres.errors import DataError
from edgeres.preprocess import Preprocess
from tests.edgeres.pictures import fill, huge_png


def opened(path: Path) -> Dataset:
    return open_dataset(f"folder:{path}")


def spoil(folder: Path, split: str, count: int = 1, *, content: bytes = b"no image") -> list[str]:
    """Overwrite the first images of a split; their names."""
    dealt = opened(folder).dealt(split)
    names = [dealt.where(position) for position in range(count)]
    for name in names:
        (folder / name).write_bytes(content)
    return names


@pytest.fixture
def photos(tmp_path: Path, own_cache: Path) -> Path:
    return fill(tmp_path / "photos", {"cat": 150, "dog": 150})


def places(dataset: Dataset, name: str) -> list[str]:
    split = dataset.split(name)
    return [split.where(position) for position in range(len(split))]


@pytest.mark.parametrize("split", ["train", "validation", "test", "calibration"])
def test_a_corrupt_image_is_left_out_and_named_and_nothing_else_moves(
    photos: Path, split: str, caplog: pytest.LogCaptureFixture
) -> None:
    before = places(opened(photos), split)
    spoiled = spoil(photos, split, 3)
    with caplog.at_level(logging.WARNING):
        after = opened(photos).split(split)
    assert [after.where(position) for position in range(len(after))] == before[3:]
    assert [each.name for each in after.left_out] == spoiled
    assert f"3 of the {split} images cannot be decoded and are left out" in caplog.text
    assert spoiled[0] in caplog.text
    for position in range(len(after)):
        after.decode(position, Preprocess(4, 4))


def test_more_than_one_percent_is_an_error_wherever_they_lie(photos: Path) -> None:
    for split in ("train", "test"):
        spoil(photos, split, 2)
    for split in ("train", "test"):
        with pytest.raises(DataError, match=r"4 or more of 300 images cannot be decoded, more than the 1 %") as caught:
            opened(photos).split(split)
        assert caught.value.details
        assert "edgeres data" in (caught.value.fix or "")
    assert len(opened(photos).split("validation")) == 24  # nothing in it is corrupt


def test_one_of_few_is_more_than_one_percent(tmp_path: Path, own_cache: Path) -> None:
    fill(tmp_path / "few", {"cat": 10, "dog": 10})
    name = spoil(tmp_path / "few", "test")[0]
    with pytest.raises(DataError, match="1 or more of 20 images") as caught:
        opened(tmp_path / "few").split("test")
    assert name in caught.value.details[0]


def test_the_first_images_are_the_first_that_can_be_decoded(photos: Path) -> None:
    before = places(opened(photos), "test")
    spoil(photos, "test", 2)
    head = opened(photos).split("test", images=10)
    assert [head.where(position) for position in range(10)] == before[2:12]
    assert len(head) == 10
    assert len(head.left_out) == 2
    assert len(opened(photos).split("test", images=1000)) == 58


def test_only_as_many_as_wanted_are_looked_at(photos: Path) -> None:
    dealt = opened(photos).dealt("test")
    (photos / dealt.where(40)).write_bytes(b"no image")
    assert opened(photos).split("test", images=5).left_out == ()


def test_verdicts_are_remembered_until_the_file_changes(photos: Path, own_cache: Path) -> None:
    dataset = opened(photos)
    places(dataset, "train")
    kept = list((own_cache / "verdicts").glob("*.npy"))
    assert len(kept) == 1
    name = dataset.dealt("train").where(0)
    stat = (photos / name).stat()
    (photos / name).write_bytes(b"x" * stat.st_size)
    os.utime(photos / name, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert name in places(opened(photos), "train")  # same size and time: the verdict holds
    os.utime(photos / name, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    assert name not in places(opened(photos), "train")


def test_a_repaired_image_is_back(photos: Path) -> None:
    dealt = opened(photos).dealt("test")
    good = (photos / dealt.where(0)).read_bytes()
    name = spoil(photos, "test")[0]
    assert name not in places(opened(photos), "test")
    (photos / name).write_bytes(good)
    assert name in places(opened(photos), "test")


def test_a_damaged_or_unwritable_cache_costs_time_only(photos: Path, own_cache: Path) -> None:
    places(opened(photos), "test")
    for each in (own_cache / "verdicts").glob("*.npy"):
        sound = each.read_bytes()
        for damaged in (b"damaged", b"PK\x05\x06" + bytes(18), sound.replace(b"}", b"(")):
            each.write_bytes(damaged)
            assert len(places(opened(photos), "test")) == 60
    for each in (own_cache / "verdicts").glob("*.npy"):
        each.unlink()
    (own_cache / "verdicts").rmdir()
    (own_cache / "verdicts").write_text("in the way")
    assert len(places(opened(photos), "test")) == 60


def test_what_a_name_hides_does_not_matter(photos: Path) -> None:
    link = photos / "cat" / "gone.png"
    link.symlink_to("/nowhere")
    (photos / "dog" / "bomb.png").write_bytes(huge_png(60_000, 60_000))
    (photos / "dog" / os.fsdecode(b"\xff.png")).write_bytes(b"")
    found = opened(photos)
    bad = {each.name: each.why for split in found.splits for each in found.split(split).left_out}
    assert bad.keys() == {"cat/gone.png", "dog/bomb.png", "dog/\ufffd.png"}
    assert "No such file" in bad["cat/gone.png"]
    assert "more than the 64,000,000" in bad["dog/bomb.png"]


def test_a_class_of_which_nothing_is_left_is_an_error(tmp_path: Path, own_cache: Path) -> None:
    folder = fill(tmp_path / "rare", {"cat": 150, "dog": 150, "emu": 1})
    (folder / "emu" / "0000.png").write_bytes(b"no image")
    with pytest.raises(DataError, match="no image of emu to train on can be decoded"):
        opened(folder).split("train")


def test_pixels_are_never_looked_at(own_cache: Path) -> None:
    dataset = open_dataset("digits")
    assert len(dataset.split("test")) == 359
    assert dataset.split("test", images=7).left_out == ()
    assert not (own_cache / "verdicts").exists()


def test_without_removes_by_name(photos: Path) -> None:
    split = opened(photos).dealt("test")
    names = {split.where(3), split.where(5)}
    assert [split.without(names).where(position) for position in range(4)] == [split.where(at) for at in (0, 1, 2, 4)]
    assert split.without(()) is split
