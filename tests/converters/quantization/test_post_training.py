from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from converters.export import to_flatbuffer
from converters.quantization.post_training import quantize
from converters.recipe import typed_recipe
from edgeres.data import open_dataset
from edgeres.errors import ConfigError, DataError
from edgeres.models import find_network
from targets.flatbuffer import Description, describe, walk
from targets.graph import Graph
from targets.layer_names import WEIGHTED, layer_names
from targets.runtimes.cpu import CPU
from tests.trained import Bundles


def described(bundles: Bundles, recipe: str) -> Description:
    return describe(bundles(recipe).read("model.tflite"))


def test_float16_stores_half_and_computes_in_float(bundles: Bundles) -> None:
    whole, half = described(bundles, "float32"), described(bundles, "float16")
    assert half.constants["float16"] > 10 * half.constants.get("float32", 0)
    assert 0.45 < half.parameter_bytes / whole.parameter_bytes < 0.6
    assert half.inputs[0].dtype == half.outputs[0].dtype == "float32"


def test_dynamic_int8_stores_a_quarter_and_is_fed_floats(bundles: Bundles) -> None:
    whole, dynamic = described(bundles, "float32"), described(bundles, "dynamic-int8")
    assert max(dynamic.constants, key=lambda dtype: dynamic.constants[dtype]) == "int8"
    assert 0.2 < dynamic.parameter_bytes / whole.parameter_bytes < 0.35
    assert dynamic.inputs[0].dtype == dynamic.outputs[0].dtype == "float32"


def test_int8_is_int8_throughout_in_and_out(bundles: Bundles) -> None:
    whole, integer = described(bundles, "float32"), described(bundles, "int8")
    assert integer.inputs[0].dtype == integer.outputs[0].dtype == "int8"
    assert integer.inputs[0].scale
    assert {layer.dtype for layer in integer.layers} == {"int8"}
    assert set(integer.constants) <= {"int8", "int32"}
    assert 0.2 < integer.parameter_bytes / whole.parameter_bytes < 0.35


def test_weights_have_a_scale_for_each_channel(bundles: Bundles) -> None:
    graph = walk(bundles("int8").read("model.tflite"))
    kernels = [tensor for tensor in graph.main.tensors if tensor.constant_bytes and len(tensor.shape) == 4]
    assert len(kernels) == 9
    for kernel in kernels:
        assert len(kernel.scales) == kernel.shape[0]
        assert set(kernel.zero_points) == {0}


@pytest.mark.parametrize(("recipe", "least"), [("float16", 0.99), ("dynamic-int8", 0.95), ("int8", 0.95)])
def test_it_decides_as_the_float_model_does(bundles: Bundles, recipe: str, least: float) -> None:
    split = open_dataset("digits").split("test").head(100)
    bundle = bundles(recipe)
    inputs = np.stack([bundle.manifest.preprocess(content) for content, _ in split])
    chosen = []
    for name in ("float32", recipe):
        with CPU.open(bundles(name).read("model.tflite")) as session:
            chosen.append(session.infer(inputs).argmax(axis=1))
    assert np.mean(chosen[0] == chosen[1]) >= least


def test_equal_images_give_equal_bytes(bundles: Bundles) -> None:
    model = bundles("float32").read("model.tflite")
    random = np.random.default_rng(0)
    images = [random.uniform(0, 255, (1, 32, 32, 3)).astype(np.float32) for _ in range(4)]
    first = quantize(model, "int8", images=images)
    assert quantize(model, "int8", images=images) == first
    assert quantize(model, "int8", images=[image / 2 for image in images]) != first


def test_a_rare_bright_image_keeps_its_range(bundles: Bundles) -> None:
    model = bundles("float32").read("model.tflite")
    dull = np.full((1, 32, 32, 3), 10, np.float32)
    images = [np.full((1, 32, 32, 3), 255, np.float32), *[dull] * 60]
    whole, averaged = (walk(quantize(model, "int8", images=images, ranges=r)) for r in ("min-max", "moving-average"))
    assert whole.inputs[0].scales[0] * 255 == pytest.approx(255, rel=0.01)
    assert averaged.inputs[0].scales[0] * 255 < 50


def images(count: int = 4) -> list[NDArray[np.float32]]:
    return [np.random.default_rng(seed).uniform(0, 255, (1, 32, 32, 3)).astype(np.float32) for seed in range(count)]


def made(bundles: Bundles, mode: str, **settings: Any) -> Graph:
    return walk(quantize(bundles("float32").read("model.tflite"), mode, images=images(), **settings))


