from __future__ import annotations

import numpy as np
import pytest

from targets.scaling import dequantize, quantize


def test_float_passes_unchanged() -> None:
    values = np.array([[0.1, -3e30]], np.float32)
    assert np.array_equal(quantize(values, "float32", scale=0, zero_point=0), values)
    assert np.array_equal(dequantize(values, scale=0, zero_point=0), values)


def test_halves_are_rounded_to_even_and_what_is_too_large_is_clipped() -> None:
    values = np.array([0.25, 0.75, -0.25, 100, -100, 3e38], np.float32)
    found = quantize(values, "int8", scale=0.5, zero_point=3)
    assert found.dtype == np.int8
    assert found.tolist() == [3, 5, 3, 127, -128, 127]


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16"])
def test_every_stored_value_survives_the_way_there_and_back(dtype: str) -> None:
    bounds = np.iinfo(dtype)
    stored = np.arange(bounds.min, bounds.max + 1).astype(dtype)
    values = dequantize(stored, scale=0.0123, zero_point=7)
    assert values.dtype == np.float32
    assert np.array_equal(quantize(values, dtype, scale=0.0123, zero_point=7), stored)


def test_an_integer_type_without_a_scale_holds_the_values_themselves() -> None:
    assert quantize(np.array([0, 254.6], np.float32), "uint8", scale=0, zero_point=0).tolist() == [0, 255]
    assert dequantize(np.array([255], np.uint8), scale=0, zero_point=0).tolist() == [255]
