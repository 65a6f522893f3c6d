from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from tf_keras import layers

from edgeres.errors import ModelError, OutputError
from edgeres.keras_file import read_keras_file
from edgeres.keras_io import load, load_prunable, model_bytes, save_model
from tests.edgeres.keras_models import SHAPE, classifier, saved
from tests.edgeres.test_keras_file import MODEL_CARD

PIXELS = np.random.default_rng(0).uniform(0, 255, (2, *SHAPE)).astype(np.float32)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("number", [2, 3])
def test_a_model_computes_what_it_did_before_it_was_saved(number: int, suffix: str, tmp_path: Path) -> None:
    import keras

    model = classifier(tf_keras if number == 2 else keras)
    path = saved(model, tmp_path / f"m{suffix}")
    again = load(read_keras_file(path))
    assert isinstance(again, tf_keras.Model if number == 2 else keras.Model)
    np.testing.assert_allclose(np.asarray(again(PIXELS)), np.asarray(model(PIXELS)), rtol=1e-6)


def test_a_model_is_saved_with_its_card_and_without_its_optimizer(tmp_path: Path) -> None:
    model = classifier(tf_keras)
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(PIXELS, np.array([0, 1]), verbose=0)
    path = tmp_path / "m.keras"
    save_model(model, path, card=MODEL_CARD)
    file = read_keras_file(path)
    assert file.card == MODEL_CARD
    again = load(file)
    np.testing.assert_allclose(again(PIXELS).numpy(), model(PIXELS).numpy(), rtol=1e-6)
    assert again.optimizer is None
    assert path.stat().st_size < saved(model, tmp_path / "whole.keras").stat().st_size
    tf_keras.models.load_model(path)  # the card does not disturb Keras


def test_saving_replaces_a_file_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    path.write_text("old")
    save_model(classifier(tf_keras), path, card=MODEL_CARD)
    assert read_keras_file(path).card == MODEL_CARD
    before = path.read_bytes()
    with pytest.raises(OutputError):
        save_model(classifier(tf_keras), tmp_path / "m.keras" / "x.keras", card=MODEL_CARD)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def two_inputs() -> Any:
    a, b = tf_keras.Input(SHAPE), tf_keras.Input(SHAPE)
    return tf_keras.Model([a, b], layers.Dense(3)(layers.Flatten()(layers.Add()([a, b]))))


def two_outputs() -> Any:
    a = tf_keras.Input(SHAPE)
    x = layers.Flatten()(a)
    return tf_keras.Model(a, [layers.Dense(3)(x), layers.Dense(3)(x)])


def of(*stack: Any, shape: tuple[int | None, ...] = SHAPE) -> Any:
    return tf_keras.Sequential([tf_keras.Input(shape), *stack])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (two_inputs, "expected one input"),
        (two_outputs, "expected one output"),
        (lambda: of(layers.Conv2D(4, 3)), "expected one output"),
        (lambda: of(layers.Flatten(), layers.Dense(1)), "with 2 classes or more"),
        (lambda: of(layers.Flatten(), layers.Dense(3), shape=(8, 8, 4)), "expected one input"),
        (lambda: of(layers.Dense(3), shape=(9,)), "expected one input"),
        (lambda: classifier(tf_keras, shape=(None, None, 3)), "the input size is not fixed"),
    ],
)
def test_what_is_no_image_classifier_is_refused(make: Any, message: str, tmp_path: Path) -> None:
    file = read_keras_file(saved(make(), tmp_path / "m.keras"))
    with pytest.raises(ModelError, match=message) as caught:
        load(file)
    assert str(file.path) in caught.value.message


def test_weights_that_do_not_fit_are_an_error_that_names_the_file(tmp_path: Path) -> None:
    from tests.edgeres.keras_models import edit_archive

    path = saved(classifier(tf_keras), tmp_path / "m.keras")
    other = saved(classifier(tf_keras, classes=7), tmp_path / "other.keras")
    import zipfile

    with zipfile.ZipFile(other) as archive:
        edit_archive(path, "model.weights.h5", archive.read("model.weights.h5"))
    with pytest.raises(ModelError, match=r"Keras cannot load .*m\.keras"):
        load(read_keras_file(path))
    edit_archive(path, "model.weights.h5", None)
    with pytest.raises(ModelError, match="Keras cannot load"):
        load(read_keras_file(path))


def test_a_file_that_changes_after_it_was_checked_is_not_loaded(tmp_path: Path) -> None:
    path = saved(classifier(tf_keras), tmp_path / "m.h5")
    file = read_keras_file(path)
    saved(classifier(tf_keras, classes=4), path)
    with pytest.raises(ModelError, match="changed while it was being read"):
        load(file)
    saved(classifier(tf_keras, body=layers.Lambda(lambda x: x)), path)
    with pytest.raises(ModelError, match="Lambda runs code"):
        load(file)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_weights_in_another_file_are_refused(suffix: str, tmp_path: Path) -> None:
    import zipfile

    import h5py

    from tests.edgeres.keras_models import edit_archive

    path = saved(classifier(tf_keras), tmp_path / f"m{suffix}")
    weights = path
    if suffix == ".keras":
        with zipfile.ZipFile(path) as archive:
            weights = Path(archive.extract("model.weights.h5", tmp_path))
    (tmp_path / "secret").write_bytes(b"\0" * 400)
    with h5py.File(weights, "a") as store:
        store["link"] = h5py.ExternalLink(str(tmp_path / "secret"), "/x")
    if suffix == ".keras":
        edit_archive(path, "model.weights.h5", weights.read_bytes())
    with pytest.raises(ModelError, match="refused before loading: 'link' is in another file"):
        load(read_keras_file(path))
    with h5py.File(weights, "a") as store:
        del store["link"]
        store.create_dataset("data", (100,), "f4", external=[(str(tmp_path / "secret"), 0, 400)])
    if suffix == ".keras":
        edit_archive(path, "model.weights.h5", weights.read_bytes())
    with pytest.raises(ModelError, match="the data of 'data' are in another file"):
        load(read_keras_file(path))


