"""Runs a recipe: each step once for the same inputs, then a bundle with its golden outputs.

Keras file ─ slim, prune ─▶ Keras file ─ export ─▶ float flatbuffer ─ quantize ─▶ flatbuffer ─▶ metadata ─▶ bundle
                                └──────────────── aware ──────────────────────────▶            └─ compilers ─▶
"""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from converters.cache import cached, key_of, state_folder
from converters.compilers import compile_for
from converters.job import Job, require_classes, require_fitting
from converters.metadata.describing import COMPLETE, described
from converters.quantization.examined import examined
from converters.recipe import Recipe
from converters.steps import ExportStep, QuantizeStep, Step
from edgeres.bundle import Bundle, Golden, write_bundle
from edgeres.calibration import Calibration
from edgeres.data import Origin
from edgeres.errors import ModelError, TargetError
from edgeres.findings import grouped
from edgeres.keras_file import KerasFile
from edgeres.native_output import resolve_muted
from edgeres.preprocess import Pixels, open_image
from edgeres.records import encode
from edgeres.storage import require_absent
from edgeres.versions import versions
from targets.flatbuffer import walk
from targets.runtimes.cpu import CPU, REFERENCE
from targets.target import Compiler

STEPS = {
    "slim": "converters.pruning.channels:run",
    "prune": "converters.pruning.magnitude:run",
    "export": "converters.export:run",
    "quantize": "converters.quantization.post_training:run",
    "aware": "converters.quantization.aware:run",
}
"""Step name -> "module:attribute" of `run(settings, job, source, state) -> bytes`; its settings are in `steps.py`.

`state`: a folder, not made yet, from which a killed run goes on; it goes once the product is in the cache.
"""

_log = logging.getLogger(__name__)

# By name: what is cached needs no TensorFlow.
_EXPORT = "converters.export:export_float"
_OUTPUTS = "converters.export:float_outputs"
_SUFFIX = {"slim": ".keras", "prune": ".keras", "export": ".tflite", "quantize": ".tflite", "aware": ".tflite"}
_FORMS = {"quantize": 2}
"""Steps that write otherwise than they once did, for equal settings and libraries: what was cached then is not used."""

GOLDEN_IMAGES = 4
"""Enough to tell wrong preprocessing or kernels; few, for the reference kernels take seconds on a large network."""
GOLDEN_SIDE = 512
"""Longer side of a golden image at most, in pixels."""

_TOLERATED_STEPS = 10
"""Quantization steps by which int8 kernels of different runtimes were seen to differ in an output."""


def convert(job: Job, recipe: Recipe, out: Path, *, compilers: Sequence[Compiler] = ()) -> Bundle:
    """Run a recipe on a model and write the bundle `out`, with what each of `compilers` makes of the flatbuffer.

    Raises:
        OutputError: `out` exists or cannot be written.
        DataError: the data set does not fit the model, an image is corrupt, calibration overlaps the test split.
        ModelError: the model cannot be converted this way.
        TargetError: a compiler takes nothing of the flatbuffer, or dies on it.
    """
    require_absent(out)
    require_fitting(job.file, job.dataset)
    products = list(_products(job, recipe))
    name = f"{job.file.path.stem}-{recipe.name}"
    model, told = _described(job, products[-1], name)
    compiled = compile_for(compilers, model, progress=job.progress)
    with _typed_refusal(job, recipe):
        golden, tolerance = _golden(job, model)
    fingerprints = _fingerprints(job, recipe)
    return write_bundle(
        out,
        model=model,
        labels=job.dataset.labels,
        golden=golden,
        describe={
            "name": name,
            "preprocess": job.contract,
            "recipe": recipe.model_dump(mode="json", by_alias=True),
            "source": _source(job),
            "data": Origin(job.dataset.source, job.dataset.seed),
            "seeds": {"splits": job.dataset.seed, "fine_tuning": job.seed},
            "versions": versions(),
            "inputs": {"model": job.file.sha256, **fingerprints},
            "tolerance": tolerance,
            "metadata": told,
        },
        calibration=_calibration(job, products),
        compiled=compiled,
    )


def run(job: Job, recipe: Recipe) -> Path:
    """The flatbuffer that a recipe makes of a model, in the cache."""
    return list(_products(job, recipe))[-1].path


@dataclass(frozen=True)
class _Product:
    """What a step made of `source`, in the cache."""

    step: Step
    source: Path
    path: Path


def _products(job: Job, recipe: Recipe) -> Iterator[_Product]:
    source, key = job.file.path, job.file.sha256
    for number, step in enumerate(recipe.steps, start=1):
        job.progress(f"{recipe.name}: {step.step}", number - 1, len(recipe.steps))
        path, key = _advance(job, step, source, key)
        job.progress(f"{recipe.name}: {step.step}", number, len(recipe.steps))
        yield _Product(step, source, path)
        source = path


def float_flatbuffer(file: KerasFile) -> Path:
    """The float32 flatbuffer of a model, the baseline of every comparison: in the cache, shared with recipes.

    Raises:
        ModelError: the model cannot be converted.
    """
    step = ExportStep(step="export")
    key = key_of(_inputs(step, file.sha256))
    return cached(step.step, key, lambda: bytes(resolve_muted(_EXPORT)(file)), suffix=_SUFFIX[step.step])


