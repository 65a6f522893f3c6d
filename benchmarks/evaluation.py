"""How much of a machine `evaluate` uses: images a second beside a loop that takes one image after the other.

    python -m benchmarks.evaluation [--images 1000] [--pairs 6]

The loop is what one would write: decode, preprocess, invoke, one image at a time on one thread of the same interpreter.
The other side is `targets.evaluation.evaluate`, from opening the model to the finished result. On JPEG files made
for it, 400x300 for the ResNet-50 and 32x32 for the ResNet-20. Memory is the peak of this process for as many images and
for four times as many.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from PIL import Image

from benchmarks.applications import images
from benchmarks.paired import compare, record, save
from converters.export import to_flatbuffer
from converters.keras_artifact import float_artifact
from converters.quantization.post_training import quantize
from edgeres.data import open_dataset
from edgeres.data.dataset import Dataset
from edgeres.keras_file import read_keras_file
from edgeres.models import find_network
from edgeres.preprocess import Preprocess
from targets.artifact import Artifact
from targets.environment import usable_cores
from targets.evaluation import Evaluation, evaluate
from targets.memory import reset_peak, resident
from targets.scaling import quantize as stored

TRAINED = Path("tests/assets/resnet20-cifar10/model.keras")
CLASSES, LONGER = 10, 4


@dataclass(frozen=True)
class Case:
    """A model, the size of the files that it is shown, and how many of the images it is given."""

    artifact: Artifact
    size: tuple[int, int]
    share: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--pairs", type=int, default=6)
    options = parser.parse_args()
    figures = {}
    for name, case in cases().items():
        with tempfile.TemporaryDirectory() as folder:
            count = max(32, round(options.images * case.share))
            data = open_dataset(write_files(Path(folder), count * LONGER, case.size))
            figures[name] = measured(name, case.artifact, data, count, options.pairs)
    save("evaluation", {"cores": usable_cores(), "models": figures})


def cases() -> dict[str, Case]:
    """ResNet-50 with random weights at 224x224 and the trained ResNet-20 at 32x32, in float32 and int8."""
    deep = to_flatbuffer(find_network("resnet50").build(classes=CLASSES))
    small = float_artifact(read_keras_file(TRAINED), None).model
    found = {}
    for name, model, side, size, shares in (
        ("resnet50", deep, 224, (400, 300), (0.5, 1)),
        ("resnet20", small, 32, (32, 32), (10, 10)),
    ):
        contract = Preprocess(side, side)
        pictures = [image[None] for image in images(4, side, seed=1)]
        for kind, content, share in zip(
            ("float32", "int8"), (model, quantize(model, "int8", images=pictures)), shares, strict=True
        ):
            artifact = Artifact(f"{name}-{kind}", f"{name}-{kind}", "tflite", content, preprocess=contract)
            found[artifact.name] = Case(artifact, size, share)
    return found


def write_files(folder: Path, count: int, size: tuple[int, int]) -> str:
    """JPEG files with a pattern and noise, `count` of each of the ten classes' test images together."""
    pictures = images(20, 32, seed=2).astype(np.uint8)
    for number in range(count):
        place = folder / "test" / f"class{number % CLASSES}"
        place.mkdir(parents=True, exist_ok=True)
        picture = Image.fromarray(pictures[number % len(pictures)]).resize(size, Image.Resampling.BICUBIC)
        picture.save(place / f"{number:06}.jpg", quality=90)
    for label in range(CLASSES):
        (folder / "train" / f"class{label}").mkdir(parents=True)
        for number in range(4):
            Image.new("RGB", size, (label, number, 0)).save(folder / "train" / f"class{label}" / f"{number}.png")
    return f"folder:{folder}"


def measured(name: str, artifact: Artifact, data: Dataset, count: int, pairs: int) -> dict[str, Any]:
    """Ours beside the loop, the share of the machine that is used, and memory."""
    data.split("test")  # every file has been looked at before either is timed
    found = compare(lambda: loop(artifact, data, count), lambda: _ours(artifact, data, count), pairs=pairs)
    seconds = statistics.median(found.fast_s)
    alone = statistics.median(found.slow_s)
    used = alone / seconds / usable_cores()
    invoke_s = loop(artifact, data, min(count, 100)) / min(count, 100)
    peaks = [_peak(artifact, data, number) for number in (count, LONGER * count)]
    ratio = found.ratio
    by_latency = count / seconds * invoke_s / usable_cores()
    print(f"{name}: {count / seconds:.1f} images/s, {ratio.value:.2f}x the loop [{ratio.low:.2f}, {ratio.high:.2f}]")
    print(f"  {used:.0%} of cores ÷ time of an image in the loop, {by_latency:.0%} of cores ÷ latency; ", end="")
    print(f"peak {peaks[0] >> 20} MiB, {peaks[1] >> 20} MiB for {LONGER} times as many")
    return {
        "images": count,
        "images_per_s": count / seconds,
        "share_of_cores": used,
        "invoke_ms": 1000 * invoke_s,
        "share_of_cores_by_latency": by_latency,
        "peak_bytes": peaks,
        **record(found),
    }


def _ours(artifact: Artifact, data: Dataset, count: int) -> None:
    evaluate([artifact], data, plan=Evaluation(images=count))


def loop(artifact: Artifact, data: Dataset, count: int) -> float:
    """Top-1 one image at a time; the seconds that were spent in the interpreter alone."""
    interpreter = Interpreter(model_content=artifact.model, num_threads=1)
    interpreter.allocate_tensors()
    given, scores = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    scale, zero_point = given["quantization"]
    contract, split, right, spent = artifact.require_preprocess(), data.split("test"), 0, 0.0
    for position in range(count):
        pixels = contract(split.read(position))
        interpreter.set_tensor(
            given["index"], stored(pixels[None], given["dtype"].__name__, scale=scale, zero_point=zero_point)
        )
        began = time.perf_counter()
        interpreter.invoke()
        spent += time.perf_counter() - began
        right += int(interpreter.get_tensor(scores["index"])[0].argmax() == split.classes[position])
    return spent


def _peak(artifact: Artifact, data: Dataset, count: int) -> int:
    reset_peak()
    _ours(artifact, data, count)
    return resident().peak_bytes


if __name__ == "__main__":
    main()
