"""Does the harness change what it measures? Beside a bare loop around `invoke`, and beside LiteRT's own benchmark tool.

    python -m benchmarks.harness_overhead [--rounds 11] [--deep]

Each side has a fresh process in every round, in random order, with as many runs and threads; its figure is the median
of its runs, the comparison the median of the rounds' ratios. `litert-benchmark` of the ai-edge-litert package prints
hundredths of a millisecond, so its times are taken from the list of which it takes the median. It runs a CompiledModel,
whose run registers and synchronizes buffers besides; ours and the bare loop run an Interpreter.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from benchmarks.applications import images
from benchmarks.paired import save
from converters.export import to_flatbuffer
from converters.keras_artifact import float_artifact
from converters.quantization.post_training import quantize
from edgeres.keras_file import read_keras_file
from edgeres.models import find_network
from targets.runtimes.cpu import CPU
from targets.stats import median_ratio

TRAINED = ("resnet8", "resnet20")
WARM_UP = 30

BARE = """
import json, sys, time
from ai_edge_litert.interpreter import Interpreter
interpreter = Interpreter(model_path=sys.argv[1], num_threads=int(sys.argv[2]))
interpreter.allocate_tensors()
times = []
for _ in range(int(sys.argv[3]) + int(sys.argv[4])):
    began = time.perf_counter()
    interpreter.invoke()
    times.append(1000 * (time.perf_counter() - began))
print(json.dumps(times[int(sys.argv[4]):]))
"""

TOOL = """
import json, statistics, sys, types
from ai_edge_litert.tools import benchmark_litert_model as tool
kept = []
recording = types.SimpleNamespace(**vars(statistics))
recording.median = lambda times: kept.append(times) or statistics.median(times)
tool.statistics = recording
sys.argv = ["litert-benchmark", "--model", sys.argv[1], "--num_threads", sys.argv[2], "--num_runs", sys.argv[3],
            "--warmup_runs", sys.argv[4]]
tool.main()
print(json.dumps(kept[0]))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--deep", action="store_true", help="a ResNet-50 at 224x224 too")
    options = parser.parse_args()
    figures = {}
    with tempfile.TemporaryDirectory() as folder:
        for path in models(Path(folder), deep=options.deep):
            for threads in (1, 2):
                figures[f"{path.stem}, threads {threads}"] = compared(path, threads, options.rounds)
    save("harness_overhead", {"rounds": options.rounds, "cases": figures})


def models(folder: Path, *, deep: bool) -> list[Path]:
    """The trained networks of the tests in float32 and int8, and the deep one with random weights, as files."""
    contents = {}
    for name in TRAINED:
        file = read_keras_file(Path(f"tests/assets/{name}-cifar10/model.keras"))
        contents[name] = (float_artifact(file, None).model, 32)
    if deep:
        contents["resnet50"] = (to_flatbuffer(find_network("resnet50").build()), 224)
    paths = []
    for name, (model, side) in contents.items():
        pictures = [image[None] for image in images(4, side, seed=1)]
        for kind, content in (("float32", model), ("int8", quantize(model, "int8", images=pictures))):
            paths.append(folder / f"{name}-{kind}.tflite")
            paths[-1].write_bytes(content)
    return paths


def compared(path: Path, threads: int, rounds: int) -> dict[str, Any]:
    """Medians of each side in each round, and the ratios."""
    sides = {"ours": ours, "bare": lambda *case: script(BARE, *case), "tool": lambda *case: script(TOOL, *case)}
    runs = max(50, min(2000, round(500 / np.median(ours(path, threads, 50)))))
    medians: dict[str, list[float]] = {name: [] for name in sides}
    order, random = list(sides), Random(0)
    for _ in range(rounds):
        random.shuffle(order)
        for name in order:
            medians[name].append(statistics.median(sides[name](path, threads, runs)))
    ratios = {
        f"{one}_over_{other}": median_ratio(
            [math.log(a / b) for a, b in zip(medians[one], medians[other], strict=True)]
        )
        for one, other in (("ours", "bare"), ("tool", "ours"))
    }
    said = ", ".join(
        f"{name.replace('_', ' ')} {each.value:.3f} [{each.low:.3f}, {each.high:.3f}]" for name, each in ratios.items()
    )
    print(f"{path.stem}, {threads} thread(s), {statistics.median(medians['ours']):.3f} ms: {said}", flush=True)
    return {"runs": runs, "medians_ms": medians, **{name: asdict(each) for name, each in ratios.items()}}


def ours(path: Path, threads: int, runs: int) -> list[float]:
    """As a round of `edgeres profile` times them."""
    with CPU.open(path.read_bytes(), threads=threads) as session:
        session.time(runs=WARM_UP, seconds=0)
        return session.time(runs=runs, seconds=0)


def script(program: str, path: Path, threads: int, runs: int) -> list[float]:
    """The milliseconds that a program prints in its last line."""
    arguments = [str(path), str(threads), str(runs), str(WARM_UP)]
    found = subprocess.run([sys.executable, "-c", program, *arguments], check=True, capture_output=True, text=True)
    times: list[float] = json.loads(found.stdout.splitlines()[-1])
    return times


if __name__ == "__main__":
    main()
