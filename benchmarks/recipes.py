"""Every recipe on a trained network, measured on all test images:

    python -m benchmarks.recipes tests/assets/resnet8-cifar10/model.keras --data cifar10:PATH --name resnet8-cifar10

Writes `benchmarks/results/NAME.json` (accuracy, latency, memory, operators) and prints it as Markdown.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

from converters.job import Job
from converters.keras_artifact import float_artifact
from converters.pipeline import convert
from converters.recipe import load_recipe, names
from edgeres.contracts import contract_for
from edgeres.data import open_dataset
from edgeres.keras_file import read_keras_file
from edgeres.progress import shown
from edgeres.report.markdown import render
from edgeres.report.sources import read_story
from edgeres.results import merged
from targets.artifact import open_artifact
from targets.evaluation import evaluate
from targets.latency import Protocol
from targets.profiling import profile


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--data", required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--rounds", type=int, default=60)
    options = parser.parse_args()

    file = read_keras_file(options.model)
    out = Path(__file__).parent / "results" / f"{options.name}.json"
    with tempfile.TemporaryDirectory() as folder, shown() as progress:
        job = Job(file, open_dataset(options.data), contract_for(file, None), progress=progress)
        artifacts = [float_artifact(file, job.contract)]
        for name in names():
            convert(job, load_recipe(name), Path(folder) / name)
            artifacts.append(replace(open_artifact(Path(folder) / name), path=name))  # not a temporary one
        accuracy = evaluate(artifacts, job.dataset, baseline=0, progress=progress)
        latency = profile(artifacts, baseline=0, protocol=Protocol(rounds=options.rounds), progress=progress)
        merged(accuracy, latency).write(out)
    print(render(read_story([out])))
    print(f"wrote {out}")


if __name__ == "__main__":
    main()
