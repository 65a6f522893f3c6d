"""Where the figures come from: machine, methods, recipes, hashes, and the commands that make them again."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from edgeres.bundle import Manifest
from edgeres.preprocess import PRESETS, Preprocess, named
from edgeres.report.story import Comparison, ResultSource, Story
from edgeres.report.wording import size
from edgeres.results import Estimate
from edgeres.storage import sha256_file
from edgeres.training.run import MODEL

_TRAINING_FLAGS = (
    "epochs", "batch", "learning_rate", "weight_decay", "warmup", "label_smoothing", "augment", "seed",
)  # fmt: skip
_FIRST = ("cpu", "machine", "cores", "instructions", "governor", "load", "memory", "os", "kernel", "python")
_LOAD = "load"


def environment(values: Mapping[str, Any]) -> dict[str, str]:
    """A machine, nested entries joined with a dot, what matters most first."""
    flat = dict(_flat(values))
    return {name: flat[name] for name in sorted(flat, key=_rank)}


def _rank(name: str) -> tuple[int, str]:
    head = name.lower()
    for rank, known in enumerate(_FIRST):
        if head.startswith(known):
            return rank, name
    return len(_FIRST), name


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        elif name.endswith("_bytes") and isinstance(value, int):
            yield f"{prefix}{name.removesuffix('_bytes')}", size(value)
        elif isinstance(value, (list, tuple)):
            yield f"{prefix}{name}", ", ".join(map(str, value))
        elif value is not None:
            yield f"{prefix}{name}", str(value)


def machines(story: Story) -> tuple[tuple[str, dict[str, str]], ...]:
    """The environments, each with the files measured in it; those that differ in their load alone are told once."""
    grouped: dict[tuple[tuple[str, str], ...], list[tuple[str, str | None]]] = {}
    for source in story.results:
        named = f"{source.path.name} ({source.result.created})"
        for device, values in _machines(source):
            everything = environment(values)
            lasting = tuple((name, value) for name, value in everything.items() if name != _LOAD)
            grouped.setdefault(lasting, []).append((f"{named}{device}", everything.get(_LOAD)))
    found = []
    for lasting, measured in grouped.items():
        values = dict(lasting)
        if loads := dict.fromkeys(load for _, load in measured if load):
            values[_LOAD] = ", ".join(loads)
        names = ", ".join(name for name, _ in measured)
        found.append((names, {name: values[name] for name in sorted(values, key=_rank)}))
    return tuple(found)


def _machines(source: ResultSource) -> Iterator[tuple[str, dict[str, Any]]]:
    """The machines on which something of a result was measured, with what to say of each."""
    rows = source.result.artifacts
    if not rows or any(row.device is None and row.failure is None for row in rows):
        yield "", source.result.environment
    for name, values in {row.device.name: row.device.environment for row in rows if row.device}.items():
        yield f", {name}", values


def methods(story: Story) -> tuple[tuple[str, str, str, str], ...]:
    """How each kind of figure was made: (figure, method, level, samples)."""
    found: dict[tuple[str, str, str], list[int]] = {}
    for comparison in story.comparisons:
        for name, estimate in _estimates(comparison):
            found.setdefault((name, estimate.method, f"{estimate.level * 100:g} %"), []).append(estimate.n)
    for run in story.runs:
        if (final := run.history.test_accuracy) is not None:
            found.setdefault(("Test accuracy after training", final.method, f"{final.level * 100:g} %"), []).append(
                final.n
            )
    return tuple((*key, _range(counts)) for key, counts in found.items())


def _range(counts: list[int]) -> str:
    return f"{counts[0]:,}" if len(set(counts)) == 1 else f"{min(counts):,} to {max(counts):,}"


def _estimates(comparison: Comparison) -> Iterator[tuple[str, Estimate]]:
    for artifact in comparison.artifacts:
        found: dict[str, Estimate | None] = {}
        if (accuracy := artifact.accuracy) is not None:
            found |= {"Top-1": accuracy.top1, "Top-5": accuracy.top5, "Drop of top-1": accuracy.top1_drop_points}
            found |= {"Bounds of the drop": accuracy.top1_drop_bounds_points, "Agreement": accuracy.agreement}
            if (calibration := accuracy.calibration) is not None:
                found["ECE"] = calibration.ece
            if (divergence := accuracy.divergence) is not None:
                found |= {"KL": divergence.kl_nats, "SQNR": divergence.sqnr_db}
        if (latency := artifact.latency) is not None:
            found |= {"p50": latency.p50_ms, "p90": latency.p90_ms, "p99": latency.p99_ms, "Speed-up": latency.speedup}
        if (started := artifact.startup) is not None:
            found |= {"Initialization": started.initialization_ms, "First inference": started.first_ms}
        if (timed := artifact.operators and artifact.operators.timed) and timed.each:
            found["Time of an operator"] = timed.each[0].time_ms
        yield from ((name, estimate) for name, estimate in found.items() if estimate is not None)


def recipes(story: Story) -> dict[str, str]:
    """What each given bundle was made by, in a line, by the SHA-256 of its flatbuffer."""
    return {source.sha256: recipe_line(source.bundle.manifest.recipe) for source in story.bundles}


def recipe_line(recipe: Mapping[str, Any]) -> str:
    """`pruned-int8: prune unstructured, sparsity 0.5 → export → quantize int8, images 256`: what leads each step."""
    steps = recipe.get("steps")
    shown = [_step(step) for step in steps if isinstance(step, Mapping)] if isinstance(steps, (list, tuple)) else []
    return ": ".join(filter(None, (str(recipe.get("name") or ""), " → ".join(shown))))


def _step(step: Mapping[str, Any]) -> str:
    settings = [(name, value) for name, value in step.items() if name != "step" and type(value) in (str, int, float)]
    words = [str(value) if isinstance(value, str) else f"{name} {value}" for name, value in settings[:2]]
    return " ".join(filter(None, (str(step.get("step", "")), ", ".join(words))))


def hashes(story: Story) -> tuple[tuple[str, str], ...]:
    """What was measured, by SHA-256: (what, 64 hexadecimal digits)."""
    found: dict[tuple[str, str], None] = {}
    for comparison in story.comparisons:
        for artifact in comparison.artifacts:
            found[f"{artifact.path} (flatbuffer of {artifact.name})", artifact.sha256] = None
        if data := comparison.data:
            left_out = f", {len(data.left_out):,} corrupt ones left out" if data.left_out else ""
            found[f"{data.source}, {data.split}, {data.images:,} images{left_out}", data.sha256] = None
    for source in story.bundles:
        manifest = source.bundle.manifest
        for name, digest in manifest.files.items():
            found[f"{manifest.name}: {name}", digest] = None
        for role, digest in manifest.inputs.items():
            found[f"{manifest.name}, made from: {role}", digest] = None
    return tuple(found)


def commands(story: Story) -> tuple[str, ...]:
    """The commands that make all of this again, as a shell takes them."""
    made = [*_trainings(story), *_conversions(story)]
    for comparison in story.comparisons:
        made += _measurements(comparison)
    made += [_shell("verify", source.bundle.path) for source in story.bundles]
    given: list[Path] = [run.path for run in story.runs] + [source.bundle.path for source in story.bundles]
    made.append(_shell("report", *given, *(source.path for source in story.results), "--out", "report.html"))
    return tuple(dict.fromkeys(made))


def _trainings(story: Story) -> Iterator[str]:
    for run in story.runs:
        config = run.config
        if config.given is None:  # a model in memory: what made it is not known
            continue
        words: list[object] = []
        if config.network.width != 1:
            words += ["--width", f"{config.network.width:g}"]
        if config.model is None:
            words += ["--input-size", config.preprocess.height]
        if (preset := _preset(config.preprocess)) is not None:
            words += ["--preprocess", preset]
        words += ["--split-seed", config.data.seed]
        for name in _TRAINING_FLAGS:
            if name in config.training:
                words += [f"--{name.replace('_', '-')}", config.training[name]]
        yield _shell("train", config.given, "--data", config.data.source, *words, "--out", run.path)


def _preset(contract: Preprocess) -> str | None:
    """The preset that a contract is, if it is one."""
    presets = PRESETS if contract.depth == 3 else ("raw", "unit", "symmetric")
    height, width, depth = contract.shape
    return next((p for p in presets if named(p, height=height, width=width, depth=depth) == contract), None)


def _conversions(story: Story) -> Iterator[str]:
    for source in story.bundles:
        manifest = source.bundle.manifest
        if not (recipe := manifest.recipe.get("name")):
            continue
        data = manifest.data.source
        seeds = {"--seed": manifest.seeds.get("fine_tuning"), "--split-seed": manifest.data.split_seed}
        words = [word for option, seed in seeds.items() if seed is not None for word in (option, seed)]
        words += [word for each in source.bundle.compiled for word in ("--compile", each.target)]
        model = _model_file(story, manifest)
        yield _shell("convert", model, "--recipe", recipe, "--data", data, *words, "--out", source.bundle.path)


def _model_file(story: Story, manifest: Manifest) -> str:
    """The model that a bundle was made from: that of a run in this report if its hash says so, else by its name."""
    for run in story.runs:
        path = run.path / MODEL
        if path.is_file() and sha256_file(path) == manifest.inputs.get("model"):
            return str(path)
    return str(manifest.source.get("file", "MODEL_FILE"))


def _measurements(comparison: Comparison) -> Iterator[str]:
    ordered = sorted(comparison.artifacts, key=lambda artifact: not artifact.baseline)
    paths = tuple(dict.fromkeys(artifact.path for artifact in ordered))
    against = ("--baseline", comparison.baseline.path) if comparison.baseline else ()
    if (data := comparison.data) is not None:
        scored = [artifact for artifact in comparison.artifacts if artifact.accuracy]
        margins = {artifact.accuracy.margin_points for artifact in scored if artifact.accuracy} - {None}
        margin = [word for value in margins for word in ("--margin", f"{value:g}")]
        on = ("--data", data.source, "--split", data.split, "--images", data.images, "--split-seed", data.seed)
        for target in dict.fromkeys(artifact.target for artifact in scored):
            yield _shell("evaluate", *paths, *against, *on, *margin, "--target", target, "--json", "accuracy.json")
    timed = [(artifact.target, artifact.latency.threads) for artifact in comparison.artifacts if artifact.latency]
    for count in sorted({threads for _, threads in timed}):
        targets = dict.fromkeys(target for target, threads in timed if threads == count)
        options = [word for target in targets for word in ("--target", target)]
        yield _shell("profile", *paths, *against, *options, "--threads", count, "--json", "latency.json")


def _shell(command: str, *words: object) -> str:
    return shlex.join(["edgeres", command, *map(str, words)])
