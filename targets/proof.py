"""Proof of execution: in every measurement a target's scores are held against those of the reference kernels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeres.bundle import open_bundle
from edgeres.results import ArtifactResult, Proof
from targets.artifact import Artifact
from targets.devices.device import DeviceTarget
from targets.flatbuffer import walk
from targets.runtimes.cpu import REFERENCE
from targets.target import Accelerator, Session, Signature, Target

IMAGES = 4


def prove(artifact: Artifact, session: Session, target: Target) -> Proof | None:
    """Run images on an open session and on the reference kernels; None where the target has no tolerance.

    On a device, a bundle's golden inputs; else random ones.

    A known fault that the model meets fails the proof, also where these few images hide it.

    Raises:
        EdgeresError: either of them fails on the model, see `targets.target`.
    """
    if target.tolerance is None:
        return None
    golden = artifact.kind == "bundle" and isinstance(target, DeviceTarget)
    inputs = open_bundle(Path(artifact.path)).golden.inputs[:IMAGES] if golden else _inputs(artifact, session.signature)
    with REFERENCE.open(artifact.model) as reference:
        found, expected = session.infer(inputs), reference.infer(inputs)
        scale = reference.signature.output_scale
    accepted = target.tolerance.steps if scale else target.tolerance.share * float(np.abs(expected).max())
    largest = float(np.abs(found.astype(np.float64) - expected).max()) / (scale or 1)
    device = target.runs_on() if isinstance(target, Accelerator) else None
    faults = target.faults(artifact.model) if isinstance(target, Accelerator) else ()
    return Proof(
        passed=largest <= accepted * (1 + 1e-3) and not faults,  # whole steps, dequantized and divided again
        images=len(inputs),
        largest=largest,
        accepted=accepted,
        flips=int(np.count_nonzero(found.argmax(axis=1) != expected.argmax(axis=1))),
        device=device,
        faults=tuple(fault.text for fault in faults) or None,
        fix=faults[0].fix if faults else None,
        golden=golden,
    )


def _inputs(artifact: Artifact, signature: Signature) -> NDArray[np.float32]:
    """Noise as the model's input: through its preprocessing, or else over the range that its input can hold."""
    random = np.random.default_rng(0)
    if artifact.preprocess is not None:
        height, width = signature.input_shape[1:3]
        pixels = random.integers(0, 256, (IMAGES, height, width, 3), np.uint8)
        return np.stack([artifact.preprocess(image) for image in pixels])
    noise = random.uniform(-1, 1, (IMAGES, *signature.input_shape[1:])).astype(np.float32)
    dtype, scale, zero_point = _range(artifact, signature)
    if not scale:
        return noise
    middle = (np.iinfo(dtype).min + np.iinfo(dtype).max) / 2
    span = np.iinfo(dtype).max - middle
    return np.asarray((noise * span + middle - zero_point) * scale, np.float32)


def _range(artifact: Artifact, signature: Signature) -> tuple[str, float, int]:
    """The type, scale and zero point of the input, or of what a float one becomes first; a scale of 0 for neither."""
    if signature.input_scale:
        return signature.input_dtype, signature.input_scale, signature.input_zero_point
    main = walk(artifact.model).main
    for operator in main.operators:
        if operator.kind == "QUANTIZE" and operator.inputs == main.inputs:
            made = main.tensors[operator.outputs[0]]
            if made.scales:
                return made.dtype, made.scales[0], made.zero_points[0]
    return signature.input_dtype, 0.0, 0


def unproved(row: ArtifactResult) -> bool:
    """Whether it failed its proof; a target that owes none has not."""
    return row.proof is not None and not row.proof.passed


def without_unproved_verdicts(rows: Sequence[ArtifactResult], *, baseline: int | None) -> list[ArtifactResult]:
    """The rows of one target; a comparison in which either side failed its proof is `inconclusive`."""
    base = baseline is not None and unproved(rows[baseline])
    return [
        replace(row, latency=replace(row.latency, verdict="inconclusive"))
        if row.latency and row.latency.verdict and (base or unproved(row))
        else row
        for row in rows
    ]
