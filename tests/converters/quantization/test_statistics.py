from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from litert_quantizer import recipe, recipe_manager
from litert_quantizer.calibrator import Calibrator
from litert_quantizer.utils import qsv_utils
from numpy.typing import NDArray

from converters.quantization.histogram import BINS, Counter
from converters.quantization.observer import Observer
from converters.quantization.ranges import ranges
from converters.quantization.statistics import Statistics, collect, decoded
from edgeres.errors import DataError, ModelError
from targets.flatbuffer import walk
from targets.runtimes.cpu import CPU
from tests.targets.forge import forge
from tests.trained import Bundles

IMAGES = [np.random.default_rng(seed).uniform(0, 255, (1, 32, 32, 3)).astype(np.float32) for seed in range(6)]


@pytest.fixture(scope="module")
def model(bundles: Bundles) -> bytes:
    return bundles("float32").read("model.tflite")


@pytest.fixture(scope="module")
def found(model: bytes) -> Statistics:
    return collect(model, IMAGES)


def test_every_activation_is_shown_and_the_output_is_the_models(model: bytes) -> None:
    observer = Observer(model, threads=1)
    shown: dict[int, NDArray[np.float32]] = {}
    observer.run(IMAGES[0], lambda place, values: shown.update({place: values.copy()}))
    graph = walk(model).main
    assert len(shown) == len(observer.names) == 1 + len(graph.operators)
    np.testing.assert_array_equal(shown[0], IMAGES[0])
    assert all(shown[place].ndim == rank for place, rank in enumerate(observer.ranks))
    with CPU.open(model) as session:
        np.testing.assert_allclose(observer.scores()[None], session.infer(IMAGES[0]), rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(shown[len(shown) - 1][0], observer.scores())


@pytest.mark.parametrize(
    ("method", "update"), [("min-max", qsv_utils.min_max_update), ("moving-average", qsv_utils.moving_average_update)]
)
def test_ranges_are_those_of_the_library(model: bytes, found: Statistics, method: str, update: object) -> None:
    rules = recipe_manager.RecipeManager()
    rules.load_quantization_recipe(recipe.static_wi8_ai8())
    calibrator = Calibrator(model, num_threads=1, qsv_update_func=update)
    calibrator.calibrate({"serving_default": [{"image": image} for image in IMAGES]}, rules)
    theirs = calibrator.get_model_qsvs()
    ours = ranges(found, method)  # type: ignore[arg-type]
    shared = set(theirs) & set(ours)
    assert len(shared) >= len(ours) - 1
    for name in shared:
        expected = [theirs[name]["min"].item(), theirs[name]["max"].item()]
        np.testing.assert_allclose(ours[name], expected, rtol=1e-3, atol=1e-3 * (expected[1] - expected[0]))


def test_the_least_squared_error_clips_a_rare_peak_but_not_an_output() -> None:
    random = np.random.default_rng(0)
    counter = Counter()
    counter.add(random.normal(0, 1, 100_000).astype(np.float32), 20)
    counter.add(np.array([20], np.float32), 20)
    seen = np.array([[-5.0]], np.float32), np.array([[20.0]], np.float32)
    histogram, peaks = counter.found(), np.ones(1, np.float32)
    scores, thumbnails = np.zeros((1, 2), np.float32), np.zeros((1, 4, 4, 3), np.float32)
    statistics = Statistics(("x",), (4,), *seen, (histogram,), (peaks,), scores, thumbnails)
    low, high = ranges(statistics, "mse")["x"]
    assert high < 18
    assert low / high == pytest.approx(-5 / 20)
    assert ranges(statistics, "mse", outputs={"x"})["x"] == (-5, 20)


def test_what_is_stored_is_what_was_seen(found: Statistics) -> None:
    again = decoded(found.encoded())
    assert (again.names, again.ranks, again.images) == (found.names, found.ranks, len(IMAGES))
    for ours, theirs in zip(found.peaks, again.peaks, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    for one, other in zip(found.histograms, again.histograms, strict=True):
        np.testing.assert_array_equal(one.counts, other.counts)
        assert one.radius == other.radius
    assert ranges(again, "mse") == ranges(found, "mse")


def test_peaks_are_of_each_channel(model: bytes, found: Statistics) -> None:
    channels = [np.abs(np.stack(IMAGES)[..., channel]).max() for channel in range(3)]
    np.testing.assert_allclose(found.peaks[0], channels)
    assert found.peaks[-1].shape == found.scores.shape[1:]


def test_a_histogram_grows_and_keeps_what_it_counted() -> None:
    random = np.random.default_rng(1)
    narrow, wide = random.uniform(-1, 1, 1000), random.uniform(-90, 90, 500)
    counter = Counter()
    for values in (narrow, wide):
        counter.add(values.astype(np.float32), float(np.abs(values).max()))
    found = counter.found()
    assert found.counts.sum() == 1500
    assert found.radius == 128
    everything = np.concatenate([narrow, wide])
    expected, _ = np.histogram(everything, BINS, (-128, 128))
    assert np.abs(found.counts - expected).sum() <= 4, "a value on a border may fall to either side"
    assert found.outside(-50, 50) == pytest.approx(np.mean(np.abs(everything) > 50), abs=0.005)
    low, high = found.central(0.9)
    np.testing.assert_allclose([low, high], np.quantile(everything, [0.05, 0.95]), atol=0.5)


def test_no_image_is_an_error(model: bytes) -> None:
    with pytest.raises(DataError, match="no images to calibrate with"):
        collect(model, [])


def test_an_input_that_is_not_a_number_is_an_error(model: bytes) -> None:
    with pytest.raises(DataError, match="input 2 of calibration is not a number everywhere"):
        collect(model, [IMAGES[0], np.full((1, 32, 32, 3), np.inf, np.float32)])


def test_an_activation_that_is_not_a_number_is_an_error(model: bytes) -> None:
    graph = walk(model).main
    bias = graph.tensors[graph.operators[0].inputs[2]].buffer

    def spoil(content: Any) -> None:
        content.buffers[bias].data = np.full(len(content.buffers[bias].data) // 4, np.nan, np.float32).view(np.uint8)

    with pytest.raises(ModelError, match=r"the activation '.*stem_conv.*' is not a number"):
        collect(forge(model, spoil), IMAGES[:1])
