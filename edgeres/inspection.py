"""What a file is, whatever kind it is: the facts that `edgeres inspect` prints and writes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.table import Table

from edgeres.bundle import MODEL, Bundle, is_bundle, open_bundle
from edgeres.calibration import Calibration, Coverage
from edgeres.errors import ModelError
from edgeres.findings import Finding, grouped
from edgeres.keras_file import SUFFIXES, KerasFile, is_saved_model, read_keras_file
from edgeres.native_output import resolve_muted
from edgeres.records import encode
from edgeres.registry import resolve
from edgeres.report.terminal import plain_table
from edgeres.training.run import model_of

# The flatbuffer's walk and linter are layers above, and building a Keras model takes TensorFlow: all by name.
_FLATBUFFER = "targets.flatbuffer:describe"
_FLATBUFFER_BYTES = "targets.artifact:read_flatbuffer"
_LINT = "converters.quantization.lint:lint_bytes"
_FORECAST = "targets.forecast.outlook:forecast"
_MODEL = "targets.artifact:open_artifact"
_COST = "edgeres.models.cost:measure"
_LOAD = "edgeres.keras_io:load"
_PRUNABLE = "edgeres.keras_io:prunable"

_COVERAGE = ("activation of", "type", "seen in calibration", "can hold", "saturated", "steps of the middle 99.9 %")

_COMPILED = ("compiled file", "target", "size", "compiler", "takes", "estimate; nothing ran")

_OUTLOOK = ("target", "forecast", "takes", "first layer that it does not take", "fix", "note")

MAX_ROWS = 5000
"""Layers shown in a terminal; the deepest networks have a few thousand."""

_KINDS = "give a .keras, .h5 or .tflite file, a SavedModel, or a bundle"


@dataclass(frozen=True)
class Inspection:
    """A file: `kind` is keras, saved_model, tflite or bundle.

    `facts` are for a person; `layers` has a row an operator or layer; `findings` what the linter says of a flatbuffer
    (`converters.quantization.lint`), None for what is none. `calibration`: what a bundle keeps of it, with findings of
    its own; `compiled` has a row a compiled file in it. `forecasts`: what each target that was asked for would do with
    it (`targets.forecast`).
    """

    path: str
    kind: str
    sha256: str
    facts: dict[str, Any]
    layers: tuple[dict[str, Any], ...]
    findings: tuple[Finding, ...] | None = None
    calibration: Calibration | None = None
    compiled: tuple[dict[str, Any], ...] | None = None
    forecasts: tuple[dict[str, Any], ...] | None = None


def inspect(path: Path, *, trust: bool = False, targets: Sequence[str] = ()) -> Inspection:
    """Describe a `.keras`, `.h5`, SavedModel, `.tflite`, bundle or run folder; `trust`: code in it may run.

    `targets`: those whose forecast is wanted. Of a Keras file it is that of its float32 flatbuffer.

    Raises:
        ModelError: nothing there, or no model.
        ArtifactError: a corrupt flatbuffer or bundle.
        TargetError: a target that has no forecast.
    """
    found = _described(path, trust=trust)
    if not targets:
        return found
    model = resolve(_MODEL)(found.path, trust=trust).model
    return replace(found, forecasts=tuple(encode(each) for each in resolve(_FORECAST)(model, targets)))


def _described(path: Path, *, trust: bool) -> Inspection:
    if not path.exists():
        raise ModelError(f"{path} does not exist", fix=_KINDS)
    if is_bundle(path):
        return _bundle(path)
    path = model_of(path)
    if path.suffix in SUFFIXES or is_saved_model(path):
        return _keras(read_keras_file(path, trust=trust))
    if path.is_dir():
        raise ModelError(f"{path} is a folder, but no bundle", fix=_KINDS)
    return _flatbuffer(path, resolve(_FLATBUFFER_BYTES)(path))


def _keras(file: KerasFile) -> Inspection:
    model = resolve_muted(_LOAD)(file)
    found = resolve_muted(_PRUNABLE)(model, generation=file.generation)
    countable = found.model if found.model is not None else (model if file.generation == 2 else None)
    cost = resolve_muted(_COST)(countable) if countable is not None else None
    layers = tuple(encode(layer) for layer in cost.layers) if cost else _uncounted_layers(model, file)
    files = [file.path] if file.path.is_file() else file.path.rglob("*")
    facts = {
        "format": file.format,
        "written_by": file.version if file.generation == 0 else f"Keras {file.version}",
        "input": list(model.input_shape[1:]),
        "classes": model.output_shape[-1],
        "preprocess": encode(file.card.preprocess) if file.card else "not in the file: --preprocess is needed",
        "labels": list(file.card.labels) if file.card else None,
        "prunable": "yes" if found.model is not None else f"no: {found.why}",
        "parameters": cost.parameters if cost else _parameters(model),
        "macs": cost.macs if cost else None,
        "size_bytes": sum(each.stat().st_size for each in files if each.is_file()),
    }
    return Inspection(str(file.path), "keras" if file.generation else "saved_model", file.sha256, facts, layers)


def _parameters(model: Any) -> int:
    """Trainable values; all of a SavedModel, which does not say what was trained."""
    weights = getattr(model, "trainable_weights", None) or model.weights
    return sum(math.prod(weight.shape) for weight in weights)


def _uncounted_layers(model: Any, file: KerasFile) -> tuple[dict[str, Any], ...]:
    """A row a layer of what cannot be rebuilt, without its cost; a row an operator of a SavedModel."""
    if file.generation == 0:
        return tuple({"kind": kind, "nodes": nodes} for kind, nodes in file.config["operators"].items())
    return tuple(
        {"name": layer.name, "kind": type(layer).__name__, "parameters": int(layer.count_params())}
        for layer in model.layers
        if layer.built
    )


def _flatbuffer(path: Path, content: bytes) -> Inspection:
    described = encode(resolve(_FLATBUFFER)(content))
    layers = tuple(described.pop("layers"))
    return Inspection(str(path), "tflite", described.pop("sha256"), described, layers, resolve(_LINT)(content))


def _bundle(path: Path) -> Inspection:
    bundle = open_bundle(path)
    inner = _flatbuffer(path, bundle.read(MODEL))
    manifest = encode(bundle.manifest)
    keep = ("name", "created", "source", "recipe", "preprocess", "data", "seeds", "tolerance", "versions")
    facts = {name: manifest[name] for name in keep} | {"made_from": manifest["inputs"], "labels": list(bundle.labels)}
    facts |= inner.facts
    return replace(inner, kind="bundle", facts=facts, calibration=bundle.calibration, compiled=_compiled(bundle))


def _compiled(bundle: Bundle) -> tuple[dict[str, Any], ...] | None:
    """How each compiled file was made, its hash, which is checked, and its size; None where there is none."""
    rows = (
        {"sha256": bundle.manifest.files[each.file], "size_bytes": len(bundle.read(each.file)), **encode(each)}
        for each in bundle.compiled
    )
    return tuple(rows) or None


def tables(found: Inspection) -> list[Table]:
    """An inspection as tables for a terminal: facts, layers, what calibration chose, compiled files, findings."""
    facts = [("path", found.path), ("kind", found.kind), ("sha256", found.sha256)]
    facts += [(name, _plain(value)) for name, value in found.facts.items() if value is not None]
    shown = [plain_table(("fact", "value"), facts)]
    if found.layers:
        heads = tuple(found.layers[0])
        rows = [tuple(_plain(layer.get(head, "")) for head in heads) for layer in found.layers[:MAX_ROWS]]
        if len(found.layers) > MAX_ROWS:
            rows.append((f"… and {len(found.layers) - MAX_ROWS:,} more, all with --json", *[""] * (len(heads) - 1)))
        shown.append(plain_table(heads, rows))
    if found.calibration is not None:
        shown.append(plain_table(_COVERAGE, map(_coverage_row, found.calibration.activations)))
    if found.compiled is not None:
        shown.append(plain_table(_COMPILED, map(_compiled_row, found.compiled)))
    if found.findings is not None:
        told = (*found.findings, *(found.calibration.findings if found.calibration else ()))
        rows = [(e.rule, e.severity, e.layer, e.consequence, e.fix) for e in grouped(told)]
        rows = rows or [("none", "", "", "", "")]
        shown.append(plain_table(("finding", "severity", "layers", "consequence", "fix"), rows))
    if found.forecasts is not None:
        shown.append(plain_table(_OUTLOOK, _forecast_rows(found.forecasts)))
    return shown


def _forecast_rows(forecasts: Sequence[dict[str, Any]]) -> Iterator[tuple[str, ...]]:
    """A row a target: its verdict, what it takes, the first operator that it does not take, and what mends that."""
    for each in forecasts:
        first = each["blocked"][0] if each["blocked"] else None
        more = f" (and {len(each['blocked']) - 1} more)" if len(each["blocked"]) > 1 else ""
        told = (f"{first['layer']}: {first['reason']}{more}", first["fix"]) if first else ("", "")
        yield (each["target"], each["verdict"], f"{each['taken']} of {each['operators']}", *told, each["note"])


def _compiled_row(each: dict[str, Any]) -> tuple[str, ...]:
    taken, told = each["operators"], each.get("estimate")
    estimate = f"{told['inference_ms']:.3g} ms, {told['cycles']:,} cycles; {told['system']}" if told else ""
    operators = f"{taken['delegated']} of {taken['nodes']}"
    return each["file"], each["target"], f"{each['size_bytes']:,} bytes", each["compiler"], operators, estimate


def _coverage_row(each: Coverage) -> tuple[str, ...]:
    seen, held = (f"{low:.4g} to {high:.4g}" for low, high in ((each.seen_low, each.seen_high), (each.low, each.high)))
    return each.layer, each.dtype, seen, held, f"{each.saturated_share:.2%}", f"{each.used_steps:,} of {each.steps:,}"


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_plain(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        return "x".join(map(str, value)) if all(isinstance(v, int) for v in value) else ", ".join(map(_plain, value))
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
