from __future__ import annotations

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from targets.flatbuffer import walk
from targets.runtimes.cpu import REFERENCE
from targets.runtimes.plain import plain
from tests.targets.conftest import Models


def test_weights_come_inside_aligned_and_the_model_computes_the_same(models: Models) -> None:
    before = models("buffer_offset")
    after = plain(before)
    assert walk(before).behind_bytes > 0
    assert walk(after).behind_bytes == 0
    assert walk(after).parameter_bytes == walk(before).parameter_bytes
    start = np.frombuffer(after, np.uint8).ctypes.data
    whole = schema.Model.GetRootAs(after)
    stored = [whole.Buffers(place) for place in range(whole.BuffersLength())]
    places = [buffer.DataAsNumpy().ctypes.data - start for buffer in stored if buffer.DataLength()]
    assert places
    assert all(place % 16 == 0 for place in places)
    images = np.random.default_rng(0).uniform(0, 255, (3, *walk(before).inputs[0].shape[1:])).astype(np.float32)
    with REFERENCE.open(before) as one, REFERENCE.open(after) as other:
        np.testing.assert_array_equal(one.infer(images), other.infer(images))


def test_a_file_that_is_plain_is_left_as_it_is(models: Models) -> None:
    inside = models("float32")
    assert plain(inside) is inside
    made = plain(models("buffer_offset"))
    assert plain(made) is made
