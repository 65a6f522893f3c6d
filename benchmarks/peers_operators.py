"""Where LiteRT with XNNPACK and OpenVINO spend their time in ResNet-50: by the kind of operator, one thread.

    python -m benchmarks.peers_operators

Each by its own profiler, the medians of 60 runs, in turn three times; of the three the least. OpenVINO adds the
branches of a residual block within the convolution that ends it: 1x1 convolutions and additions are counted together on
both sides. The first convolution in int8 is timed alone, too, with more and fewer maps at its input than the three of a
picture: kernels that multiply several maps at once pad three. Writes `benchmarks/results/peers-operators.json`.
"""

from __future__ import annotations

import statistics
import tempfile
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import tf_keras

from benchmarks.paired import save
from benchmarks.peers import SIDE, network_files, quantized
from targets.flatbuffer import walk
from targets.operator_times import time_operators
from targets.runtimes.openvino_engine import SETTINGS
from targets.runtimes.plain import plain

WARM, RUNS, TURNS = 20, 60, 3
GROUPS = ("7x7", "3x3", "1x1 and additions", "other")
FIRST, MAPS = "7x7", (1, 2, 3, 4, 8, 16)


def main() -> None:
    figures = {name: by_group(content, GROUPS) for name, content in network_files().items()}
    for maps in MAPS:
        figures[f"the first convolution in int8, {maps} maps at its input"] = by_group(
            first_convolution(maps), (FIRST,)
        )
    for title, sides in figures.items():
        print(title)
        for group, ours in sides["cpu"].items():
            theirs = sides["openvino"][group]
            print(f"  {group}: {ours:.2f} ms on cpu, {theirs:.2f} on OpenVINO, {ours - theirs:+.2f}")
    save("peers-operators", {"openvino": openvino.get_version(), "milliseconds": figures})


def by_group(content: bytes, groups: Sequence[str]) -> dict[str, dict[str, float]]:
    """Milliseconds of each group of operators on both sides: the least of some turns."""
    found: dict[str, list[Counter[str]]] = {"cpu": [], "openvino": []}
    for _ in range(TURNS):
        found["cpu"].append(on_cpu(content))
        found["openvino"].append(on_openvino(content))
    return {side: {group: min(each[group] for each in turns) for group in groups} for side, turns in found.items()}


def first_convolution(maps: int) -> bytes:
    """ResNet's first convolution alone in int8, of so many maps at its input."""
    image = tf_keras.Input((SIDE, SIDE, maps))
    x = tf_keras.layers.Conv2D(64, 7, strides=2, padding="same", activation="relu")(image)
    model = tf_keras.Model(image, tf_keras.layers.GlobalAveragePooling2D()(x))
    pictures = np.random.default_rng(0).uniform(-1, 1, (4, 1, SIDE, SIDE, maps)).astype(np.float32)
    return quantized(model, pictures)


def on_cpu(content: bytes) -> Counter[str]:
    """Milliseconds by group, by LiteRT's profiler."""
    main_graph, found = walk(content).main, Counter[str]()
    for operator, timed in zip(main_graph.operators, time_operators(content).each, strict=True):
        size = main_graph.tensors[operator.inputs[1]].shape[1:3] if operator.kind == "CONV_2D" else ()
        found[_group(size, addition=operator.kind == "ADD")] += timed.time_ms.value
    return found


def on_openvino(content: bytes) -> Counter[str]:
    """Milliseconds by group, by OpenVINO's profiler."""
    core = openvino.Core()
    with tempfile.NamedTemporaryFile(suffix=".tflite") as file:
        Path(file.name).write_bytes(plain(content))
        settings = {**SETTINGS, "INFERENCE_NUM_THREADS": 1, "PERF_COUNT": True}
        compiled = core.compile_model(core.read_model(file.name), "CPU", settings)
    request, times = compiled.create_infer_request(), defaultdict[tuple[str, str], list[float]](list)
    for run in range(WARM + RUNS):
        request.infer()
        for node in request.profiling_info if run >= WARM else ():
            times[node.node_name, node.node_type].append(node.real_time.total_seconds() * 1000)
    nodes = {node.get_friendly_name(): node for node in compiled.get_runtime_model().get_ops()}
    found = Counter[str]()
    for (name, kind), each in times.items():
        found[_group(_kernel(nodes[name]) if kind == "Convolution" else ())] += statistics.median(each)
    return found


def _kernel(convolution: Any) -> tuple[int, ...]:
    """The sides of a convolution's kernel: its weights are the second input, (out, in, height, width)."""
    return tuple(convolution.input(1).get_partial_shape().to_shape())[2:]


def _group(kernel: tuple[int, ...], *, addition: bool = False) -> str:
    if addition or kernel == (1, 1):
        return "1x1 and additions"
    return f"{kernel[0]}x{kernel[1]}" if kernel else "other"


if __name__ == "__main__":
    main()
