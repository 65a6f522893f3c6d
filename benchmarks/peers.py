"""LiteRT with XNNPACK against OpenVINO and ONNX Runtime: ResNet-50 at 224x224, float32 and int8, one and two threads.

    python -m benchmarks.peers [--rounds 60] [--only additions]

All three run the same flatbuffer, each in three processes, in rounds that take turns; OpenVINO computes floats as
float32, ONNX Runtime gets uint8 activations and int8 weights. What each computed in is read from its own graph, and its
scores are held against those of the reference kernels. Writes `benchmarks/results/peers.json`.

OpenVINO adds a residual block's branches within its convolutions, XNNPACK in operators of their own. What these cost is
measured, too: stacks of such additions in turn with the network, `benchmarks/results/peers-additions.json`.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from contextlib import ExitStack
from typing import Any

import numpy as np
import tf_keras
from numpy.typing import NDArray

from benchmarks.applications import images, plausible
from benchmarks.paired import save
from edgeres.progress import shown
from edgeres.records import encode
from targets.artifact import Artifact
from targets.catalogue import find_target
from targets.crew import PROCESSES
from targets.latency import Protocol, measure
from targets.proof import prove

SIDE, CLASSES, CALIBRATION = 224, 1000, 50
TARGETS = ("cpu", "openvino", "onnxruntime")
THREADS = (1, 2)
BOUND = 1.05
STAGES = ((56, 256, 3), (28, 512, 4), (14, 1024, 6), (7, 2048, 3))
"""Side, maps and additions of each stage."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--only", choices=["additions"])
    options = parser.parse_args()
    files = network_files()
    save("peers-additions", _additions(files["int8"], options.rounds))
    if options.only:
        return
    found = {
        f"{name}, {threads}": _compared(content, threads, options.rounds)
        for name, content in files.items()
        for threads in THREADS
    }
    versions = {name: find_target(name).check().version for name in TARGETS}
    save("peers", {"versions": versions, "cases": found})
    for case, rows in found.items():
        _show(case, rows)


def network_files() -> dict[str, bytes]:
    """The network with random weights and plausible activations, as float32 and as int8."""
    from converters.export import to_flatbuffer

    model = plausible(tf_keras, "ResNet50", SIDE, classes=CLASSES)
    pictures = [image[None] for image in images(CALIBRATION, SIDE, seed=1)]
    return {"float32": to_flatbuffer(model), "int8": quantized(model, pictures)}


def _additions(network: bytes, rounds: int) -> dict[str, Any]:
    """The share of the network's time that its additions take: of each stage's, a stack of n against one of 2n."""
    stacks = {(stage, times): _stack(*STAGES[stage], times) for stage in range(len(STAGES)) for times in (1, 2)}
    cpu = find_target("cpu")
    with ExitStack() as stack, shown() as progress:
        sessions = [stack.enter_context(cpu.open(content)) for content in (network, *stacks.values())]
        whole, *parts = measure(sessions, Protocol(rounds=rounds), progress=progress)
    medians = {key: part.p50_ms.value for key, part in zip(stacks, parts, strict=True)}
    costs = [medians[stage, 2] - medians[stage, 1] for stage in range(len(STAGES))]
    share = sum(costs) / whole.p50_ms.value
    print(f"additions: {sum(costs):.2f} of {whole.p50_ms.value:.2f} ms, {share:.1%}; by stage {costs}")
    return {"network": encode(whole), "stages": STAGES, "additions_ms": costs, "share": share}


def _stack(side: int, maps: int, count: int, times: int) -> bytes:
    """So many additions in int8 of two maps of a stage, one after the other, as often."""
    image = tf_keras.Input((side, side, maps))
    x = tf_keras.layers.ReLU()(image)
    for _ in range(count * times):
        x = tf_keras.layers.ReLU()(tf_keras.layers.Add()([x, image]))
    model = tf_keras.Model(image, tf_keras.layers.GlobalAveragePooling2D()(x))
    pictures = np.random.default_rng(0).uniform(-1, 1, (4, 1, side, side, maps)).astype(np.float32)
    return quantized(model, pictures)


def quantized(model: Any, pictures: Iterable[NDArray[np.float32]]) -> bytes:
    """A Keras model in int8, calibrated on float32 pictures of its input's shape."""
    from converters.export import to_flatbuffer
    from converters.quantization.post_training import quantize

    return quantize(to_flatbuffer(model), "int8", images=pictures)


def _compared(content: bytes, threads: int, rounds: int) -> dict[str, Any]:
    """Latency on each target in interleaved rounds; `speedup` is over `cpu`, round by round."""
    artifact = Artifact("resnet50", "resnet50.tflite", "tflite", content)
    targets = [find_target(name) for name in TARGETS]
    with ExitStack() as stack, shown() as progress:
        sessions, *others = (
            [stack.enter_context(target.open(content, threads=threads)) for target in targets] for _ in range(PROCESSES)
        )
        protocol = Protocol(rounds=rounds, threads=threads)
        latencies = measure(sessions, protocol, others=others, baseline=0, progress=progress)
        return {
            target.name: {
                "latency": encode(latency),
                "operators": encode(session.operators()),
                "memory": encode(session.memory()),
                "proof": encode(prove(artifact, session, target)),
            }
            for target, session, latency in zip(targets, sessions, latencies, strict=True)
        }


def _show(case: str, rows: dict[str, Any]) -> None:
    ratios = {name: row["latency"]["speedup"] for name, row in rows.items() if "speedup" in row["latency"]}
    best = max(1.0, *(ratio["value"] for ratio in ratios.values()))
    verdict = "within" if best <= BOUND else "beyond"
    print(f"{case} threads: cpu takes {best:.2f}x as long as the best of them, {verdict} {BOUND}")
    for name, row in rows.items():
        ratio, proof = ratios.get(name), row.get("proof")
        speed = f"{ratio['value']:.2f}x [{ratio['low']:.2f}, {ratio['high']:.2f}] as fast" if ratio else "the baseline"
        proved = "" if proof is None else f", {'proved' if proof['passed'] else 'NOT PROVED'} ({proof['largest']:.3g})"
        precision = row["operators"].get("precision", "")
        print(f"  {name}: {row['latency']['p50_ms']['value']:.2f} ms, {speed}, {precision}{proved}")


if __name__ == "__main__":
    main()
