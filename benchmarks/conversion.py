"""Keras to int8 for ResNet-50 at 224x224, three ways, each in a fresh process: seconds, peak memory, the file it makes.

    python -m benchmarks.conversion [--rounds 6] [--images 100]

    edgeres      exported as a SavedModel, calibrated by our loop, quantized by the LiteRT Quantizer
    tensorflow   `TFLiteConverter.from_keras_model` with the images as representative data set
    keras3       the network in Keras 3: `from_keras_model`, then the LiteRT Quantizer with its own calibration

Each starts from the model in memory and ends with the bytes of a full-integer flatbuffer. The networks have the same
random weights, with the statistics of random pictures in their batch norms. The files are timed, and compared on
pictures that calibration did not see by the noise in their scores beside the float flatbuffer's.
"""

from __future__ import annotations

import argparse
import importlib
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

from benchmarks.applications import images, plausible
from benchmarks.paired import save
from edgeres.records import encode
from targets.latency import Protocol, measure
from targets.runtimes.cpu import CPU
from targets.stats import median_ratio

SIDE, CLASSES, HELD_OUT = 224, 1000, 32
WEIGHTS = "weights.npz"


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
        _write_weights(Path(folder))
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
    """Convert once: seconds, and the peak of the process' resident memory in bytes."""
    calibration = [image[None] for image in images(count, SIDE, seed=1)]
    model = _network(way, out.parent)
    started = time.perf_counter()
    content = WAYS[way](model, calibration)
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    out.write_bytes(content)
    if way == "edgeres":
        from converters.export import to_flatbuffer

        out.with_name("float32.tflite").write_bytes(to_flatbuffer(model))
    return {"seconds": round(seconds, 3), "peak_bytes": peak << 10}


def _write_weights(folder: Path) -> None:
    """Weights with which activations have plausible ranges, in the order in which both generations list them."""
    import tf_keras

    weights = plausible(tf_keras, "ResNet50", SIDE, classes=CLASSES).get_weights()
    np.savez(folder / WEIGHTS, *weights)


def _network(way: str, folder: Path) -> Any:
    """ResNet-50 of `keras.applications`, of the generation that the way takes."""
    applications = importlib.import_module("keras" if way == "keras3" else "tf_keras").applications
    model = applications.ResNet50(weights=None, classes=CLASSES, classifier_activation=None)
    with np.load(folder / WEIGHTS) as stored:
        model.set_weights([stored[name] for name in stored.files])
    return model


def _edgeres(model: Any, pictures: list[NDArray[np.float32]]) -> bytes:
    from converters.export import to_flatbuffer
    from converters.quantization.post_training import quantize

    return quantize(to_flatbuffer(model), "int8", images=pictures)


def _tensorflow(model: Any, pictures: list[NDArray[np.float32]]) -> bytes:
    import tensorflow as tf

    def representative() -> Iterator[list[NDArray[np.float32]]]:
        yield from ([image] for image in pictures)

    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = representative
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    return bytes(converter.convert())


def _keras3(model: Any, pictures: list[NDArray[np.float32]]) -> bytes:
    import tensorflow as tf
    from ai_edge_litert.interpreter import Interpreter
    from litert_quantizer import quantizer, recipe

    content = tf.lite.TFLiteConverter.from_keras_model(model).convert()
    (name,) = Interpreter(model_content=content).get_signature_list()["serving_default"]["inputs"]
    work = quantizer.Quantizer(bytearray(content), recipe.static_wi8_ai8())
    seen = work.calibrate({"serving_default": [{name: image} for image in pictures]})
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
    held_out = images(HELD_OUT, SIDE, seed=2)
    sessions = {way: CPU.open(content) for way, content in files.items()}
    try:
        scores = {way: session.infer(held_out) for way, session in sessions.items()}
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
