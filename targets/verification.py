"""`verify` without the command line: does a bundle on this machine do what its manifest says it does?

Four claims, each checked although another failed where that is possible:

    files            every file is the one that the manifest names, by SHA-256
    preprocessing    the golden images become the golden inputs
    reference        the golden inputs become the golden outputs on the reference kernels, to one quantization step
                     (float outputs: within the manifest's tolerance)
    cpu              … and on this machine's fast kernels, within the manifest's tolerance
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeres.bundle import GOLDEN, LABELS, MANIFEST, MODEL, Bundle, Golden, is_bundle, is_inside, open_bundle
from edgeres.compiled_file import COMPILED
from edgeres.errors import ArtifactError, ModelError
from targets.catalogue import available_target
from targets.claims import Claim
from targets.target import Signature

INPUT_TOLERANCE = 1e-5
"""Largest difference of an input from the golden one, as a share of the largest input: float32 rounding."""


@dataclass(frozen=True)
class Check:
    """One claim: whether it holds, and what was found; `difference` and `tolerance` where numbers were compared."""

    name: str
    passed: bool
    found: str
    difference: float | None = None
    tolerance: float | None = None


@dataclass(frozen=True)
class Verification:
    """What was checked of one bundle."""

    bundle: str
    checks: tuple[Check, ...]
    verified: bool
    claims: tuple[Claim, ...] | None = None
    schema: str = "edgeres.verification/1"

    def with_claims(self, claims: tuple[Claim, ...]) -> Verification:
        """The same with the claims of results; one that is refuted is a failure."""
        refuted = any(claim.outcome == "refuted" for claim in claims)
        return replace(self, claims=claims, verified=self.verified and not refuted)

    def require(self) -> None:
        """Raise unless every claim holds.

        Raises:
            ArtifactError: names the claims that fail.
        """
        failed = [check for check in self.checks if not check.passed]
        refuted = [claim.claim for claim in self.claims or () if claim.outcome == "refuted"]
        if refuted:
            raise ArtifactError(
                f"{self.bundle} does not do here what was claimed of it: {', '.join(refuted)}",
                fix="quieten the machine and verify again, or measure anew",
            )
        if failed:
            raise ArtifactError(
                f"{self.bundle} does not keep what its manifest claims ({len(failed)} of {len(self.checks)} checks)",
                details=[f"{check.name}: {check.found}" for check in failed],
                fix="convert again, or restore the bundle from where it was made",
            )


def verify(path: Path | str) -> Verification:
    """Check a bundle against its manifest on this machine.

    Raises:
        ModelError: there is nothing at the path.
        ArtifactError: it is no bundle.
        TargetError: `reference` or `cpu` cannot run here.
    """
    given, place = str(path), Path(path)
    if not place.exists():
        raise ModelError(f"{given} does not exist", fix="give the folder of a bundle")
    if not is_bundle(place):
        raise ArtifactError(f"{given} is not a bundle: it has no {MANIFEST}", fix="give a folder made by convert")
    bundle = open_bundle(place)
    checks = [_attempt("files", lambda: _check_files(bundle))]
    if checks[0].passed:
        golden = _attempt_golden(bundle)
        if isinstance(golden, Check):
            checks.append(golden)
        else:
            checks.append(_attempt("preprocessing", lambda: _check_inputs(bundle, golden)))
            checks.append(_attempt("reference", lambda: _check_reference(bundle, golden)))
            checks.append(_attempt("cpu", lambda: _check_cpu(bundle, golden)))
    return Verification(given, tuple(checks), verified=all(check.passed for check in checks))


def _attempt(name: str, check: Callable[[], Check]) -> Check:
    """A check whose failure to run for what is in the bundle is a failure of the bundle."""
    try:
        return check()
    except (ArtifactError, ModelError) as error:
        return Check(name, passed=False, found=" ".join((error.message, *error.details)))


def _check_files(bundle: Bundle) -> Check:
    files = bundle.manifest.files
    for name in (MODEL, LABELS, GOLDEN):
        if name not in files:
            raise ArtifactError(f"{MANIFEST} does not list {name}")
    for name in files:
        if not is_inside(name) or not (bundle.path / name).is_file():
            raise ArtifactError(f"{name!r} is not a file of the bundle")
        bundle.read(name)
    stray = sorted(_names(bundle.path) - {MANIFEST, *files})
    beside = f"; not in the manifest, hence not checked: {', '.join(stray[:5])}" if stray else ""
    return Check("files", passed=True, found=f"{len(files)} files as the manifest says{beside}")


def _names(folder: Path) -> set[str]:
    """What lies in a bundle's folder, as a manifest would name it."""
    inner, names = folder / COMPILED, {entry.name for entry in folder.iterdir()}
    if not inner.is_dir():
        return names
    return names - {COMPILED} | {f"{COMPILED}/{entry.name}" for entry in inner.iterdir()}


