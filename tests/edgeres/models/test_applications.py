"""Weights of `keras.applications`: models of random weights, copied, compute the same here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tf_keras as keras

from edgeres.errors import ModelError
from edgeres.models import find_network
from edgeres.models.applications import APPLICATIONS
from edgeres.models.pretrained import load_weights, read_weights
from edgeres.preprocess import named

SIZE = 64
FAST = ("resnet50v1", "vgg16")
ALL = [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in APPLICATIONS]


def images() -> Any:
    return np.random.default_rng(0).normal(0, 60, (4, SIZE, SIZE, 3)).astype(np.float32)


def random_application(name: str) -> keras.Model:
    """A model of keras.applications whose batch norms and biases are random too, with logits of about 1."""
    build = getattr(keras.applications, APPLICATIONS[name].function)
    model = build(weights=None, input_shape=(SIZE, SIZE, 3), classifier_activation=None)
    random = np.random.default_rng(1)
    for layer in model.layers:
        layer.set_weights([_random(weight, random) for weight in layer.weights])
    head = model.layers[-1]
    scale = 1 / np.abs(model(images())).max()
    head.set_weights([scale * weight for weight in head.get_weights()])
    return model


def _random(weight: Any, random: np.random.Generator) -> Any:
    kind, shape = weight.name.split("/")[-1].split(":")[0], tuple(weight.shape)
    if kind in ("gamma", "moving_variance"):
        return random.uniform(0.5, 1.5, shape)
    if kind in ("beta", "bias", "moving_mean"):
        return random.normal(0, 0.5, shape)
    return random.normal(0, np.sqrt(2 / np.prod(shape[:-1])), shape)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without cached weights, on a machine that reaches no network."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for variable in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    for variable in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    return tmp_path


@pytest.mark.parametrize("name", ALL)
def test_outputs_agree_with_keras_applications(name: str, home: Path) -> None:
    theirs, network, application = random_application(name), find_network(name), APPLICATIONS[name]
    cached = home / ".keras" / "models" / application.file
    cached.parent.mkdir(parents=True)
    theirs.save_weights(cached)
    ours = network.build(input_size=SIZE)
    loaded = load_weights(ours, network, "imagenet")
    expected = theirs(images()).numpy()
    assert np.ptp(expected, axis=0).max() > 0.01, "the images make no difference"
    np.testing.assert_allclose(ours(images()).numpy(), expected, rtol=0, atol=1e-4)
    assert loaded.new_layers == ()
    assert loaded.contract == named(application.preset, height=SIZE, width=SIZE)


def test_without_a_network_the_error_names_the_file_and_where_it_belongs(home: Path) -> None:
    with pytest.raises(ModelError, match="cannot download the ImageNet weights") as caught:
        read_weights(find_network("resnet50v1"), "imagenet")
    path = home / ".keras" / "models" / "resnet50_weights_tf_dim_ordering_tf_kernels.h5"
    assert caught.value.details == (f"looked for {path}",)
    assert caught.value.fix == f"copy {path.name} there, or give its path: --weights PATH/{path.name}"
    assert not path.exists()


@pytest.mark.parametrize(
    ("name", "fix"),
    [
        ("resnet50", "train resnet50v1"),
        ("resnet152", "train resnet152v1"),
        ("resnet50v1-A", "train one of these, or without --weights"),
        ("resnet18", "train one of these, or without --weights"),
    ],
)
def test_a_network_without_imagenet_weights_is_told_which_have_some(name: str, fix: str, home: Path) -> None:
    with pytest.raises(ModelError, match=f"there are no ImageNet weights for {name}") as caught:
        read_weights(find_network(name), "imagenet")
    assert "resnet" in caught.value.details[0]
    assert caught.value.fix == fix


def weights_file(path: Path, layers: dict[str, list[tuple[int, ...]]]) -> Path:
    """A file in the layout of tf_keras' save_weights, of arrays of ones."""
    import h5py

    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = list(layers)
        for name, shapes in layers.items():
            group = file.create_group(name)
            group.attrs["weight_names"] = [f"{name}/{number}" for number in range(len(shapes))]
            for number, shape in enumerate(shapes):
                group[f"{name}/{number}"] = np.ones(shape, np.float32)
    return path


def test_a_layer_without_the_weights_it_should_have_is_refused(tmp_path: Path) -> None:
    """Of a ResNet50V2 whose convolutions have no bias, say."""
    norm = [(64,)] * 4
    layers: dict[str, list[tuple[int, ...]]] = {"conv1_conv": [(7, 7, 3, 64)]}
    layers |= {f"conv2_block1_{part}_bn": norm for part in ("preact", "1", "2")}
    layers |= {f"conv2_block1_{number}_conv": [(1, 1, 64, 64)] for number in range(4)}
    with pytest.raises(ModelError, match="weights for another network"):
        read_weights(find_network("resnet50v2"), str(weights_file(tmp_path / "w.h5", layers)))


@pytest.mark.parametrize("name", ["resnet50", "resnet50v1", "resnet50v2", "vgg16", "resnet8"])
def test_a_file_of_another_application_is_refused(name: str, tmp_path: Path) -> None:
    path = weights_file(tmp_path / "w.h5", {"conv1/conv": [(7, 7, 3, 64)], "conv1_conv": [(7, 7, 3, 64)]})
    with pytest.raises(ModelError, match="weights for another network"):
        read_weights(find_network(name), str(path))


def test_a_file_without_its_head_leaves_the_head_new(tmp_path: Path) -> None:
    layers: dict[str, list[tuple[int, ...]]] = {"fc1": [(64, 512), (512,)], "fc2": [(512, 512), (512,)]}
    channels = 3
    for block, (count, filters) in enumerate([(2, 8), (2, 16), (3, 32), (3, 64), (3, 64)], start=1):
        for index in range(1, count + 1):
            layers[f"block{block}_conv{index}"] = [(3, 3, channels, filters), (filters,)]
            channels = filters
    path = weights_file(tmp_path / "vgg16_notop.h5", layers)
    network = find_network("vgg16")
    model = network.build(width=0.125, classes=7, input_size=32)
    loaded = load_weights(model, network, str(path))
    assert loaded.new_layers == ("logits",)
    assert loaded.contract == named("caffe", height=32, width=32)
    assert (model.get_layer("stage5_conv3").get_weights()[0] == 1).all()
