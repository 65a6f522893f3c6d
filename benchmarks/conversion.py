"""Keras to int8 for ResNet-50 at 224x224, three ways, each in a fresh process: seconds, peak memory, the file it makes.

    python -m benchmarks.conversion [--rounds 6] [--images 100]

    edgeres      exported as a SavedModel, calibrated by our loop, quantized by the LiteRT Quantizer
    tensorflow   `TFLiteConverter.from_keras_model` with the images as representative data set
    keras3       the network in Keras 3: `from_keras_model`, then the LiteRT Quantizer with its own calibration

Each starts from the model in memory and ends with the bytes of a full-integer flatbuffer. The networks have the same
random weights, and statistics and biases as training leaves them (of an untrained network all biases are equal). The
files are timed, and compared on images that calibration did not see by the noise in their scores beside the float
flatbuffer's.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.paired import save
from edgeres.records import encode
from targets.latency import Protocol, measure
from targets.runtimes.cpu import CPU
from targets.stats import median_ratio

SHAPE = (1, 224, 224, 3)
HELD_OUT = 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--way", choices=WAYS, help="run one way in this process (used by the benchmark itself)")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if options.way:
        print(json.dumps(_one(options.way, options.images, options.out)))
        return
    with tempfile.TemporaryDirectory() as folder:
        runs = _rounds(options, Path(folder))
        files = {way: (Path(folder) / f"{way}.tflite").read_bytes() for way in (*WAYS, "float32")}
    save("conversion", {"images": options.images, "runs": runs, **_summary(runs), **_files(files)})


def _rounds(options: argparse.Namespace, folder: Path) -> dict[str, list[dict[str, float]]]:
    """Every way once in each round, in random order."""
    runs: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    order, random = list(WAYS), Random(0)
    for number in range(options.rounds):
        random.shuffle(order)
        for way in order:
            command = ["-m", "benchmarks.conversion", "--way", way, "--images", str(options.images)]
            command += ["--out", str(folder / f"{way}.tflite")]
            found = subprocess.run([sys.executable, *command], check=True, capture_output=True, text=True)
            runs[way].append(json.loads(found.stdout.splitlines()[-1]))
            print(f"round {number + 1}/{options.rounds}: {way}: {runs[way][-1]}", flush=True)
    return runs


def _one(way: str, count: int, out: Path) -> dict[str, float]:
    """Convert once: seconds, and the peak of resident memory in bytes from the model in memory on."""
    random = np.random.default_rng(1)
    images = [random.uniform(0, 255, SHAPE).astype(np.float32) for _ in range(count)]
    model = _network() if way != "keras3" else _keras3_network()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    content = WAYS[way](model, images)
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    out.write_bytes(content)
    if way == "edgeres":
        from converters.export import to_flatbuffer

        out.with_name("float32.tflite").write_bytes(to_flatbuffer(model))
    return {"seconds": round(seconds, 3), "peak_bytes": peak << 10, "before_bytes": before << 10}


def _network() -> Any:
    """ResNet-50 as Keras 2 has it, its weights random, its statistics and biases those of no particular training."""
    import tf_keras

    model = tf_keras.applications.ResNet50(weights=None)
    _randomize(model)
    return model


def _keras3_network() -> Any:
    import keras

    model = keras.applications.ResNet50(weights=None)
    _randomize(model)
    return model


def _randomize(model: Any) -> None:
    """The same weights in either generation: both list them in one order."""
    random = np.random.default_rng(0)

    def drawn(weight: NDArray[np.float32], path: str) -> NDArray[np.float32]:
        if weight.ndim > 1:
            return random.normal(0, math.sqrt(2 / math.prod(weight.shape[:-1])), weight.shape)
        if "variance" in path or "gamma" in path:
            return random.uniform(0.5, 1.5, weight.shape)
        return random.normal(0, 0.1, weight.shape)

    names = [getattr(weight, "path", weight.name) for weight in model.weights]
    model.set_weights([drawn(weight, name) for weight, name in zip(model.get_weights(), names, strict=True)])


def _edgeres(model: Any, images: list[NDArray[np.float32]]) -> bytes:
    from converters.export import to_flatbuffer
    from converters.quantization.post_training import quantize

    return quantize(to_flatbuffer(model), "int8", images=images)


def _tensorflow(model: Any, images: list[NDArray[np.float32]]) -> bytes:
    import tensorflow as tf

    def representative() -> Iterator[list[NDArray[np.float32]]]:
        yield from ([image] for image in images)

    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = representative
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    return bytes(converter.convert())


def _keras3(model: Any, images: list[NDArray[np.float32]]) -> bytes:
    import tensorflow as tf
    from ai_edge_litert.interpreter import Interpreter
    from litert_quantizer import quantizer, recipe

    content = tf.lite.TFLiteConverter.from_keras_model(model).convert()
    (name,) = Interpreter(model_content=content).get_signature_list()["serving_default"]["inputs"]
    work = quantizer.Quantizer(bytearray(content), recipe.static_wi8_ai8())
    seen = work.calibrate({"serving_default": [{name: image} for image in images]})
    return bytes(work.quantize(seen).quantized_model)


WAYS: dict[str, Callable[[Any, list[NDArray[np.float32]]], bytes]] = {
    "edgeres": _edgeres,
    "tensorflow": _tensorflow,
    "keras3": _keras3,
}


def _summary(runs: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    """Seconds of the other ways ÷ ours, round by round; the medians of the peaks."""
    faster = {}
    for way in ("tensorflow", "keras3"):
        pairs = zip(runs[way], runs["edgeres"], strict=True)
        ratio = median_ratio([math.log(theirs["seconds"] / own["seconds"]) for theirs, own in pairs])
        print(f"edgeres is {ratio.value:.2f}x [{ratio.low:.2f}, {ratio.high:.2f}] as fast as {way}")
        faster[way] = encode(ratio)
    peaks = {way: statistics.median(run["peak_bytes"] for run in found) for way, found in runs.items()}
    print("peak memory:", {way: f"{peak / 2**20:.0f} MiB" for way, peak in peaks.items()})
    return {"faster_than": faster, "peak_bytes": peaks}


def _files(files: dict[str, bytes]) -> dict[str, Any]:
    """Size, signal to quantization noise of the scores in dB, and latency of the int8 files against TensorFlow's."""
    random = np.random.default_rng(2)
    images = random.uniform(0, 255, (HELD_OUT, *SHAPE[1:])).astype(np.float32)
    sessions = {way: CPU.open(content) for way, content in files.items()}
    try:
        scores = {way: session.infer(images) for way, session in sessions.items()}
        reference = scores["float32"]
        sqnr = {
            way: float(10 * np.log10((reference**2).sum() / ((scores[way] - reference) ** 2).sum())) for way in WAYS
        }
        order = ["tensorflow", "edgeres", "keras3"]
        latencies = measure([sessions[way] for way in order], Protocol(), baseline=0)
    finally:
        for session in sessions.values():
            session.close()
    sizes = {way: len(content) for way, content in files.items()}
    speed = {way: encode(found.speedup) for way, found in zip(order[1:], latencies[1:], strict=True)}
    print(f"bytes: {sizes}; SQNR, dB: {sqnr}; speed against TensorFlow's file: {speed}")
    return {"size_bytes": sizes, "sqnr_db": sqnr, "speedup_over_tensorflow": speed}


if __name__ == "__main__":
    main()
