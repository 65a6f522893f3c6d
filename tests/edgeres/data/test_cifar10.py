from __future__ import annotations

import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgeres.data import Dataset, open_dataset
from edgeres.data.cifar10 import LABELS
from edgeres.errors import DataError
from edgeres.preprocess import Preprocess
from tests.edgeres.pictures import fill


@pytest.fixture
def batches(tmp_path: Path) -> Path:
    """The binary layout, with 20 images a batch instead of 10,000."""
    pixels = np.random.default_rng(0).integers(0, 256, (6, 20, 3072), np.uint8)
    for number, name in enumerate(("data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5")):
        write_batch(tmp_path / f"{name}.bin", pixels[number])
    write_batch(tmp_path / "test_batch.bin", pixels[5])
    (tmp_path / "batches.meta.txt").write_text("\n".join(LABELS) + "\n\n")
    return tmp_path


def write_batch(path: Path, pixels: np.ndarray) -> None:
    labels = np.arange(len(pixels), dtype=np.uint8)[:, np.newaxis] % 10
    path.write_bytes(np.concatenate([labels, pixels], axis=1).tobytes())


def opened(path: Path) -> Dataset:
    return open_dataset(f"cifar10:{path}")


def check_refused(path: Path, *says: str) -> None:
    with pytest.raises(DataError) as caught:
        opened(path)
    for text in says:
        assert text in str(caught.value)
    assert caught.value.fix


def test_binary_batches_are_read(batches: Path) -> None:
    dataset = opened(batches)
    assert dataset.labels == LABELS
    assert dataset.mirror
    assert {name: len(split) for name, split in dataset.splits.items()} == {
        "train": 81,
        "validation": 10,
        "test": 20,
        "calibration": 9,
    }


def test_a_record_becomes_its_pixels(batches: Path) -> None:
    test = opened(batches).split("test")
    raw = np.frombuffer((batches / "test_batch.bin").read_bytes(), np.uint8).reshape(20, 3073)
    for position in range(20):
        record = int(test.where(position).removeprefix("test_batch.bin[").removesuffix("]"))
        pixels = test.read(position)
        assert isinstance(pixels, np.ndarray)
        assert pixels.shape == (32, 32, 3)
        assert pixels[5, 7].tolist() == [raw[record, 1 + plane * 1024 + 5 * 32 + 7] for plane in range(3)]
        assert test.classes[position] == raw[record, 0]


def test_labels_follow_the_meta_file(batches: Path) -> None:
    (batches / "batches.meta.txt").write_text("\n".join(reversed(LABELS)))
    assert opened(batches).labels == LABELS[::-1]
    (batches / "batches.meta.txt").unlink()
    assert opened(batches).labels == LABELS


def test_other_names_in_the_meta_file_are_refused(batches: Path) -> None:
    (batches / "batches.meta.txt").write_text("apple\npear\n")
    check_refused(batches, "names other classes: apple, pear")


@pytest.mark.parametrize("name", ["data_batch_3.bin", "test_batch.bin"])
def test_a_missing_batch_is_named(batches: Path, name: str) -> None:
    (batches / name).unlink()
    check_refused(batches, f"{name} is missing")


@pytest.mark.parametrize(("size", "says"), [(0, "0 bytes"), (3072, "3,072 bytes"), (3073 * 19, "not of one size")])
def test_a_cut_batch_is_refused(batches: Path, size: int, says: str) -> None:
    path = batches / "data_batch_2.bin"
    path.write_bytes(path.read_bytes()[:size])
    check_refused(batches, says)


def test_a_label_beyond_nine_is_refused(batches: Path) -> None:
    content = bytearray((batches / "data_batch_4.bin").read_bytes())
    content[3073 * 2] = 10
    (batches / "data_batch_4.bin").write_bytes(content)
    check_refused(batches, "data_batch_4.bin[2] has the label 10")


def test_the_pickle_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data_batch_1").write_bytes(b"\x80\x04.")
    check_refused(tmp_path, "pickle", "cifar-10-binary.tar.gz")


def test_batches_one_folder_down_are_pointed_at(batches: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    outer = tmp_path_factory.mktemp("outer")
    shutil.copytree(batches, outer / "cifar-10-batches-bin")
    check_refused(outer, f"use cifar10:{outer / 'cifar-10-batches-bin'}")


@pytest.mark.parametrize("name", ["cifar-10-binary.tar.gz", "my cifar.tar.xz", "cifar.tgz"])
def test_an_archive_is_answered_with_the_command_that_unpacks_it(tmp_path: Path, name: str) -> None:
    with tarfile.open(tmp_path / name, "w:xz" if name.endswith("xz") else "w:gz") as archive:
        archive.add(__file__, "x")
    check_refused(tmp_path / name, "is an archive", "tar -xf ")


def test_the_folder_layout_is_read(tmp_path: Path) -> None:
    fill(tmp_path / "train", dict.fromkeys(LABELS, 8), suffix=".jpg")
    fill(tmp_path / "test", dict.fromkeys(LABELS, 2), suffix=".jpg")
    dataset = opened(tmp_path)
    assert dataset.source == f"cifar10:{tmp_path}"
    assert dataset.labels == LABELS
    assert len(dataset.split("test")) == 20


def test_other_images_are_refused(tmp_path: Path) -> None:
    check_refused(fill(tmp_path, {"cat": 6, "dog": 6}), "is not CIFAR-10", "found the classes cat, dog", "folder:")
    check_refused(tmp_path / "nowhere", "does not exist")
    check_refused(tmp_path / "cat", "no class sub-folders")
    with pytest.raises(DataError, match="names no folder"):
        open_dataset("cifar10")


@pytest.mark.slow
@pytest.mark.cifar10
def test_the_real_copy_opens(cifar10: Path) -> None:
    dataset = opened(cifar10)
    assert dataset.labels == LABELS
    assert {name: len(split) for name, split in dataset.splits.items()} == {
        "train": 46_988,
        "validation": 2500,
        "test": 10_000,
        "calibration": 512,
    }
    assert np.bincount(dataset.split("test").classes).tolist() == [1000] * 10
    assert dataset.split("train").where(0) == "train/automobile/3538.jpg"


@pytest.mark.cifar10
def test_the_real_images_decode_to_what_pillow_reads(cifar10: Path) -> None:
    split = opened(cifar10).split("test").head(200)
    for position in range(len(split)):
        with Image.open(cifar10 / split.where(position)) as image:
            np.testing.assert_array_equal(split.decode(position, Preprocess(32, 32)), np.asarray(image))


@pytest.mark.slow
@pytest.mark.cifar10
def test_no_test_image_is_among_the_training_images(cifar10: Path) -> None:
    dataset = opened(cifar10)
    seen = {content for name in ("train", "validation", "calibration") for content, _ in dataset.split(name)}
    assert len(seen) == 50_000
    assert not any(content in seen for content, _ in dataset.split("test"))
