"""Whether a target computes what the reference kernels compute: how many scores bit for bit, which labels differ."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from targets.runtimes.cpu import CPU, REFERENCE
from targets.target import Target


@dataclass(frozen=True)
class Exactness:
    """Scores of a flatbuffer on a target beside those on the reference kernels, for the same images.

    `values`: scores compared; `equal`: those of the same bits. `largest`: the largest difference, in quantization steps
    of the output where it is integer (`steps`), else in the scores' own unit. `flips`: places of the images whose top-1
    class differs.
    """

    images: int
    values: int
    equal: int
    largest: float
    steps: bool
    flips: tuple[int, ...]

    def __str__(self) -> str:
        unit = "steps" if self.steps else "in the scores"
        return (
            f"{100 * self.equal / self.values:.1f} % of the scores of {self.images:,} images are those of the "
            f"reference kernels bit for bit, the largest difference is {self.largest:.3g} {unit}, "
            f"labels that differ: {len(self.flips)}"
        )


def exactness(model: bytes, inputs: NDArray[np.float32], *, target: Target = CPU) -> Exactness:
    """Run images, float32 (n, height, width, channels), on a target and on the reference kernels.

    Int8 kernels may round an accumulator in another way (TFLite's quantization specification leaves the last bit open),
    so that a difference of some steps is no fault; a label that differs is a tie, or a fault.

    Raises:
        ModelError, TargetError: see `targets.target`.
    """
    with target.open(model) as session, REFERENCE.open(model) as reference:
        found, expected = session.infer(inputs), reference.infer(inputs)
        scale = reference.signature.output_scale
    difference = np.abs(found - expected)
    return Exactness(
        images=len(inputs),
        values=difference.size,
        equal=int(np.count_nonzero(difference == 0)),
        largest=float(difference.max() / (scale or 1)),
        steps=scale > 0,
        flips=tuple(np.flatnonzero(found.argmax(axis=1) != expected.argmax(axis=1)).tolist()),
    )