@pytest.mark.parametrize("kilobytes", [4, 16, 32, 48])
@pytest.mark.parametrize("place", ["out", "temporary"])
def test_a_disk_that_is_full_at_any_point_of_saving_is_an_error_and_stays_empty(
    place: str, kilobytes: int, disk_of: Callable[[int], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    wide = tf_keras.Sequential([tf_keras.Input(SHAPE), layers.Flatten(), layers.Dense(64), layers.Dense(3)])
    disk = disk_of(kilobytes)
    if place == "temporary":
        monkeypatch.setattr(tempfile, "tempdir", str(disk))
    with pytest.raises(OutputError, match="no space is left"):
        model_bytes(wide, card=MODEL_CARD) if place == "temporary" else save_model(wide, disk / "m", card=MODEL_CARD)
    assert list(disk.rglob("*")) == []


def test_a_file_from_a_newer_keras_is_an_error_that_says_which(tmp_path: Path) -> None:
    from tests.edgeres.keras_models import edit_config

    path = saved(classifier(tf_keras), tmp_path / "m.keras")
    shutil.copy(path, tmp_path / "n.keras")
    edit_config(path, lambda config: config["config"]["layers"][1].update(class_name="Conv2DFromTheFuture"))
    with pytest.raises(ModelError, match="Conv2DFromTheFuture is not among the classes of Keras") as caught:
        load(read_keras_file(path))
    assert caught.value.details == (f"it was written by Keras {tf_keras.__version__}",)


@pytest.mark.parametrize("member", ["config.json", "model.weights.h5", "assets/x"])
def test_an_archive_that_unpacks_to_gigabytes_is_refused_before_it_is_unpacked(member: str, tmp_path: Path) -> None:
    import zipfile

    path = saved(classifier(tf_keras), tmp_path / "m.keras")
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive, archive.open(f"{member} ", "w") as stream:
        for _ in range(65):
            stream.write(bytes(1 << 20))
    with pytest.raises(ModelError, match=rf"'{member} ' of [\d,]+ bytes unpacks to 68,157,440"):
        read_keras_file(path)


@pytest.mark.parametrize("number", [2, 3])
def test_a_model_for_a_fixed_batch_cannot_be_pruned_and_says_why(number: int, tmp_path: Path) -> None:
    import keras

    kind = tf_keras if number == 2 else keras
    image = kind.Input(batch_shape=(8, *SHAPE))
    flat = tf.reshape(image, (8, 192)) if number == 2 else keras.ops.reshape(image, (8, 192))
    path = saved(kind.Model(image, kind.layers.Dense(3)(flat)), tmp_path / "m.keras")
    with pytest.raises(ModelError, match="cannot be pruned: it cannot be run on a single image: "):
        load_prunable(read_keras_file(path))


@pytest.fixture
def shallow() -> Iterator[None]:
    """Python's limit of recursion as low as a model of this file's tests just exceeds it."""
    before, depth, frame = sys.getrecursionlimit(), 0, sys._getframe()
    while frame := frame.f_back:  # type: ignore[assignment]
        depth += 1
    sys.setrecursionlimit(depth + 90)
    yield
    sys.setrecursionlimit(before)


@pytest.mark.parametrize(("number", "suffix"), [(2, ".keras"), (2, ".h5"), (3, ".keras")])
def test_a_model_deeper_than_pythons_recursion_is_opened(
    number: int, suffix: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """A process that builds resnet1202 has a higher limit; one that opens it has not."""
    import keras

    k = tf_keras if number == 2 else keras
    stack = [k.layers.Activation("relu") for _ in range(100)]
    path = saved(k.Sequential([k.Input(SHAPE), *stack, k.layers.Flatten(), k.layers.Dense(3)]), tmp_path / f"m{suffix}")
    file = read_keras_file(path)
    request.getfixturevalue("shallow")
    assert len(load(file).layers) >= 102


@pytest.mark.slow
def test_resnet1202_is_saved_and_opened_by_another_process(tmp_path: Path) -> None:
    import subprocess

    from edgeres.models.resnet import resnet_cifar

    model = resnet_cifar(1202, width=2, input_size=16)
    for weight in model.weights:
        if "gamma" in weight.name:  # untrained and so deep, its sums would overflow
            weight.assign(weight * 0.01)
    image = np.random.default_rng(0).uniform(0, 255, (1, 16, 16, 3)).astype(np.float32)
    save_model(model, tmp_path / "m.keras", card=MODEL_CARD)
    np.save(tmp_path / "image.npy", image)
    script = (
        "import sys, numpy as np; from pathlib import Path; from edgeres.keras_io import load\n"
        "from edgeres.keras_file import read_keras_file; folder = Path(sys.argv[1])\n"
        "scores = load(read_keras_file(folder / 'm.keras'))(np.load(folder / 'image.npy'), training=False)\n"
        "np.save(folder / 'scores.npy', scores)"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True)
    expected = model(image, training=False).numpy()
    assert np.isfinite(expected).all()
    np.testing.assert_allclose(np.load(tmp_path / "scores.npy"), expected, rtol=1e-5)
