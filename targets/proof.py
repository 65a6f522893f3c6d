"""Proof of execution: in every measurement a target's scores are held against those of the reference kernels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from edgeres.results import ArtifactResult, Proof
from targets.artifact import Artifact
from targets.flatbuffer import walk
from targets.forecast.view import HYBRID, nodes
from targets.graph import Graph
from targets.proof_images import proof_images
from targets.runtimes.cpu import BUILTIN, CPU, REFERENCE
from targets.target import Accelerator, Faulty, Session, Signature, Target
from targets.uncompiled import reference_model

_ROUNDING = 2.0
"""A target may be so many times as far from the reference kernels as this machine's other kernels are."""


def prove(artifact: Artifact, session: Session, target: Target) -> Proof | None:
    """Run images on an open session and on the reference kernels; None where the target has no tolerance.

    They are the first golden inputs of a bundle, else random ones. What is accepted is the target's tolerance; of a
    model that makes much of how integers are rounded, `_ROUNDING` times what other kernels of this machine are apart.

    A known fault that the model meets fails the proof, also where these few images hide it.

    Raises:
        EdgeresError: either of them fails on the model, see `targets.target`.
    """
    if target.tolerance is None:
        return None
    model = reference_model(artifact)
    graph = walk(model)
    if target == CPU and _is_hybrid(graph):
        return None  # XNNPACK quantizes activations by row, the reference kernels by tensor: both are right
    inputs, golden = proof_images(artifact, graph, session.signature)
    with REFERENCE.open(model) as reference:
        found, expected = session.infer(inputs), reference.infer(inputs)
        step = output_step(graph, reference.signature)
    accepted = float(target.tolerance.steps if step else target.tolerance.share * np.abs(expected).max())
    largest = _apart(found, expected) / (step or 1)
    rounding = None
    if largest > accepted:
        rounding = _rounding(model, inputs, expected, target) / (step or 1)
        accepted = max(accepted, _ROUNDING * rounding)
    faults = target.faults(artifact.model) if isinstance(target, Faulty) else ()
    return Proof(
        passed=largest <= accepted * (1 + 1e-3) and not faults,  # whole steps, dequantized and divided again
        images=len(inputs),
        largest=largest,
        accepted=accepted,
        flips=int(np.count_nonzero(found.argmax(axis=1) != expected.argmax(axis=1))),
        rounding=rounding,
        device=target.runs_on() if isinstance(target, Accelerator) else None,
        faults=tuple(fault.text for fault in faults) or None,
        fix=faults[0].fix if faults else None,
        golden=golden,
    )


def _is_hybrid(graph: Graph) -> bool:
    """Whether it computes on float activations and integer weights."""
    return any(node.form == HYBRID for node in nodes(graph))


def _rounding(model: bytes, inputs: NDArray[np.float32], expected: NDArray[np.float32], target: Target) -> float:
    """How far this machine's other kernels are from the reference kernels: rounding otherwise is no error."""
    apart = 0.0
    for other in (BUILTIN, CPU):
        if other != target:
            with other.open(model) as session:
                apart = max(apart, _apart(session.infer(inputs), expected))
    return apart


def _apart(found: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    return float(np.abs(found.astype(np.float64) - expected).max())


def output_step(graph: Graph, signature: Signature) -> float:
    """The quantization step of the scores, also of float ones that are made of integers at the very end; 0 for none."""
    if signature.output_scale:
        return signature.output_scale
    main = graph.main
    made = next((each for each in reversed(main.operators) if main.outputs[0] in each.outputs), None)
    if made is None or made.kind != "DEQUANTIZE":
        return 0.0
    scales = main.tensors[made.inputs[0]].scales
    return scales[0] if scales else 0.0


def without_unproved_verdicts(rows: Sequence[ArtifactResult], *, baseline: int | None) -> list[ArtifactResult]:
    """The rows of one target; a comparison in which either side failed its proof is `inconclusive`."""
    base = baseline is not None and rows[baseline].unproved
    return [
        replace(row, latency=replace(row.latency, verdict="inconclusive"))
        if row.latency and row.latency.verdict and (base or row.unproved)
        else row
        for row in rows
    ]