def _attempt_golden(bundle: Bundle) -> Golden | Check:
    """The golden tensors, or the failed check where they do not fit the contract and each other."""
    try:
        golden, shape, classes = bundle.golden, bundle.manifest.preprocess.shape, len(bundle.labels)
    except ArtifactError as error:
        return Check("golden", passed=False, found=str(error))
    n = len(golden.inputs)
    expected = ((n, *shape), (n, classes), (n, classes))
    arrays = (golden.inputs, golden.outputs, golden.float_outputs)
    found = tuple(array.shape for array in arrays)
    if not n or expected != found or any(array.dtype != np.float32 for array in arrays):
        return Check("golden", passed=False, found=f"expected float32 arrays of shapes {expected}, found {found}")
    if any(image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] not in (1, 3) for image in golden.images):
        return Check("golden", passed=False, found="expected uint8 images of shape (height, width, 3)")
    return golden


def _check_inputs(bundle: Bundle, golden: Golden) -> Check:
    inputs = np.stack([bundle.manifest.preprocess(image) for image in golden.images])
    return _compare("preprocessing", inputs, golden.inputs, input_tolerance(golden))


def input_tolerance(golden: Golden) -> float:
    """How far an input may be from the golden one: float32 rounding."""
    return INPUT_TOLERANCE * max(1.0, float(np.abs(golden.inputs).max()))


def _check_reference(bundle: Bundle, golden: Golden) -> Check:
    outputs, signature = _run(bundle, golden, target="reference")
    # Integers repeat exactly: one step, and a little for the rounding of its dequantization. Floats do not: kernels
    # differ in the order of additions, the more the deeper the network.
    tolerance = 1.001 * signature.output_scale or bundle.manifest.tolerance
    return _compare("reference", outputs, golden.outputs, tolerance)


def _check_cpu(bundle: Bundle, golden: Golden) -> Check:
    outputs, _ = _run(bundle, golden, target="cpu")
    return _compare("cpu", outputs, golden.outputs, bundle.manifest.tolerance)


def _run(bundle: Bundle, golden: Golden, *, target: str) -> tuple[NDArray[np.float32], Signature]:
    with available_target(target).open(bundle.read(MODEL)) as session:
        expected = (golden.inputs.shape[1:], golden.outputs.shape[1:])
        found = (session.signature.input_shape[1:], session.signature.output_shape[1:])
        if expected != found:
            raise ModelError(
                f"expected the model to map {expected[0]} to {expected[1]}, found {found[0]} to {found[1]}"
            )
        return session.infer(golden.inputs), session.signature


def _compare(name: str, found: NDArray[np.float32], expected: NDArray[np.float32], tolerance: float) -> Check:
    if found.shape != expected.shape or not np.isfinite(found).all():
        return Check(name, passed=False, found=f"shape {found.shape} instead of {expected.shape}, or not numbers")
    difference = float(np.abs(found.astype(np.float64) - expected).max())
    return Check(
        name,
        passed=difference <= tolerance,
        found=f"largest difference {difference:.3g}, accepted {tolerance:.3g}",
        difference=difference,
        tolerance=tolerance,
    )
