"""Two trained networks in every form on every target that runs here: what each computes, beside the reference kernels.

    python -m benchmarks.targets --data cifar10:PATH [--images 1000] [--slim-epochs 8] [--targets cpu,gpu] [--rounds 30]

For each target of `TARGETS` that is available (of a family the members in `MEMBERS`) and each form of each network:
top-1 on the first images of the test split, labels and values that agree with the reference kernels, the largest
difference, the proof, memory, operators, and latency where the target is timed. What a target refuses is a row. Rows
of targets that are left out stay in `benchmarks/results/targets.json`. A new target in `TARGETS` needs nothing here.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.paired import save
from converters.job import Job
from converters.pipeline import convert
from converters.recipe import load_recipe
from edgeres.contracts import contract_for
from edgeres.data import open_dataset
from edgeres.data.dataset import Dataset
from edgeres.errors import EdgeresError
from edgeres.keras_file import read_keras_file
from edgeres.registry import resolve
from targets import TARGETS
from targets.accuracy import output_order
from targets.artifact import Artifact, open_artifact
from targets.catalogue import find_target, open_session
from targets.crew import Crew, open_sessions, sessions_each
from targets.flatbuffer import walk
from targets.latency import Protocol
from targets.profiling import profile
from targets.proof import output_step, prove
from targets.runtimes.cpu import REFERENCE
from targets.stats import proportion
from targets.target import Compiler, Family, Target

NETWORKS = {"resnet8": "resnet8-cifar10", "resnet20": "resnet20-cifar10"}
FORMS = {
    "float": ("float32", ()),
    "float16": ("float16", ()),
    "int8": ("int8", ()),
    "int8-3x3": ("int8", ("export.shortcuts=3x3",)),
    "int8-float-ends": ("int8", ("quantize.io=float32",)),
    "slim-int8": ("slim-int8", ()),
}
"""Name -> recipe and what it is overridden with."""

MEMBERS = {
    "browser": ("browser", "browser:webgpu"),
    "ethosu": ("ethosu:u55-256",),
    "npu": ("npu:openvino", "npu:openvino:aot"),
}
"""Family -> the members that are measured; a family that is not here needs a path or a device, and is left out."""

RESULTS = Path(__file__).parent / "results" / "targets.json"

Scores = NDArray[np.float32]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="")
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--slim-epochs", type=int, default=8)
    parser.add_argument("--targets", help="some of them, separated by commas")
    parser.add_argument("--networks", default=",".join(NETWORKS))
    parser.add_argument("--forms", default=",".join(FORMS))
    parser.add_argument("--rounds", type=int, default=30, help="of latency; 0 leaves it out")
    parser.add_argument("--table", action="store_true", help="print what is in the results, and measure nothing")
    options = parser.parse_args()
    if options.table:
        print(table())
        return
    dataset = open_dataset(options.data)
    chosen = options.targets.split(",") if options.targets else list(names())
    for network in options.networks.split(","):
        for form, artifact in forms(network, options.forms.split(","), dataset, options.slim_epochs):
            inputs, truth = images(artifact, dataset, options.images)
            expected = scores(artifact, REFERENCE, inputs)
            columns = output_order(artifact.path, artifact.labels, dataset)
            for name in chosen:
                row = {"network": network, "form": form, "target": name, "bytes": len(artifact.model)}
                row |= measured(artifact, name, inputs, expected, truth, columns, options.rounds)
                told = ("top1", "labels_agree", "largest", "unit", "refused")
                print(network, form, name, {key: row[key] for key in told if key in row}, flush=True)
                keep(row, options)


def names() -> Iterator[str]:
    """The targets that run here."""
    for name in TARGETS:
        for member in MEMBERS.get(name, (name,)):
            unnamed = name not in MEMBERS and isinstance(resolve(TARGETS[name]), Family)
            if not unnamed and find_target(member).check().available:
                yield member


def forms(network: str, chosen: Sequence[str], dataset: Dataset, slim_epochs: int) -> Iterator[tuple[str, Artifact]]:
    """Each chosen form of a network, as a bundle in a temporary folder."""
    file = read_keras_file(Path("tests/assets") / NETWORKS[network] / "model.keras")
    job = Job(file, dataset, contract_for(file, None))
    for form in chosen:
        recipe, own = FORMS[form]
        if form == "slim-int8":  # the rate is for what so few epochs can mend
            own = (f"slim.epochs={slim_epochs}", *(("slim.learning_rate=0.01",) if slim_epochs < 4 else ()))
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / form
            convert(job, load_recipe(recipe, overrides=own), out)
            yield form, replace(open_artifact(out), name=f"{network}-{form}")


def images(artifact: Artifact, dataset: Dataset, count: int) -> tuple[Scores, NDArray[np.int64]]:
    """Inputs float32 (n, height, width, channels), and their classes."""
    split, contract = dataset.split("test", images=count), artifact.require_preprocess()
    pairs = [(contract(content), truth) for content, truth in split]
    return np.stack([each for each, _ in pairs]), np.array([truth for _, truth in pairs])


def scores(artifact: Artifact, target: Target, inputs: Scores) -> Scores:
    """In as many sessions as keep the machine busy: reference kernels take many times as long as the fast ones."""
    with ExitStack() as stack:
        (sessions,) = open_sessions([artifact], target, sessions_each(target, [artifact], images=len(inputs)), stack)
        crew = Crew(sessions)
        pieces = [crew.infer(piece) for piece in np.array_split(inputs, 4 * len(sessions))]
        return np.concatenate([piece.result() for piece in pieces])


def measured(
    artifact: Artifact,
    name: str,
    inputs: Scores,
    expected: Scores,
    truth: NDArray[np.int64],
    columns: NDArray[np.int64],
    rounds: int,
) -> dict[str, Any]:
    """The figures of one artifact on one target, or why there are none."""
    target = find_target(name)
    try:
        if isinstance(target, Compiler) and not target.here:
            return compiled(target, artifact)
        found = expected if target == REFERENCE else scores(artifact, target, inputs)
        with open_session(artifact, target) as session:
            proof, step = prove(artifact, session, target), output_step(walk(artifact.model), session.signature)
            operators, memory = session.operators(), session.memory()
        figures = {
            "top1": asdict(proportion(int((found[:, columns].argmax(axis=1) == truth).sum()), len(truth))),
            "labels_agree": float((found.argmax(axis=1) == expected.argmax(axis=1)).mean()),
            "values_equal": float((found == expected).mean()),
            "largest": float(np.abs(found - expected).max() / (step or 1)),
            "unit": "steps" if step else "logits",
            "proof": None if proof is None else asdict(proof),
            "operators": asdict(operators),
            "memory": asdict(memory),
        }
        if rounds and target.timed:
            (row,) = profile([artifact], targets=[name], protocol=Protocol(rounds=rounds)).artifacts
            if row.latency is not None:
                figures |= {"p50_ms": asdict(row.latency.p50_ms), "rounds": row.latency.rounds}
    except EdgeresError as problem:
        return {"refused": problem.message.replace(artifact.path, artifact.name)}  # not a temporary one
    return figures


def compiled(target: Compiler, artifact: Artifact) -> dict[str, Any]:
    made = target.compile(artifact.model)
    return {
        "operators": asdict(made.operators),
        "estimate": asdict(made.estimate) if made.estimate else None,
        "memory": asdict(made.memory) if made.memory else None,
    }


def keep(row: dict[str, Any], options: argparse.Namespace) -> None:
    """Put a row into the results in place of an earlier one: a run that is broken off loses only what is left."""
    own = {"images": options.images, "slim_epochs": options.slim_epochs}
    rows = json.loads(RESULTS.read_text(encoding="utf-8"))["rows"] if RESULTS.exists() else []
    place = [row[key] for key in ("network", "form", "target")]
    rows = [each for each in rows if [each[key] for key in ("network", "form", "target")] != place]
    save("targets", {"rows": [*rows, {**row, **own}]})


def table() -> str:
    """The results as Markdown: two tables for each network, a row for each target, a column for each form."""
    rows = json.loads(RESULTS.read_text(encoding="utf-8"))["rows"]
    return "\n".join(
        line
        for network in dict.fromkeys(row["network"] for row in rows)
        for title, cell in ((network, accuracy_cell), (f"{network}: memory, operators", cost_cell))
        for line in _grid(title, [row for row in rows if row["network"] == network], cell)
    )


def _grid(title: str, rows: list[dict[str, Any]], cell: Callable[[dict[str, Any]], str]) -> Iterator[str]:
    own = {(row["target"], row["form"]): row for row in rows}
    yield f"| {title} | {' | '.join(FORMS)} |"
    yield f"|---{'|---' * len(FORMS)}|"
    for target in dict.fromkeys(row["target"] for row in rows):
        cells = [cell(own[target, form]) if (target, form) in own else "not run" for form in FORMS]
        yield f"| `{target}` | {' | '.join(cells)} |"
    yield ""


def accuracy_cell(row: dict[str, Any]) -> str:
    """Top-1, labels that agree with the reference kernels, the largest difference, latency; or why there is none."""
    if "refused" in row:
        return "refused"
    if "top1" not in row:
        estimate = row.get("estimate")
        return f"{estimate['inference_ms']:.3f} ms estimated" if estimate else "compiled"
    steps = round(row["largest"])
    largest = f"{steps} step{'s' * (steps != 1)}" if row["unit"] == "steps" else f"{row['largest']:.1g}"
    text = f"{100 * row['top1']['value']:.1f} % · {100 * row['labels_agree']:.1f} % · {largest}"
    if (proof := row["proof"]) and not proof["passed"]:
        text = f"**not proved** {text}"
    if (p50 := row.get("p50_ms")) is None:
        return f"{text} · functional only"
    return f"{text} · {p50['value']:.3g} [{p50['low']:.3g}, {p50['high']:.3g}] ms"


def cost_cell(row: dict[str, Any]) -> str:
    """The memory at its peak, and how many of the operators the target's delegate or compiler took."""
    if "refused" in row:
        return "refused"
    operators, memory = row["operators"], row["memory"]
    if operators["left"] is None:
        told = "not told"
    else:
        told = f"{operators['delegated']} of {operators['nodes']}" if operators["delegate"] else "own kernels"
    return f"{memory['peak_bytes'] / 1e6:.2f} MB · {told}" if memory else told


if __name__ == "__main__":
    main()
