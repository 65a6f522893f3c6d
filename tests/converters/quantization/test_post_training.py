from __future__ import annotations

import numpy as np
import pytest

from converters.quantization.post_training import quantize
from edgeres.data import open_dataset
from targets.flatbuffer import Description, describe, walk
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
