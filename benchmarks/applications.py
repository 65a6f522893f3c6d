"""Networks of `keras.applications`, of both generations: opened, rebuilt, converted to float32 and int8, compared.

    python -m benchmarks.applications [--resume] [--only NAME …]

Weights are random, with batch norm statistics of random images, so that activations have plausible ranges. One process
a model; `benchmarks/results/applications.json` is written after each, and --resume skips what is in it.
"""

from __future__ import annotations

import argparse
import importlib
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

NETWORKS = {
    "ResNet50": 64, "ResNet101": 64, "ResNet152": 64, "ResNet50V2": 64, "ResNet101V2": 64, "ResNet152V2": 64,
    "VGG16": 64, "VGG19": 64, "DenseNet121": 64, "DenseNet169": 64, "DenseNet201": 64,
    "MobileNet": 96, "MobileNetV2": 96, "MobileNetV3Small": 96, "MobileNetV3Large": 96,
    "EfficientNetB0": 96, "EfficientNetV2B0": 96, "InceptionV3": 96, "InceptionResNetV2": 96, "Xception": 96,
    "NASNetMobile": 96, "ConvNeXtTiny": 64,
}  # fmt: skip
"""Name -> height and width of the input: small, because what is compared does not depend on it."""

RESULTS = Path(__file__).parent / "results" / "applications.json"
GENERATIONS = {"tf_keras": ".h5", "keras": ".keras"}
CLASSES, CALIBRATION, TEST = 100, 8, 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--only", nargs="*", choices=sorted(NETWORKS), default=list(NETWORKS))
    parser.add_argument("--table", action="store_true", help="only print what is in the results")
    parser.add_argument("--measure", nargs=2, metavar=("KERAS", "NAME"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(*options.measure)))
        return
    if options.table:
        print(table(json.loads(RESULTS.read_text())["models"]))
        return
    found = json.loads(RESULTS.read_text())["models"] if options.resume and RESULTS.is_file() else []
    done = {(row["keras"], row["name"]) for row in found}
    for name in options.only:
        for keras in GENERATIONS:
            if (keras, name) not in done:
                found.append(_in_a_process(keras, name))
                RESULTS.write_text(json.dumps({"schema": "edgeres.benchmark/1", "models": found}, indent=1) + "\n")
                print(_line(found[-1]), flush=True)
    print(table(found))


def _in_a_process(keras: str, name: str) -> dict[str, Any]:
    """One model; a process that dies is a failure of that model alone."""
    command = [sys.executable, "-m", "benchmarks.applications", "--measure", keras, name]
    began = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = done.stdout.strip().splitlines()
    row = json.loads(lines[-1]) if done.returncode == 0 else {"failure": f"died: {done.stderr.strip()[-300:]}"}
    return {"name": name, "keras": keras, **row, "seconds": round(time.monotonic() - began)}


def measure(keras_name: str, name: str) -> dict[str, Any]:
    """Save, open, rebuild and convert one model."""
    from edgeres.errors import EdgeresError
    from edgeres.keras_file import read_keras_file
    from edgeres.keras_io import load, prunable
    from edgeres.native_output import muted

    keras = importlib.import_module(keras_name)
    keras.utils.set_random_seed(0)
    side = NETWORKS[name]
    row: dict[str, Any] = {"input": side, "suffix": GENERATIONS[keras_name]}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"model{GENERATIONS[keras_name]}"
        with muted():
            model = plausible(keras, name, side)
            model.save(path)
        try:
            opened = load(file := read_keras_file(path))
            rebuilt = prunable(opened, generation=file.generation)
            row |= {"parameters": opened.count_params(), "prunable": rebuilt.model is not None, "why": rebuilt.why}
            row |= converted(opened, file.generation, side)
        except EdgeresError as problem:
            row["failure"] = f"{type(problem).__name__}: {problem.message}"
    return row


def plausible(keras: Any, name: str, side: int, *, classes: int = CLASSES) -> Any:
    """A network with random weights whose batch norms know the statistics of random images."""
    build = getattr(keras.applications, name)
    model = build(weights=None, input_shape=(side, side, 3), classes=classes, classifier_activation=None)
    norms = [layer for layer in model.layers if type(layer).__name__ == "BatchNormalization"]
    for layer in norms:
        layer.momentum = 0.0  # the statistics of the last batch
    model(images(32, side, seed=1), training=True)
    return model


def converted(model: Any, generation: int, side: int) -> dict[str, Any]:
    """Sizes, and outputs against Keras': the largest difference of the float file, correlation and top-1 of int8."""
    from converters.export import keras_outputs, to_flatbuffer
    from converters.quantization.post_training import quantize
    from targets.runtimes.cpu import CPU

    test = images(TEST, side, seed=2)
    expected = keras_outputs(model, test)
    content = to_flatbuffer(model, generation=generation)
    with CPU.open(content) as session:
        found = session.infer(test)
    row = {"float32_bytes": len(content), "float32_difference": _relative(found, expected)}
    small = quantize(content, "int8", images=[image[None] for image in images(CALIBRATION, side, seed=3)])
    with CPU.open(small) as session:
        found = session.infer(test)
    agreement = float(np.mean(found.argmax(axis=1) == expected.argmax(axis=1)))
    return {**row, "int8_bytes": len(small), "int8_error": _error(found, expected), "int8_top1_agreement": agreement}


def images(count: int, side: int, *, seed: int) -> Any:
    """Random pictures: a coarse pattern and noise; float32 (count, side, side, 3) in [0, 255]."""
    random = np.random.default_rng(seed)
    coarse = random.uniform(0, 255, (count, side // 16, side // 16, 3)).repeat(16, axis=1).repeat(16, axis=2)
    return np.clip(coarse + random.normal(0, 20, (count, side, side, 3)), 0, 255).astype(np.float32)


def _relative(found: Any, expected: Any) -> float:
    return float(np.abs(found - expected).max() / np.ptp(expected))


def _error(found: Any, expected: Any) -> float:
    """Root mean square difference, as a share of the outputs' deviation."""
    return float(np.sqrt(np.mean((found - expected) ** 2)) / np.std(expected))


def _line(row: dict[str, Any]) -> str:
    if "failure" in row:
        return f"| {row['name']} | {row['keras']} | {row.get('prunable', '')} | {row['failure']} | | | | |"
    return (
        f"| {row['name']} | {row['keras']} {row['suffix']} | {'yes' if row['prunable'] else 'no'} "
        f"| {row['float32_bytes']:,} | {row['float32_difference']:.1e} "
        f"| {row['int8_bytes']:,} | {row['int8_error']:.3f} | {row['int8_top1_agreement']:.0%} |"
    )


def table(rows: list[dict[str, Any]]) -> str:
    """The rows as Markdown."""
    heads = "network|file|prunable|float32, bytes|largest difference|int8, bytes|int8 error|same top-1"
    lines = ["| " + heads.replace("|", " | ") + " |", "|---|---|---|---:|---:|---:|---:|---:|"]
    return "\n".join([*lines, *(_line(row) for row in rows)])


if __name__ == "__main__":
    main()
