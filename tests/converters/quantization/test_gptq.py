from __future__ import annotations

import logging
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from converters.quantization import gptq
from converters.quantization.gptq import on_grid, rounded
from converters.quantization.patches import Window, patches, window
from converters.quantization.post_training import quantized
from converters.quantization.statistics import collect
from converters.steps import QuantizeStep
from targets.flatbuffer import walk
from targets.layer_names import layer_names
from tests.trained import Bundles

STEP = QuantizeStep(step="quantize", mode="int4", weights="gptq")
RANDOM = np.random.default_rng(0)
IMAGES = [RANDOM.uniform(0, 255, (1, 32, 32, 3)).astype(np.float32) for _ in range(6)]


@pytest.fixture(scope="module")
def model(bundles: Bundles) -> bytes:
    return bundles("float32").read("model.tflite")


def kernels(content: bytes) -> dict[str, NDArray[np.float32]]:
    """Layer -> its weights as numbers, whatever they are stored in."""
    graph = walk(content).main
    plain = Interpreter(model_content=content)
    plain.allocate_tensors()
    found = {}
    for operator, layer in zip(graph.operators, layer_names(graph), strict=True):
        if operator.kind in ("CONV_2D", "FULLY_CONNECTED"):
            tensor = graph.tensors[operator.inputs[1]]
            values = plain.get_tensor(operator.inputs[1])
            if tensor.dtype == "int4":  # two in a byte, the lower half first
                packed = values.ravel().astype(np.uint8)
                if packed.size < np.prod(tensor.shape):
                    packed = np.stack([packed & 15, packed >> 4], axis=1).ravel()[: np.prod(tensor.shape)]
                values = ((packed.astype(np.int8) & 15) ^ 8) - 8
            values = values.reshape(tensor.shape).astype(np.float32)
            scales = np.reshape(tensor.scales or 1.0, (-1, *[1] * (values.ndim - 1)))
            found[layer] = values * scales.astype(np.float32)
    return found


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize(
    ("kernel", "strides", "dilations"), [((3, 3), 1, 1), ((3, 2), 2, 1), ((1, 1), 2, 1), ((3, 3), 1, 2)]
)
def test_patches_times_weights_are_the_convolution(
    padding: str, kernel: tuple[int, int], strides: int, dilations: int
) -> None:
    image = RANDOM.normal(size=(1, 13, 12, 4)).astype(np.float32)
    weights = RANDOM.normal(size=(5, *kernel, 4)).astype(np.float32)
    expected = tf.nn.conv2d(image, weights.transpose(1, 2, 3, 0), strides, padding, dilations=dilations).numpy()
    looks = Window(kernel, (strides, strides), (dilations, dilations), padding == "SAME")
    found = patches(image, looks) @ weights.reshape(5, -1).T
    np.testing.assert_allclose(found, expected.reshape(-1, 5), atol=1e-4)


def test_of_many_positions_some_are_taken() -> None:
    found = patches(RANDOM.normal(size=(1, 56, 56, 2)).astype(np.float32), Window((3, 3), (1, 1), (1, 1), True))
    assert 128 <= len(found) <= 256


def test_a_window_is_read_off_the_operator() -> None:
    options = SimpleNamespace(strideH=2, strideW=1, dilationHFactor=1, dilationWFactor=3, padding=1)
    found = window(SimpleNamespace(builtinOptions=options), (8, 5, 7, 3))
    assert found == Window((5, 7), (2, 1), (1, 3), same=False)


@pytest.mark.parametrize(("levels", "inputs"), [(7, 40), (7, 300), (127, 40)])
def test_rounding_one_after_the_other_errs_less_than_to_the_nearest(levels: int, inputs: int) -> None:
    mixed = RANDOM.normal(size=(inputs, inputs)) * np.geomspace(1, 0.05, inputs)
    seen = RANDOM.normal(size=(4000, inputs)) @ mixed  # correlated, as activations are
    weights = RANDOM.normal(size=(6, inputs)).astype(np.float32)
    found = on_grid(weights, seen.T @ seen, levels)
    step = np.abs(found).max(axis=1, keepdims=True) / levels
    np.testing.assert_allclose(found / step, np.round(found / step), atol=1e-3)
    whole = np.abs(weights).max(axis=1, keepdims=True) / levels
    nearest = np.round(weights / whole) * whole
    errors = [float(np.mean((seen @ (weights - each).T) ** 2)) for each in (found, nearest)]
    assert errors[0] < 0.6 * errors[1]


def test_an_input_that_is_always_zero_does_no_harm() -> None:
    seen = RANDOM.normal(size=(100, 8))
    seen[:, 3] = 0
    assert np.isfinite(on_grid(RANDOM.normal(size=(2, 8)).astype(np.float32), seen.T @ seen, 7)).all()


def test_the_quantizer_takes_the_grid_as_it_is(model: bytes) -> None:
    prepared = rounded(model, STEP, IMAGES)
    whole, stored = kernels(prepared), kernels(quantized(prepared, STEP, collect(model, IMAGES)))
    assert set(whole) == set(stored)
    assert len(whole) == 10
    for layer, values in whole.items():
        np.testing.assert_allclose(stored[layer], values, atol=1e-3 * np.abs(values).max())


def test_layers_that_stay_float_keep_their_weights(model: bytes) -> None:
    chosen = STEP.model_copy(update={"layers": {"stem_conv": "float32"}})
    before, after = kernels(model), kernels(rounded(model, chosen, IMAGES))
    np.testing.assert_array_equal(before["stem_conv"], after["stem_conv"])
    assert not np.array_equal(before["logits"], after["logits"])


def test_a_layer_with_too_many_inputs_is_told(
    model: bytes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(gptq, "MOST_INPUTS", 100)
    with caplog.at_level(logging.WARNING):
        after = kernels(rounded(model, STEP, IMAGES))
    assert "stage2_block0_conv2 has" in caplog.text
    assert "weights a channel, too many for gptq: rounded to the nearest" in caplog.text
    before = kernels(model)
    np.testing.assert_array_equal(before["stage2_block0_conv2"], after["stage2_block0_conv2"])
    assert not np.array_equal(before["stem_conv"], after["stem_conv"])
