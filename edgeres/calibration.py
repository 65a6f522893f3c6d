"""What calibration saw and chose, as a bundle keeps it: `calibration.json`. Needs the standard library only."""

from __future__ import annotations

from dataclasses import dataclass

from edgeres.findings import Finding
from edgeres.results import Estimate

SCHEMA = "edgeres.calibration/1"


@dataclass(frozen=True)
class Coverage:
    """An activation: what its integers reach, and what the calibration images made of it in float32.

    `low`, `high`: the smallest and the largest value that the file can hold. `seen_low`, `seen_high`: over all images.
    `saturated_share`: the share of the values beyond what it can hold, 0…1. `used_steps`: how many of the `steps` of
    `dtype` the middle 99.9 % of the values are spread over.
    """

    layer: str
    tensor: str
    dtype: str
    low: float
    high: float
    seen_low: float
    seen_high: float
    saturated_share: float
    steps: int
    used_steps: int


@dataclass(frozen=True)
class Calibration:
    """`images`: how many; `sha256`: over their contents and classes in order. `classes`: how many of each, by label.

    `top1`: of the float32 model on them. `activations`: the input, then the operators' outputs in their order.
    """

    images: int
    sha256: str
    classes: dict[str, int]
    top1: Estimate
    activations: tuple[Coverage, ...]
    findings: tuple[Finding, ...]
    schema: str = SCHEMA