def _described(job: Job, product: _Product, name: str) -> tuple[bytes, str]:
    """The flatbuffer with its metadata, and what they tell."""
    content, labels = product.path.read_bytes(), job.dataset.labels
    model, told = described(content, name=name, contract=job.contract, labels=labels)
    if told != COMPLETE:
        _log.log(logging.WARNING if told.startswith("none") else logging.INFO, "metadata of model.tflite: %s", told)
    return model, told


def _advance(job: Job, step: Step, source: Path, key: str) -> tuple[Path, str]:
    """One step: its product and the key of it."""
    inputs = _inputs(step, key)
    if step.material is not None:
        inputs["images"] = job.fingerprint(step.material)
    if not isinstance(step, ExportStep):  # which is the same for every recipe, and for the baseline
        inputs |= {"contract": encode(job.contract), "labels": job.dataset.labels, "seed": job.seed}
    key = key_of(inputs)
    state = state_folder(step.step, key)

    def make() -> bytes:
        return bytes(resolve_muted(STEPS[step.step])(step, job, source, state))

    path = cached(step.step, key, make, suffix=_SUFFIX[step.step])
    if step.step == "export":
        require_classes(walk(path.read_bytes()).outputs[0].shape[-1], job)
    return path, key


def _inputs(step: Step, source: str) -> dict[str, Any]:
    form = {"form": _FORMS[step.step]} if step.step in _FORMS else {}
    return {"step": step.model_dump(mode="json"), "source": source, "versions": versions(), **form}


@contextmanager
def _typed_refusal(job: Job, recipe: Recipe) -> Iterator[None]:
    """Where a runtime is there and refuses what a recipe made, the recipe does not suit the model.

    Raises:
        ModelError: names the recipe.
    """
    try:
        yield
    except TargetError as problem:
        if not CPU.check().available:
            raise
        raise ModelError(
            f"{job.file.path}: what the recipe '{recipe.name}' makes of it cannot be run",
            details=(problem.message, *problem.details),
            fix="choose another recipe; of a model that was never trained, the ranges may be too small for int8",
        ) from problem


def _golden(job: Job, model: bytes) -> tuple[Golden, float]:
    """Golden tensors from calibration images, and the tolerance for other kernels."""
    split = job.dataset.split("calibration").head(GOLDEN_IMAGES)
    images = tuple(_small(split.picture(position, exif=job.contract.exif)) for position in range(len(split)))
    inputs = np.stack([job.contract(image) for image in images])
    with CPU.open(model) as session:
        fast = session.infer(inputs)
        step = session.signature.output_scale
    outputs = _reference(model, inputs, fast)
    seen = float(np.abs(fast - outputs).max())
    floor = _TOLERATED_STEPS * step if step else 1e-3 * max(1.0, float(np.abs(outputs).max()))
    return Golden(images, inputs, outputs, _float_outputs(job, inputs)), max(2 * seen, floor)


def _small(pixels: Pixels) -> Pixels:
    """A photograph made smaller, so that the bundle stays small; a small image as it is. uint8 (h, w, 3)."""
    image = open_image(pixels)
    image.thumbnail((GOLDEN_SIDE, GOLDEN_SIDE))
    return np.asarray(image)


def _reference(model: bytes, inputs: NDArray[np.float32], fast: NDArray[np.float32]) -> NDArray[np.float32]:
    """What the outputs should be: integer arithmetic on the reference kernels, which every machine repeats exactly.

    It is in a model that has int8 or int4 weights, also where activations are quantized only while it runs. Float
    kernels agree to rounding, and the reference ones take 60 times longer: there the fast ones serve.
    """
    if not any(tensor.dtype in ("int8", "int4") and tensor.constant_bytes for tensor in walk(model).main.tensors):
        return fast
    with REFERENCE.open(model) as exact:
        return exact.infer(inputs)


def _float_outputs(job: Job, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    """The Keras model's outputs, float32 (n, classes); cached, so that a second recipe need not build the model."""

    def make() -> bytes:
        outputs = resolve_muted(_OUTPUTS)(job.file, inputs)
        buffer = io.BytesIO()
        np.save(buffer, outputs, allow_pickle=False)
        return buffer.getvalue()

    key = key_of({"model": job.file.sha256, "inputs": key_of({"values": inputs.tolist()}), "versions": versions()})
    outputs: NDArray[np.float32] = np.load(cached("outputs", key, make, suffix=".npy"), allow_pickle=False)
    return outputs


def _calibration(job: Job, products: list[_Product]) -> Calibration | None:
    """What the linter says of the calibration, told and kept; None where no images gave ranges."""
    for product in products:
        if isinstance(product.step, QuantizeStep) and product.step.calibrates:
            found = examined(product.source, product.path, job, product.step.images)
            for each in grouped(finding for finding in found.findings if finding.severity == "warning"):
                _log.warning("calibration: %s (%s): %s\n  fix: %s", each.rule, each.layer, each.consequence, each.fix)
            return found
    return None


def _fingerprints(job: Job, recipe: Recipe) -> dict[str, str]:
    needed = [step.material for step in recipe.steps if step.material is not None]
    return {material.split: job.fingerprint(material) for material in needed}


def _source(job: Job) -> dict[str, Any]:
    known: dict[str, Any] = {"file": job.file.path.name, "keras": job.file.version}
    if job.file.card is not None and job.file.card.network is not None:
        known["network"] = encode(job.file.card.network)
    return known
