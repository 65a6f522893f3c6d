from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path

import pytest

from edgeres.data import Dataset, open_dataset
from edgeres.data.folder import ImageFiles
from edgeres.errors import DataError
from edgeres.preprocess import Preprocess
from tests.edgeres.pictures import encoded, fill, gradient


def opened(path: Path) -> Dataset:
    return open_dataset(f"folder:{path}")


def files(dataset: Dataset) -> set[str]:
    return {split.where(i) for split in dataset.splits.values() for i in range(len(split))}


def test_classes_are_the_sub_folders_in_alphabetical_order(tmp_path: Path) -> None:
    dataset = opened(fill(tmp_path, {"dog": 6, "cat": 6, "ant eater": 6, "ünïcode": 6}))
    assert dataset.labels == ("ant eater", "cat", "dog", "ünïcode")
    assert dataset.mirror
    assert dataset.source == f"folder:{tmp_path}"
    assert len(files(dataset)) == 24


def test_the_order_on_disk_does_not_matter(tmp_path: Path) -> None:
    first = fill(tmp_path / "a", {"cat": 20, "dog": 20})
    for name in sorted(p.relative_to(first) for p in first.rglob("*.png"))[::-1]:
        (tmp_path / "b" / name.parent).mkdir(parents=True, exist_ok=True)
        shutil.copy(first / name, tmp_path / "b" / name)
    a, b = opened(first).split("train"), opened(tmp_path / "b").split("train")
    assert [a.where(i) for i in range(len(a))] == [b.where(i) for i in range(len(b))]


@pytest.mark.parametrize("validation", ["val", "validation"])
def test_train_val_and_test_folders_are_kept(tmp_path: Path, validation: str) -> None:
    for name, count in {"train": 30, validation: 4, "test": 5}.items():
        fill(tmp_path / name, {"cat": count, "dog": count})
    dataset = opened(tmp_path)
    for split, folder in {"validation": validation, "test": "test", "train": "train", "calibration": "train"}.items():
        part = dataset.split(split)
        assert {part.where(i).split("/")[0] for i in range(len(part))} == {folder}
    assert [len(dataset.split(name)) for name in ("validation", "test", "calibration", "train")] == [8, 10, 6, 54]


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    assert opened(fill(tmp_path, {"bus": 6, "car": 6, "train": 6})).labels == ("bus", "car", "train")


def test_extensions_are_told_by_name_whatever_their_case(tmp_path: Path) -> None:
    fill(tmp_path, {"cat": 6, "dog": 6})
    for name in ("a.JPG", "b.Jpeg", "c.webp", "d.TIFF", "e.ppm"):
        (tmp_path / "cat" / name).write_bytes(b"")
    for name in ("notes.txt", ".hidden.jpg", "._a.JPG", "Thumbs.db", "jpg"):
        (tmp_path / "cat" / name).write_bytes(b"")
    (tmp_path / ".git").mkdir()
    found = {name for name in files(opened(tmp_path)) if not name.endswith(".png")}
    assert found == {"cat/a.JPG", "cat/b.Jpeg", "cat/c.webp", "cat/d.TIFF", "cat/e.ppm"}


def test_sub_folders_of_a_class_belong_to_it_and_loops_end(tmp_path: Path) -> None:
    fill(tmp_path, {"cat/indoors/night": 3, "cat": 3, "dog": 6})
    (tmp_path / "cat" / "loop").symlink_to(tmp_path)
    dataset = opened(tmp_path)
    assert dataset.labels == ("cat", "dog")
    assert len(files(dataset)) == 12
    assert "cat/indoors/night/0002.png" in files(dataset)


def test_a_class_folder_may_be_a_link(tmp_path: Path) -> None:
    fill(tmp_path / "elsewhere", {"cats": 6})
    fill(tmp_path / "data", {"dog": 6})
    (tmp_path / "data" / "cat").symlink_to(tmp_path / "elsewhere" / "cats")
    assert opened(tmp_path / "data").labels == ("cat", "dog")


def test_home_is_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    fill(tmp_path / "photos", {"cat": 6, "dog": 6})
    assert opened(Path("~/photos")).labels == ("cat", "dog")


def test_every_format_is_read(tmp_path: Path) -> None:
    fill(tmp_path, {"cat": 6, "dog": 6})
    kinds = {"jpg": "JPEG", "bmp": "BMP", "gif": "GIF", "webp": "WEBP", "tif": "TIFF", "ppm": "PPM", "pgm": "PPM"}
    for suffix, kind in kinds.items():
        image = gradient().convert("L") if suffix == "pgm" else gradient()
        (tmp_path / "cat" / f"x.{suffix}").write_bytes(encoded(image, kind))
    dataset = opened(tmp_path)
    for split in dataset.splits.values():
        for position in range(len(split)):
            assert split.decode(position, Preprocess(8, 8)).shape == (8, 8, 3)


