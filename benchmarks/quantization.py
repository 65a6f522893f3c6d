"""Every way to quantize a trained network, on all test images: top-1, paired drop, size, one-thread latency.

    python -m benchmarks.quantization MODEL.keras --data cifar10:PATH --name NAME [--aware-epochs 2] [--no-latency]

Writes `benchmarks/results/NAME.json` and prints a table. Fine-tuning (aware) takes minutes to hours, the rest seconds.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from converters.job import Job
from converters.keras_artifact import float_artifact
from converters.pipeline import convert
from converters.recipe import typed_recipe
from edgeres.contracts import contract_for
from edgeres.data import open_dataset
from edgeres.keras_file import read_keras_file
from edgeres.progress import shown
from edgeres.report.markdown import render
from edgeres.report.sources import read_story
from edgeres.results import merged
from edgeres.training.kernels import choose_kernels
from targets.artifact import open_artifact
from targets.evaluation import evaluate
from targets.latency import Protocol
from targets.profiling import profile

ENDS = {"stem_conv": "int8", "logits": "int8"}
WAYS: dict[str, dict[str, Any]] = {
    "float16": {"mode": "float16"},
    "dynamic-int8": {"mode": "dynamic-int8"},
    "int8": {"mode": "int8"},
    "int8-averaged-ranges": {"mode": "int8", "ranges": "moving-average"},
    "int8-mse-ranges": {"mode": "int8", "ranges": "mse"},
    "int8-mse-weights": {"mode": "int8", "weights": "mse"},
    "int8-octav": {"mode": "int8", "weights": "octav"},
    "int8-gptq": {"mode": "int8", "weights": "gptq"},
    "int8-per-tensor": {"mode": "int8", "granularity": "tensor"},
    "int8-stem-float32": {"mode": "int8", "layers": {"stem_conv": "float32"}},
    "int16x8": {"mode": "int16x8"},
    "int4": {"mode": "int4"},
    "int4-octav": {"mode": "int4", "weights": "octav"},
    "int4-gptq": {"mode": "int4", "weights": "gptq"},
    "int4-gptq-int8-ends": {"mode": "int4", "weights": "gptq", "layers": ENDS},
}
"""Name -> settings of the step `quantize`."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--data", required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--aware-epochs", type=int, default=2, help="0 leaves quantization-aware training out")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--no-latency", action="store_true")
    options = parser.parse_args()
    choose_kernels(deterministic=False, narrow=True)

    file = read_keras_file(options.model)
    out = Path(__file__).parent / "results" / f"{options.name}.json"
    with tempfile.TemporaryDirectory() as folder, shown() as progress:
        job = Job(file, open_dataset(options.data), contract_for(file, None), progress=progress)
        artifacts = [float_artifact(file, job.contract)]
        for name, steps in ways(options.aware_epochs).items():
            bundle = Path(folder) / name
            convert(job, typed_recipe({"name": name, "steps": steps}, where=name), bundle)
            artifacts.append(replace(open_artifact(bundle), path=name))  # not a temporary one
        found = evaluate(artifacts, job.dataset, baseline=0, progress=progress)
        if not options.no_latency:
            protocol = Protocol(rounds=options.rounds)
            found = merged(found, profile(artifacts, baseline=0, protocol=protocol, progress=progress))
        found.write(out)
    print(render(read_story([out])))
    print(f"wrote {out}")


def ways(aware_epochs: int) -> dict[str, list[dict[str, Any]]]:
    """Name -> the steps of a recipe."""
    found = {name: [{"step": "export"}, {"step": "quantize", **settings}] for name, settings in WAYS.items()}
    if aware_epochs:
        found["aware-int8"] = [{"step": "aware", "preserve": "none", "epochs": aware_epochs}]
    return found


if __name__ == "__main__":
    main()
