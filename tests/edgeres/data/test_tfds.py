from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeres.data import open_dataset
from edgeres.errors import DataError, MissingExtraError

tfds = pytest.importorskip("tensorflow_datasets")


def prepare(folder: Path, *, file_format: str = "tfrecord", images: bool = True) -> None:
    """Write the data set `blobs` of 40 + 10 images as tensorflow-datasets itself does; image `i` is filled with `i`."""

    class Blobs(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self) -> Any:
            kinds = {
                "image": tfds.features.Image(shape=(8, 8, 3)),
                "label": tfds.features.ClassLabel(names=["red", "green"]),
            }
            if not images:
                kinds["image"] = tfds.features.Text()
            return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(kinds))

        def _split_generators(self, _: Any) -> Any:
            return {"train": self._generate_examples(0, 40), "test": self._generate_examples(40, 50)}

        def _generate_examples(self, start: int, end: int) -> Iterator[Any]:
            for i in range(start, end):
                image = np.full((8, 8, 3), i, np.uint8) if images else "text"
                yield i, {"image": image, "label": i % 2}

    Blobs(data_dir=str(folder), file_format=file_format).download_and_prepare()
    # A class of this process would be found by its name in every folder.
    tfds.core.registered._DATASET_REGISTRY.pop("blobs", None)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tfds")
    prepare(folder)
    return folder


def check(source: str) -> None:
    dataset = open_dataset(source)
    assert dataset.labels == ("red", "green")
    seen: dict[str, set[int]] = {}
    for name in dataset.splits:
        split = dataset.split(name)
        shades = [int(split.picture(position)[0, 0, 0]) for position in range(len(split))]
        assert [shade % 2 for shade in shades] == split.classes.tolist()
        seen[name] = set(shades)
    assert seen["test"] == set(range(40, 50))
    assert seen["train"] | seen["validation"] | seen["calibration"] == set(range(40))


def test_a_prepared_data_set_is_read_by_name(prepared: Path) -> None:
    check(f"tfds:blobs?data_dir={prepared}")
    check(f"tfds:blobs:1.0.0?data_dir={prepared}")


def test_the_environment_names_the_folder(prepared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFDS_DATA_DIR", str(prepared))
    monkeypatch.setattr(tfds.core.constants, "DATA_DIR", str(prepared))  # the library looks once, when it is imported
    check("tfds:blobs")


def test_array_record_files_are_read_too(tmp_path: Path) -> None:
    pytest.importorskip("array_record")
    prepare(tmp_path, file_format="array_record")
    check(f"tfds:blobs?data_dir={tmp_path}")
    dataset = open_dataset(f"tfds:blobs?data_dir={tmp_path}")
    assert dataset.split("test").where(0).startswith("test[")


def refused(source: str, *says: str) -> None:
    with pytest.raises(DataError) as caught:
        open_dataset(source)
    for text in says:
        assert text in str(caught.value)
    assert caught.value.fix


def test_a_name_that_does_not_exist_has_its_nearest_ones(prepared: Path) -> None:
    refused("tfds:mnst", "there is no data set 'mnst'", "'mnist'")
    refused(f"tfds:blubs?data_dir={prepared}", "there is no data set 'blubs'", "'blobs'")
    refused(f"tfds:blobs:9.9.9?data_dir={prepared}", "not as 'blobs:9.9.9'")
    refused("tfds:mnist/large", "cannot be opened")


def test_what_is_not_prepared_is_not_downloaded(tmp_path: Path) -> None:
    refused(
        f"tfds:mnist?data_dir={tmp_path}", "not prepared on this machine", f"tfds build mnist --data_dir {tmp_path}"
    )
    assert not any(tmp_path.rglob("*"))


@pytest.mark.parametrize(
    "name", ["", "a b", "../x", "mnist?", "mnist?data_dir=", "mnist?folder=/x", "mnist[train]", "huggingface:mnist"]
)
def test_what_is_no_name_is_refused(name: str) -> None:
    refused(f"tfds:{name}", "is no name of a data set", "tfds:NAME")


def test_what_is_no_image_classification_is_refused(tmp_path: Path) -> None:
    prepare(tmp_path, images=False)
    refused(f"tfds:blobs?data_dir={tmp_path}", "no image classification", "found: image (Text), label (ClassLabel)")


def test_a_file_that_is_gone_is_named(tmp_path: Path) -> None:
    prepare(tmp_path)
    next(tmp_path.rglob("*train.tfrecord*")).unlink()
    refused(f"tfds:blobs?data_dir={tmp_path}", "blobs-train.tfrecord-00000-of-00001 is missing")


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(MissingExtraError, match="tensorflow_datasets") as caught:
        open_dataset("tfds:mnist")
    assert caught.value.fix == "pip install 'edgeres[tfds]'"


def test_characters_are_not_mirrored(prepared: Path) -> None:
    from edgeres.data.tfds import _is_mirrored

    assert open_dataset(f"tfds:blobs?data_dir={prepared}").mirror
    assert not _is_mirrored("svhn_cropped")
    assert not _is_mirrored("emnist/letters")