def check_refused(path: Path | str, *says: str) -> None:
    with pytest.raises(DataError) as caught:
        open_dataset(f"folder:{path}")
    for text in says:
        assert text in str(caught.value)
    assert caught.value.fix


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    check_refused(tmp_path / "nowhere", "does not exist")
    check_refused("", "names no folder", "folder:PATH")


def test_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("x")
    check_refused(tmp_path / "x", "is a file, expected a folder")


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    check_refused(tmp_path, "neither images nor class sub-folders")


def test_images_without_class_folders_are_refused(tmp_path: Path) -> None:
    check_refused(fill(tmp_path, {"cat": 6}) / "cat", "holds 6 images, but no class sub-folders")


def test_a_single_class_is_refused(tmp_path: Path) -> None:
    check_refused(fill(tmp_path, {"cat": 6}), "single class, 'cat'")


def test_a_class_without_images_is_refused(tmp_path: Path) -> None:
    fill(tmp_path, {"cat": 6, "dog": 0, "emu": 6})
    (tmp_path / "dog" / "a.heic").write_bytes(b"")
    check_refused(tmp_path, "the class folder dog/ has no images", "found other files: 1 .heic")


@pytest.mark.parametrize("name", ["a\nb", "a\x1b[31m", "a\u2028b", os.fsdecode(b"a\xffb")])
def test_a_class_name_that_cannot_be_a_label_is_refused(tmp_path: Path, name: str) -> None:
    fill(tmp_path, {"cat": 6, name: 6})
    with pytest.raises(DataError, match="control characters") as caught:
        opened(tmp_path)
    caught.value.message.encode()  # printable
    assert "\x1b" not in caught.value.message


def test_other_classes_in_test_are_refused(tmp_path: Path) -> None:
    fill(tmp_path / "train", {"cat": 6, "dog": 6})
    fill(tmp_path / "test", {"cat": 6, "emu": 6})
    check_refused(tmp_path, "the classes of test/ (2) are not those of train/ (2)", "only in train/: dog", "test/: emu")


def test_an_incomplete_layout_is_refused(tmp_path: Path) -> None:
    fill(tmp_path / "a" / "test", {"cat": 6, "dog": 6})
    check_refused(tmp_path / "a", "has test/ but no train/")
    for name in ("train", "val", "validation"):
        fill(tmp_path / "b" / name, {"cat": 6, "dog": 6})
    check_refused(tmp_path / "b", "both val/ and validation/")
    for name in ("train", "test", "extra"):
        fill(tmp_path / "c" / name, {"cat": 6, "dog": 6})
    check_refused(tmp_path / "c", "other folders beside train/: extra")


def test_too_few_images_are_refused(tmp_path: Path) -> None:
    check_refused(fill(tmp_path, {"cat": 2, "dog": 2}), "4 images of 2 classes, at least 5 are needed")


def test_four_images_a_class_are_enough(tmp_path: Path) -> None:
    dataset = opened(fill(tmp_path, {"cat": 4, "dog": 4}))
    assert all(len(split) for split in dataset.splits.values())


def test_loose_images_are_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fill(tmp_path, {"cat": 6, "dog": 6})
    (tmp_path / "preview.png").write_bytes(b"")
    with caplog.at_level(logging.WARNING):
        assert len(files(opened(tmp_path))) == 12
    assert "1 images lie beside the class folders" in caplog.text


def test_a_file_name_is_safe_to_print(tmp_path: Path) -> None:
    fill(tmp_path, {"cat": 6, "dog": 6})
    (tmp_path / "cat" / os.fsdecode(b"\xff\x1b[31m.png")).write_bytes(b"text")
    assert "cat/\ufffd\ufffd[31m.png" in files(opened(tmp_path))


def test_a_folder_that_may_not_be_listed_is_refused(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("the super-user may list every folder")
    fill(tmp_path, {"cat": 6, "dog": 6})
    (tmp_path / "dog").chmod(0)
    try:
        check_refused(tmp_path, "cannot be listed: Permission denied")
    finally:
        (tmp_path / "dog").chmod(0o755)


def test_an_oversized_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    fill(tmp_path, {"cat": 6, "dog": 6})
    split = opened(tmp_path).split("test")
    os.truncate(tmp_path / split.where(0), (512 << 20) + 1)  # sparse: takes no space
    with pytest.raises(DataError, match="more than the 512 MiB accepted"):
        split.decode(0, Preprocess(8, 8))


def test_a_pipe_among_the_images_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.png")
    with pytest.raises(DataError, match="not a regular file"):
        ImageFiles(tmp_path, ("x.png",)).read(0)
