"""HDF5 files that give more than is in them are refused from their headers, before memory is taken."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import tf_keras

from edgeres.errors import ModelError
from edgeres.keras_file import read_keras_file
from edgeres.keras_io import load
from edgeres.models.arrays import read_arrays
from edgeres.weights_file import MAX_DECLARED, check_open, check_weights
from tests.edgeres.keras_models import classifier, edit_archive, saved

HUGE = (1 << 20, 1 << 20)


def edited(path: Path, change: Any) -> Path:
    """Change the HDF5 file that a `.keras` or `.h5` file holds or is."""
    weights = path
    if path.suffix == ".keras":
        with zipfile.ZipFile(path) as archive:
            weights = Path(archive.extract("model.weights.h5", path.parent))
    with h5py.File(weights, "a") as file:
        change(file)
    return path if weights == path else edit_archive(path, "model.weights.h5", weights.read_bytes())


def kernel(file: Any) -> str:
    """The path of the convolution's kernel in either format."""
    found: list[str] = []
    file.visititems(lambda name, item: found.append(name) if getattr(item, "ndim", 0) == 4 else None)
    return found[0]


def declared(file: Any) -> None:
    name = kernel(file)
    del file[name]
    file.create_dataset(name, HUGE, "f4")


def compressed(file: Any) -> None:
    name = kernel(file)
    del file[name]
    data = np.zeros((MAX_DECLARED // 4096 + 1, 1024), np.float32)
    file.create_dataset(name, data=data, chunks=(1024, 1024), compression="gzip")


def one_chunk(file: Any) -> None:
    name = kernel(file)
    del file[name]
    shape = {"shape": (4,), "maxshape": (None,), "chunks": (MAX_DECLARED // 4 + 1,)}
    file.create_dataset(name, dtype="f4", compression="gzip", **shape)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize(
    ("change", "size"), [(declared, 1 << 42), (compressed, MAX_DECLARED), (one_chunk, MAX_DECLARED)]
)
def test_arrays_far_larger_than_what_is_stored_are_refused(change: Any, size: int, suffix: str, tmp_path: Path) -> None:
    path = edited(saved(classifier(tf_keras), tmp_path / f"m{suffix}"), change)
    with pytest.raises(
        ModelError, match=r"refused before loading: with '.*' its arrays are [\d,]+ bytes, of which"
    ) as e:
        load(read_keras_file(path))
    assert int(e.value.message.split("arrays are ")[1].split(" ")[0].replace(",", "")) >= size
    if suffix == ".h5":
        with pytest.raises(ModelError, match="its arrays are"):
            read_arrays(path)


def test_many_small_declarations_add_up_and_two_names_of_one_array_do_not(tmp_path: Path) -> None:
    path = tmp_path / "w.h5"
    with h5py.File(path, "w") as file:
        for number in range(4):
            file.create_dataset(f"a{number}", (MAX_DECLARED // 16,), "f4")
        for number in range(4):
            file[f"b{number}"] = file["a0"]
    check_weights(path, where=path)
    with h5py.File(path, "a") as file:
        file.create_dataset("one_more", (1,), "f4")
    with pytest.raises(ModelError, match="its arrays are 67,108,868 bytes, of which 0 are stored"):
        check_weights(path, where=path)


def patched(path: Path, *numbers: tuple[int, int, int]) -> None:
    """Replace each number of so many bytes in a file by another, wherever it is."""
    content = path.read_bytes()
    for found, instead, size in numbers:
        assert found.to_bytes(size, "little") in content
        content = content.replace(found.to_bytes(size, "little"), instead.to_bytes(size, "little"))
    path.write_bytes(content)


def test_stored_bytes_that_the_file_does_not_have_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.h5"
    with h5py.File(path, "w") as file:
        data = np.random.default_rng(0).uniform(size=12_345)
        size = file.create_dataset("a", data=data, chunks=(12_345,), compression="gzip").id.get_chunk_info(0).size
    patched(path, (size, 2**31 - 1, 4))
    with pytest.raises(ModelError, match="with 'a' it stores 2,147,483,647 bytes, and the file has"):
        check_weights(path, where=path)


def test_a_shape_that_hdf5_itself_refuses_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "w.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("a", data=np.arange(1000, dtype=np.float32))
    patched(path, (1000, 10**9, 8), (4000, 4 * 10**9, 8))
    with pytest.raises(ModelError, match="'a' cannot be read: "):
        check_weights(path, where=path)


def test_arrays_of_text_or_references_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("words", data=["a", "b"])
    with pytest.raises(ModelError, match="'words' holds object, not numbers"):
        check_weights(path, where=path)


def test_a_type_that_numpy_does_not_know_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "w.h5"
    with h5py.File(path, "w") as file:
        h5py.h5d.create(file.id, b"time", h5py.h5t.UNIX_D32LE, h5py.h5s.create_simple((2,)))
    with pytest.raises(ModelError, match="refused before loading: 'time' cannot be read: "):
        read_arrays(path)


def test_arrays_are_read_from_the_very_file_that_was_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another file that takes the name right after the check is not read."""
    path, other = tmp_path / "w.h5", tmp_path / "other.h5"
    model = classifier(tf_keras)
    model.save_weights(path)
    model.set_weights([weight * 0 + 7 for weight in model.get_weights()])
    model.save_weights(other)

    def check_then_replace(*arguments: Any, **settings: Any) -> None:
        check_open(*arguments, **settings)
        other.replace(path)

    monkeypatch.setattr("edgeres.models.arrays.check_open", check_then_replace)
    read = read_arrays(path)
    assert read
    assert not any((weight == 7).all() for layer in read.values() for weight in layer)
    assert not other.exists()


def test_compressed_weights_pass(tmp_path: Path) -> None:
    def change(file: Any) -> None:
        name = kernel(file)
        data = file[name][...]
        del file[name]
        file.create_dataset(name, data=data, compression="gzip")

    load(read_keras_file(edited(saved(classifier(tf_keras), tmp_path / "m.h5"), change)))


def test_a_configuration_that_is_a_list_of_texts_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.h5"
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = ["{}"] * 1000
    with pytest.raises(ModelError, match="its model_config is not one text"):
        read_keras_file(path)
