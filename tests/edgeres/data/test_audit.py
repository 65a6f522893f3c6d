from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from PIL import Image

from edgeres.data import open_dataset
from edgeres.data.audit import Audit, audit, require_sound
from edgeres.errors import DataError
from tests.edgeres.data.shards import write
from tests.edgeres.data.test_tfrecord import flowers
from tests.edgeres.pictures import encoded, fill, gradient, huge_png


def audited(folder: Path) -> Audit:
    return audit(open_dataset(f"folder:{folder}"))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Splits of their own, so that a test knows where a file is; all images are different."""
    for number, (name, count) in enumerate({"train": 30, "val": 5, "test": 5}.items()):
        fill(tmp_path / "photos" / name, {"cat": count, "dog": count})
        for file in (tmp_path / "photos" / name).rglob("*.png"):
            image = Image.open(file).convert("RGB")
            image.putpixel((0, 0), (200, 200, number))
            file.write_bytes(encoded(image))
    return tmp_path / "photos"


def test_a_clean_set_has_no_findings(photos: Path) -> None:
    found = audited(photos)
    assert (found.images, found.imbalance) == (80, 1.0)
    assert found.splits == {"train": 54, "validation": 10, "test": 10, "calibration": 6}
    assert [(each.label, each.images, each.splits["test"]) for each in found.classes] == [
        ("cat", 40, 5),
        ("dog", 40, 5),
    ]
    assert (found.formats, found.modes) == ({"PNG": 80}, {"RGB": 80})
    assert found.corrupt.images == found.misnamed == found.duplicates.images == found.duplicates.contradictions == 0
    assert found.actions == ()
    require_sound(found)


def test_sizes_and_modes_are_those_of_the_files(photos: Path) -> None:
    gradient(30, 50).convert("L").save(photos / "train" / "cat" / "big.jpg")
    gradient(6, 2).convert("RGBA").save(photos / "train" / "cat" / "thin.png")
    found = audited(photos)
    assert found.width is not None
    assert found.height is not None
    assert (found.width.smallest, found.width.median, found.width.largest) == (2, 4, 50)
    assert (found.height.smallest, found.height.median, found.height.largest) == (4, 4, 30)
    assert found.modes == {"RGB": 80, "L": 1, "RGBA": 1}
    assert found.formats == {"PNG": 81, "JPEG": 1}
    assert next((each.width, each.height, each.images) for each in found.sizes) == (4, 4, 80)


def test_corrupt_files_are_listed_by_path_with_the_reason(photos: Path) -> None:
    for name, content in {
        "empty.jpg": b"",
        "text.png": b"hello",
        "cut.jpg": encoded(gradient(), "JPEG")[:-100],
        "bomb.png": huge_png(60_000, 60_000),
        os.fsdecode(b"\xff.png"): b"x",
    }.items():
        (photos / "train" / "cat" / name).write_bytes(content)
    (photos / "train" / "cat" / "gone.png").symlink_to("/nowhere")
    found = audited(photos)
    why = {Path(place.path).name: place.why for place in found.corrupt.listed}
    assert "empty" in why.pop("empty.jpg")
    assert "not an image" in why.pop("text.png")
    assert "corrupt" in why.pop("cut.jpg")
    assert "64,000,000" in why.pop("bomb.png")
    assert "No such file" in why.pop("gone.png")
    assert "not an image" in why.pop("\ufffd.png")
    assert not why
    assert found.corrupt.images == 6
    assert found.corrupt.share == pytest.approx(6 / 86)
    assert "6 corrupt images" in found.actions[0]
    with pytest.raises(DataError, match=r"6 of 86 images are corrupt \(7\.0%\), more than the 1 %"):
        require_sound(found)


def test_one_percent_is_accepted(tmp_path: Path) -> None:
    folder = fill(tmp_path, {"cat": 50, "dog": 49})
    (folder / "dog" / "x.png").write_bytes(b"")
    found = audited(folder)
    assert (found.corrupt.images, found.images) == (1, 100)
    require_sound(found)
    (folder / "dog" / "0000.png").unlink()
    with pytest.raises(DataError):
        require_sound(audited(folder))


def test_a_wrong_extension_is_told(photos: Path) -> None:
    gradient().save(photos / "test" / "dog" / "jpeg.png", "JPEG")
    found = audited(photos)
    assert found.misnamed == 1
    assert found.misnamed_listed[0].path == "test/dog/jpeg.png"
    assert found.misnamed_listed[0].why == "the content is JPEG, the name says PNG"
    assert found.corrupt.images == 0


def test_equal_images_are_told_apart_by_where_they_are(photos: Path) -> None:
    shutil.copy(photos / "train" / "cat" / "0001.png", photos / "test" / "cat" / "leak.png")
    shutil.copy(photos / "test" / "dog" / "0001.png", photos / "test" / "dog" / "again.png")
    Image.open(photos / "val" / "dog" / "0001.png").save(photos / "val" / "cat" / "wrong.bmp")  # the same pixels
    found = audited(photos).duplicates
    assert (found.images, found.groups, found.contradictions) == (3, 3, 1)
    assert found.within == {"test": 1, "validation": 1}
    [overlap] = found.across
    assert (overlap.second, overlap.images) in (("test", 1), ("calibration", 1))
    assert {one.path for one in found.leaking[0].images} == {"train/cat/0001.png", "test/cat/leak.png"}
    assert {(one.path, one.label) for one in found.contradictory[0].images} == {
        ("val/dog/0001.png", "dog"),
        ("val/cat/wrong.bmp", "cat"),
    }
    assert {one.path for one in found.repeated[0].images} == {"test/dog/0001.png", "test/dog/again.png"}


def test_images_of_one_color_and_different_size_are_not_equal(tmp_path: Path) -> None:
    fill(tmp_path, {"cat": 6, "dog": 6})
    Image.new("RGB", (2, 8), (90, 90, 90)).save(tmp_path / "cat" / "a.png")
    Image.new("RGB", (8, 2), (90, 90, 90)).save(tmp_path / "dog" / "b.png")
    assert audited(tmp_path).duplicates.images == 0


def test_lonely_and_unequal_classes_are_told(tmp_path: Path) -> None:
    found = audited(fill(tmp_path, {"cat": 60, "dog": 40, "emu": 1}))
    assert found.lonely == ("emu",)
    assert found.imbalance == 60
    assert any("emu" in action for action in found.actions)
    assert any("60 times" in action for action in found.actions)


def test_damaged_records_count_as_corrupt(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tfrecord", flowers(200))
    content = bytearray(path.read_bytes())
    content[30] ^= 1
    path.write_bytes(content)
    found = audit(open_dataset(f"tfrecord:{path}"))
    assert (found.images, found.corrupt.images) == (200, 1)
    assert found.corrupt.listed[0].path == "a.tfrecord at byte 0"
    assert "checksum" in found.corrupt.listed[0].why


def test_decoded_sources_have_no_formats() -> None:
    found = audit(open_dataset("digits"))
    assert found.formats == {}
    assert found.modes == {"RGB": 1797}
    assert found.actions == ()
