"""Calibration of a ResNet-50 at 224x224: ours, which shows all activations, against the LiteRT Quantizer's own loop.

    python -m benchmarks.calibration [--images 20] [--pairs 6]

Both give the extremes of every activation of the same float flatbuffer on the same images; ours its histograms and the
peaks of its channels as well. The cost is proportional to the images, so that few of them tell what 500 cost.
"""

from __future__ import annotations

import argparse
import os

import numpy as np
from litert_quantizer import recipe, recipe_manager
from litert_quantizer.calibrator import CalibrationMode, Calibrator

from benchmarks.paired import compare, record, save
from converters.export import to_flatbuffer
from converters.quantization.statistics import collect
from edgeres.models import find_network
from edgeres.native_output import muted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=20)
    parser.add_argument("--pairs", type=int, default=6)
    options = parser.parse_args()

    model = to_flatbuffer(find_network("resnet50").build())
    random = np.random.default_rng(0)
    images = [random.uniform(0, 255, (1, 224, 224, 3)).astype(np.float32) for _ in range(options.images)]

    def theirs(mode: CalibrationMode) -> None:
        rules = recipe_manager.RecipeManager()
        rules.load_quantization_recipe(recipe.static_wi8_ai8())
        with muted():
            calibrator = Calibrator(model, num_threads=os.cpu_count() or 1, mode=mode)
            calibrator.calibrate({"serving_default": [{"image": image} for image in images]}, rules)

    figures = {}
    for name, mode in (
        ("default", CalibrationMode.CALIBRATION_PRESERVE_ALL_TENSORS),
        ("profiler", CalibrationMode.CALIBRATION_PROFILER_BASED),
    ):
        found = compare(lambda mode=mode: theirs(mode), lambda: collect(model, images), pairs=options.pairs)
        ratio = found.ratio
        print(f"ours is {ratio.value:.2f}x as fast as the {name} loop [{ratio.low:.2f}, {ratio.high:.2f}]")
        figures[name] = record(found)
    save("calibration", {"images": options.images, "library_against_ours": figures})


if __name__ == "__main__":
    main()