def kernels(graph: Graph) -> list[str]:
    return [graph.main.tensors[o.inputs[1]].dtype for o in graph.main.operators if o.kind in WEIGHTED]


def test_int16x8_has_int16_activations_and_int8_weights(bundles: Bundles) -> None:
    graph = made(bundles, "int16x8")
    assert graph.inputs[0].dtype == graph.outputs[0].dtype == "int16"
    assert set(kernels(graph)) == {"int8"}
    activations = {graph.main.tensors[i].dtype for o in graph.main.operators for i in o.outputs}
    assert activations == {"int16"}


@pytest.mark.parametrize("weights", ["min-max", "mse", "octav"])
def test_int4_has_half_of_int8s_weights(bundles: Bundles, weights: str) -> None:
    narrow, wide = made(bundles, "int4", weights=weights), made(bundles, "int8")
    assert set(kernels(narrow)) == {"int4"}
    assert narrow.inputs[0].dtype == narrow.outputs[0].dtype == "int8"
    assert narrow.parameter_bytes < 0.6 * wide.parameter_bytes


@pytest.mark.parametrize(("io", "mode"), [("uint8", "int8"), ("float32", "int8"), ("float32", "int16x8")])
def test_the_ends_have_the_type_that_is_asked_for(bundles: Bundles, io: str, mode: str) -> None:
    graph = made(bundles, mode, io=io)
    assert graph.inputs[0].dtype == graph.outputs[0].dtype == io
    assert set(kernels(graph)) == {"int8"}


def test_weights_of_one_scale_for_targets_that_need_it(bundles: Bundles) -> None:
    graph = made(bundles, "int8", granularity="tensor")
    scales = [len(graph.main.tensors[o.inputs[1]].scales) for o in graph.main.operators if o.kind in WEIGHTED]
    assert set(scales) == {1}


def test_chosen_layers_keep_a_precision_of_their_own(bundles: Bundles) -> None:
    layers = {"stage1_block0_conv1": "float32", "stage2_*": "int16x8", "logits": "int4"}
    graph = made(bundles, "int8", layers=layers)
    operators = zip(layer_names(graph.main), graph.main.operators, strict=True)
    found = {layer: operator for layer, operator in operators if operator.kind in WEIGHTED}

    def types(layer: str) -> tuple[str, str]:
        tensors, operator = graph.main.tensors, found[layer]
        return tensors[operator.inputs[0]].dtype, tensors[operator.inputs[1]].dtype

    assert types("stage1_block0_conv1") == ("float32", "float32")
    assert types("stage2_block0_conv1") == ("int16", "int8")
    assert types("logits") == ("int8", "int4")
    assert types("stage3_block0_conv1") == ("int8", "int8")


def test_a_pattern_that_no_layer_has_is_an_error_with_the_nearest(bundles: Bundles) -> None:
    with pytest.raises(ConfigError, match="no layer is named 'stage1_block0_conf1'") as caught:
        made(bundles, "int8", layers={"stage1_block0_conf1": "float32"})
    assert "stage1_block0_conv1" in str(caught.value.fix)


def test_integers_without_an_image_are_an_error(bundles: Bundles) -> None:
    with pytest.raises(DataError, match="no images"):
        quantize(bundles("float32").read("model.tflite"), "int8")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mode": "float16", "weights": "mse"}, "weights means nothing with the mode float16"),
        ({"mode": "dynamic-int8", "io": "uint8", "layers": {"a": "int8"}}, "io, layers means nothing"),
        ({"mode": "int16x8", "io": "uint8"}, "int16 activations cannot come from uint8 pixels"),
        ({"mode": "dynamic-int8", "weights": "gptq"}, "gptq needs calibration images"),
        ({"mode": "int4", "weights": "gptq", "granularity": "tensor"}, "gptq rounds channel by channel"),
    ],
)
def test_settings_that_mean_nothing_together_are_errors(settings: dict[str, Any], message: str) -> None:
    steps = [{"step": "export"}, {"step": "quantize", **settings}]
    with pytest.raises(ConfigError, match=message):
        typed_recipe({"name": "odd", "steps": steps}, where="odd.yaml")


@pytest.mark.parametrize("mode", ["int8", "dynamic-int8", "float16"])
def test_weights_of_a_larger_network_lie_inside_where_every_runtime_reads_them(mode: str) -> None:
    whole = to_flatbuffer(find_network("plain20").build(classes=10))
    images = [np.random.default_rng(0).uniform(0, 255, (1, 32, 32, 3)).astype(np.float32)]
    graph = walk(quantize(whole, mode, images=images))
    assert graph.size_bytes > 1 << 18  # smaller ones are written so by the quantizer itself
    assert graph.behind_bytes == 0
