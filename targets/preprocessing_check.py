"""Do a bundle's golden tensors tell an app that preprocesses otherwise, and what does such an app do?

Two questions about the same eight skews (`skews.py`):

    told        would the golden inputs show each of them?
    diagnose    given the inputs that an app made of the golden images: which of them is it?
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeres.array_file import parse_npy
from edgeres.bundle import Bundle, Golden, open_bundle
from edgeres.errors import ArtifactError
from edgeres.preprocess import Preprocess
from edgeres.storage import read_limited
from targets.skews import Skew, skews
from targets.verification import input_tolerance

ROUNDING_LEVELS = 1.0
"""Mean difference, in pixel levels of 0…255, that the rounding of another resize makes."""

MAX_INPUTS = 1 << 30
"""Bytes of an app's inputs at most."""

AS_CONTRACT = "as the contract"


@dataclass(frozen=True)
class Told:
    """Whether the golden inputs show one skew: `difference` is the largest, None where the skew cannot happen.

    `like` names another skew that these images cannot tell from it.
    """

    skew: str
    does: str
    told: bool | None
    difference: float | None = None
    tolerance: float | None = None
    like: str | None = None


@dataclass(frozen=True)
class Diagnosis:
    """What an app's inputs are nearest to: `AS_CONTRACT`, a skew's name, or None where nothing comes near.

    `levels`: the mean difference from the golden inputs, in pixel levels of 0…255.
    """

    nearest: str | None
    levels: float
    does: str | None = None


@dataclass(frozen=True)
class PreprocessingCheck:
    """What was found of one bundle."""

    bundle: str
    skews: tuple[Told, ...]
    app: Diagnosis | None = None
    schema: str = "edgeres.preprocessing/1"


def check_preprocessing(path: Path | str, *, inputs: NDArray[np.float32] | None = None) -> PreprocessingCheck:
    """Run the eight skews against a bundle's golden tensors, and diagnose an app's `inputs`, where given.

    `inputs`: float32 (n, height, width, channels), what the app made of the golden images, in their order.

    Raises:
        ArtifactError: no bundle, or one whose golden inputs are not what its contract makes; inputs of another shape.
    """
    bundle = open_bundle(Path(path))
    golden, contract = bundle.golden, bundle.manifest.preprocess
    tolerance = input_tolerance(golden)
    _require_contract(bundle, golden, contract, tolerance)
    made = [(skew, _inputs(skew, golden)) for skew in skews(contract)]
    told = tuple(_told(skew, own, made, golden, tolerance) for skew, own in made)
    app = None if inputs is None else _diagnose(inputs, made, golden, contract)
    return PreprocessingCheck(str(path), told, app)


def read_inputs(path: Path) -> NDArray[np.float32]:
    """An app's inputs from an `.npy` file, as float32.

    Raises:
        ArtifactError: absent, no `.npy`, or not numbers.
    """
    try:
        values = parse_npy(read_limited(path, MAX_INPUTS), limit=MAX_INPUTS)
        return np.asarray(values, np.float32)
    except FileNotFoundError:
        raise ArtifactError(f"{path} does not exist", fix="check the path") from None
    except (OSError, ValueError, TypeError) as problem:
        raise ArtifactError(f"{path} is no array of numbers: {problem}", fix="write it with numpy.save") from problem


def _require_contract(bundle: Bundle, golden: Golden, contract: Preprocess, tolerance: float) -> None:
    found = np.stack([contract(image) for image in golden.images]) if golden.images else golden.inputs[:0]
    if not len(found) or found.shape != golden.inputs.shape or np.abs(found - golden.inputs).max() > tolerance:
        raise ArtifactError(
            f"{bundle.path}: the golden inputs are not what its contract makes of the golden images",
            fix=f"see what else is wrong: edgeres verify {bundle.path}",
        )


def _inputs(skew: Skew, golden: Golden) -> NDArray[np.float32] | None:
    return None if skew.make is None else np.stack([skew.make(image) for image in golden.images])


def _told(
    skew: Skew,
    own: NDArray[np.float32] | None,
    made: Sequence[tuple[Skew, NDArray[np.float32] | None]],
    golden: Golden,
    tolerance: float,
) -> Told:
    if own is None:
        return Told(skew.name, skew.does, None)
    difference = float(np.abs(own - golden.inputs).max())
    like = next(
        (
            other.name
            for other, theirs in made
            if other is not skew and theirs is not None and np.abs(own - theirs).max() <= tolerance
        ),
        None,
    )
    return Told(skew.name, skew.does, difference > tolerance, difference, tolerance, like)


def _diagnose(
    inputs: NDArray[np.float32],
    made: Sequence[tuple[Skew, NDArray[np.float32] | None]],
    golden: Golden,
    contract: Preprocess,
) -> Diagnosis:
    """The nearest of the contract and the skews, by the mean difference; the contract, where that is but rounding."""
    if inputs.shape != golden.inputs.shape or not np.isfinite(inputs).all():
        raise ArtifactError(
            f"expected finite inputs of shape {golden.inputs.shape}, found shape {inputs.shape}",
            fix="feed every golden image to the app, in the order of golden.npz, and stack what it makes of them",
        )
    level = float(np.mean(np.abs(contract.scale / np.asarray(contract.std))))

    def levels(other: NDArray[np.float32]) -> float:
        return float(np.abs(inputs.astype(np.float64) - other).mean()) / level

    own = levels(golden.inputs)
    others = [(levels(theirs), skew) for skew, theirs in made if theirs is not None]
    distance, nearest = min(others, key=lambda each: each[0])
    if own <= distance and own <= ROUNDING_LEVELS:
        return Diagnosis(AS_CONTRACT, own)
    if distance < own / 2:
        return Diagnosis(nearest.name, own, nearest.does)
    return Diagnosis(None, own)
