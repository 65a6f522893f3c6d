"""Weights of an earlier run, or of a file, into a network of the zoo."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import tf_keras as keras

from edgeres.errors import ModelError
from edgeres.keras_file import read_keras_file
from edgeres.models import find_network
from edgeres.models.pretrained import Loaded, load_weights, put_weights, read_weights
from edgeres.storage import sha256_file

RUN = Path(__file__).parents[2] / "assets" / "resnet8-cifar10"


def images(size: int = 32) -> Any:
    return np.random.default_rng(0).uniform(0, 255, (2, size, size, 3)).astype(np.float32)


def loaded(name: str, source: Path, **arguments: Any) -> tuple[keras.Model, Loaded]:
    network = find_network(name)
    model = network.build(**arguments)
    return model, load_weights(model, network, str(source))


@pytest.mark.parametrize("path", [RUN, RUN / "model.keras"], ids=["run", "file"])
def test_a_run_gives_its_weights_and_its_preprocessing(path: Path) -> None:
    model, found = loaded("resnet8", path)
    np.testing.assert_array_equal(
        model(images()), keras.models.load_model(RUN / "model.keras", compile=False)(images())
    )
    card = read_keras_file(RUN / "model.keras").card
    assert card is not None
    assert found == Loaded(str(path), sha256_file(RUN / "model.keras"), card.preprocess, ())


def test_another_number_of_classes_leaves_the_last_layer_new() -> None:
    network = find_network("resnet8")
    model = network.build(classes=5, input_size=48)
    head = model.get_layer("logits").get_weights()
    found = load_weights(model, network, str(RUN))
    assert found.new_layers == ("logits",)
    assert found.contract is not None
    assert found.contract.shape == (48, 48, 3)
    for before, after in zip(head, model.get_layer("logits").get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    trained = keras.models.load_model(RUN / "model.keras", compile=False)
    for name in ("stem_conv", "stage3_block0_bn2"):
        np.testing.assert_array_equal(model.get_layer(name).get_weights()[0], trained.get_layer(name).get_weights()[0])


@pytest.mark.parametrize("whole", [True, False], ids=["model", "weights"])
def test_an_h5_file_of_a_model_or_of_weights_alone(whole: bool, tmp_path: Path) -> None:
    given = find_network("resnet8-A").build(width=0.25)
    path = tmp_path / "given.h5"
    (given.save if whole else given.save_weights)(path)
    model, found = loaded("resnet8-A", path, width=0.25)
    assert found.contract is None
    np.testing.assert_array_equal(model(images()), given(images()))


@pytest.mark.parametrize(
    ("name", "arguments", "details"),
    [
        ("resnet8", {"width": 1}, ["stem_conv: expected 3x3x3x16, found 3x3x3x4", "stem_bn: expected 16, 16, 16, 16"]),
        ("resnet14", {"width": 0.25}, ["stage1_block1_conv1: expected 3x3x4x4, found nothing"]),
        ("resnet8-C", {"width": 0.25}, ["stage1_block0_shortcut_conv: expected 1x1x4x4, found nothing"]),
        ("resnet8-A", {"width": 0.25}, ["stage2_block0_shortcut_conv: not in resnet8-A"]),
    ],
)
def test_weights_for_another_network_name_the_first_layers_that_do_not_fit(
    name: str, arguments: dict[str, Any], details: list[str], tmp_path: Path
) -> None:
    find_network("resnet8").build(width=0.25).save_weights(tmp_path / "w.h5")
    network = find_network(name)
    model = network.build(**arguments)
    before = model.get_weights()
    with pytest.raises(ModelError, match=f"weights for another network: .* do not fit {name}\n") as caught:
        load_weights(model, network, str(tmp_path / "w.h5"))
    assert caught.value.exit_code == 5
    for number, detail in enumerate(details):
        assert caught.value.details[number].startswith(detail)
    assert len(caught.value.details) <= 4
    assert all((one == other).all() for one, other in zip(before, model.get_weights(), strict=True))


def test_equal_shapes_are_not_enough_where_a_card_names_the_network() -> None:
    with pytest.raises(ModelError, match="it is resnet8, not resnet8-A") as caught:
        read_weights(find_network("resnet8-A"), str(RUN))
    assert caught.value.fix == "train resnet8, or give weights of resnet8-A"


def test_reading_needs_no_model() -> None:
    weights = read_weights(find_network("resnet8"), str(RUN))
    assert weights.contract is not None
    assert weights.contract.shape == (32, 32, 3)
    model = find_network("resnet8").build()
    put_weights(model, weights)
    np.testing.assert_array_equal(model.get_layer("stem_conv").get_weights()[0], weights.arrays["stem_conv"][0])


def refused(path: Path, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        read_weights(find_network("resnet8"), str(path))


def test_what_holds_no_weights_is_refused(tmp_path: Path) -> None:
    refused(tmp_path / "absent.h5", "absent.h5 is no file of weights")
    refused(tmp_path, "is no file of weights")
    text = tmp_path / "text.txt"
    text.write_text("weights")
    refused(text, "is no Keras file")
    broken = tmp_path / "broken.h5"
    broken.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    refused(broken, "holds no readable Keras weights")
    with h5py.File(tmp_path / "empty.h5", "w"):
        pass
    refused(tmp_path / "empty.h5", "it names no layers")


def test_code_in_a_file_runs_only_where_it_is_trusted(tmp_path: Path) -> None:
    path = tmp_path / "lambda.keras"
    network = find_network("resnet8").build(width=0.125)
    inputs = keras.Input((32, 32, 3))
    x = keras.layers.Lambda(lambda pixels: pixels / 255)(inputs)
    keras.Model(inputs, network(x)).save(path)
    refused(path, "refused before loading")
    weights = read_weights(find_network("resnet8"), str(path), trust=True)
    np.testing.assert_array_equal(weights.arrays["logits"][0], network.get_layer("logits").get_weights()[0])


def test_a_run_that_has_not_ended_is_refused(tmp_path: Path) -> None:
    shutil.copy(RUN / "config.json", tmp_path)
    refused(tmp_path, "is a run that has not ended")


def test_data_in_another_file_are_not_read(tmp_path: Path) -> None:
    find_network("resnet8").build(width=0.25).save_weights(tmp_path / "w.h5")
    with h5py.File(tmp_path / "w.h5", "a") as file:
        del file["stem_conv"]
        file["stem_conv"] = h5py.ExternalLink("/etc/elsewhere.h5", "/stem_conv")
    refused(tmp_path / "w.h5", "another file")


def test_names_that_keras_cut_into_parts_are_put_together(tmp_path: Path) -> None:
    given = find_network("resnet8").build(width=0.25)
    given.save_weights(tmp_path / "w.h5")
    with h5py.File(tmp_path / "w.h5", "a") as file:
        names = list(file.attrs["layer_names"])
        del file.attrs["layer_names"]
        file.attrs["layer_names0"], file.attrs["layer_names1"] = names[:7], names[7:]
    model, _ = loaded("resnet8", tmp_path / "w.h5", width=0.25)
    np.testing.assert_array_equal(model(images()), given(images()))
