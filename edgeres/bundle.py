"""The bundle: a folder that holds a model and the evidence for what is claimed of it.

    model.tflite     the flatbuffer
    labels.txt       one class name a line, in the order of the model's outputs
    golden.npz       a few images, the inputs they become, and the outputs expected for them
    calibration.json what gave the ranges of integer activations, and what is to be said of it; where there are any
    compiled/        what compilers made of the flatbuffer, a file for each target that was asked for
    manifest.json    preprocessing, recipe, seeds, versions, and the SHA-256 of every file and of every input

The manifest is written last and the folder appears under its name only when complete. Needs numpy only.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeres.array_file import read_npz
from edgeres.calibration import SCHEMA as CALIBRATION_SCHEMA
from edgeres.calibration import Calibration
from edgeres.compiled_file import COMPILED, CompiledFile, require_provenance
from edgeres.data.origin import Origin
from edgeres.errors import ArtifactError, DataError
from edgeres.preprocess import Preprocess
from edgeres.records import decode, dump, read_json, read_versioned, write_json
from edgeres.storage import new_folder, read_limited, sha256_bytes, write_bytes

SCHEMA = "edgeres.bundle/1"
MODEL, LABELS, GOLDEN, MANIFEST = "model.tflite", "labels.txt", "golden.npz", "manifest.json"
CALIBRATION = "calibration.json"

MAX_FILE = 2 << 30
"""No file of a bundle is larger: a flatbuffer cannot be."""

MAX_GOLDEN = 256 << 20
"""Bytes of all golden arrays: a handful of images and inputs."""

MAX_LABELS = 100_000
"""The largest public data set of images with classes has 22,000 of them."""


@dataclass(frozen=True)
class Golden:
    """Inputs and the outputs expected for them: what proves that another machine computes the same.

    `images`: uint8 (h, w, 3) each, as decoded, before resizing.
    `inputs`: float32 (n, height, width, channels), what the preprocessing contract makes of the images.
    `outputs`: float32 (n, classes), dequantized, of `model.tflite`: on the reference kernels where it
        holds integers, whose arithmetic every machine repeats, else on the fast ones.
    `float_outputs`: float32 (n, classes), of the Keras model the bundle was made from.
    """

    images: tuple[NDArray[np.uint8], ...]
    inputs: NDArray[np.float32]
    outputs: NDArray[np.float32]
    float_outputs: NDArray[np.float32]


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


_RESTORE = "convert again, or restore the file"


@dataclass(frozen=True)
class Manifest:
    """What the bundle is and what it was made from.

    `inputs`: SHA-256 of every input by role (model, calibration …). `files`: SHA-256 of every file of the bundle.
    `recipe`: the recipe with all defaults filled in. `seeds`: every seed that was used. `versions`: of the tools.
    `data`: what it was calibrated with, and the seed of its splits.
    `source`: the model file's name, and the network and parameter count where known.
    `tolerance`: largest |difference| of an output on other kernels from `golden.npz`, in output units.
    `metadata`: what `model.tflite` itself tells clients that know nothing else: "complete", or what is left out and
        why; empty in a bundle that was made before there was any.
    `compiled`: how each file in the folder `compiled` was made; None where there is none.
    """

    name: str
    preprocess: Preprocess
    recipe: dict[str, Any]
    source: dict[str, Any]
    data: Origin
    seeds: dict[str, int]
    versions: dict[str, str]
    inputs: dict[str, str]
    files: dict[str, str]
    tolerance: float
    metadata: str = ""
    compiled: tuple[CompiledFile, ...] | None = None
    schema: str = SCHEMA
    created: str = field(default_factory=_now)

    def __post_init__(self) -> None:
        require_provenance(self.compiled or (), self.files, model=MODEL)


@dataclass(frozen=True)
class Bundle:
    """A bundle on disk whose manifest has been read; files are checked against it when they are read."""

    path: Path
    manifest: Manifest

    def read(self, name: str) -> bytes:
        """A file's content.

        Raises:
            ArtifactError: absent, not listed in the manifest, or altered since the bundle was written.
        """
        expected = self.manifest.files.get(name)
        if expected is None or not is_inside(name):
            raise ArtifactError(f"{self.path / MANIFEST} does not list {name}", fix=_RESTORE)
        try:
            content = read_limited(self.path / name, MAX_FILE)
        except (OSError, ValueError) as problem:
            reason = problem.strerror if isinstance(problem, OSError) else problem
            raise ArtifactError(f"{self.path / name} cannot be read: {reason}", fix=_RESTORE) from problem
        if (found := sha256_bytes(content)) != expected:
            raise ArtifactError(
                f"{self.path / name} was altered after the bundle was written",
                details=(f"sha256 expected {expected}", f"sha256 found    {found}"),
                fix=_RESTORE,
            )
        return content

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names in the order of the outputs."""
        content = self.read(LABELS)
        try:
            labels = tuple(content.decode("utf-8").splitlines())
        except UnicodeDecodeError as problem:
            raise ArtifactError(f"{self.path / LABELS} is not UTF-8: {problem}", fix=_RESTORE) from problem
        if len(labels) > MAX_LABELS:
            raise ArtifactError(
                f"{self.path / LABELS} names {len(labels):,} classes, more than the {MAX_LABELS:,} accepted",
                fix=_RESTORE,
            )
        return labels

    @property
    def golden(self) -> Golden:
        """The golden tensors; see `Golden`."""
        content = self.read(GOLDEN)
        try:
            return _unpack(content)
        except (ValueError, KeyError) as problem:
            raise ArtifactError(f"{self.path / GOLDEN} is not a golden file: {problem}", fix=_RESTORE) from problem

    @property
    def calibration(self) -> Calibration | None:
        """What calibration saw and chose; None where no images gave ranges."""
        if CALIBRATION not in self.manifest.files:
            return None
        self.read(CALIBRATION)  # is it what the manifest names?
        place, noun = self.path / CALIBRATION, "calibration record"
        return read_versioned(Calibration, place, schema=CALIBRATION_SCHEMA, noun=noun, fix=_RESTORE)

    @property
    def compiled(self) -> tuple[CompiledFile, ...]:
        """What compilers made of the model; `read` gives the files."""
        return self.manifest.compiled or ()


def is_inside(name: str) -> bool:
    """Whether a manifest may name a file so: in its own folder, or in `compiled`. It cannot reach out of them."""
    base = name.removeprefix(f"{COMPILED}/")
    return Path(base).name == base


def is_bundle(path: Path) -> bool:
    """Whether the path is a folder with a manifest."""
    return (path / MANIFEST).is_file()


def open_bundle(path: Path) -> Bundle:
    """Open a bundle by its manifest; the files themselves are checked when they are read.

    Raises:
        ArtifactError: no manifest, another schema version, or a field that does not fit.
    """
    data = read_json(path / MANIFEST)
    found = data.get("schema") if isinstance(data, dict) else None
    if found != SCHEMA:
        raise ArtifactError(
            f"{path / MANIFEST}: expected schema '{SCHEMA}', found {found!r}",
            fix="convert again with this version of edgeres",
        )
    return Bundle(path, decode(Manifest, data, where=str(path / MANIFEST)))


def write_bundle(
    path: Path,
    *,
    model: bytes,
    labels: tuple[str, ...],
    golden: Golden,
    describe: Mapping[str, Any],
    calibration: Calibration | None = None,
    compiled: Sequence[tuple[CompiledFile, bytes]] = (),
) -> Bundle:
    """Write a bundle atomically: `path` is absent or complete.

    Args:
        path: the folder to create.
        model: the flatbuffer.
        labels: class names in the order of the outputs.
        golden: what proves that another machine computes the same.
        describe: the manifest's fields other than `files` and `compiled`.
        calibration: where images gave the ranges of activations.
        compiled: how each compiled file was made, and its bytes.

    Raises:
        OutputError: `path` exists or cannot be written.
        DataError: a label holds a line break.
    """
    for label in labels:
        if len(label.splitlines()) != 1:
            raise DataError(f"the label {label!r} is empty or holds a line break", fix="rename the class")
    contents = {
        MODEL: model,
        LABELS: "".join(f"{label}\n" for label in labels).encode("utf-8"),
        GOLDEN: _pack(golden),
    }
    if calibration is not None:
        contents[CALIBRATION] = dump(calibration).encode("utf-8")
    contents |= {each.file: content for each, content in compiled}
    hashes = {name: sha256_bytes(content) for name, content in contents.items()}
    manifest = Manifest(files=hashes, compiled=tuple(each for each, _ in compiled) or None, **describe)
    with new_folder(path) as folder:
        for name, content in contents.items():
            write_bytes(folder / name, content)
        write_json(folder / MANIFEST, manifest)
    return Bundle(path, manifest)


def _pack(golden: Golden) -> bytes:
    buffer = io.BytesIO()
    arrays: dict[str, Any] = {f"image_{i}": image for i, image in enumerate(golden.images)}
    arrays |= {"inputs": golden.inputs, "outputs": golden.outputs, "float_outputs": golden.float_outputs}
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def _unpack(content: bytes) -> Golden:
    arrays = read_npz(content, limit=MAX_GOLDEN)
    inputs, outputs, float_outputs = arrays["inputs"], arrays["outputs"], arrays["float_outputs"]
    fits = inputs.ndim == 4 and outputs.ndim == 2 and len(inputs) == len(outputs)
    if not fits or outputs.shape != float_outputs.shape:
        raise ValueError(f"the shapes {inputs.shape}, {outputs.shape} and {float_outputs.shape} do not fit together")
    if not inputs.dtype == outputs.dtype == float_outputs.dtype == np.float32:
        raise ValueError("the tensors are not float32")
    images = tuple(arrays[f"image_{i}"] for i in range(len(inputs)))
    if any(image.dtype != np.uint8 or image.ndim != 3 for image in images):
        raise ValueError("the images are not uint8 (height, width, channels)")
    return Golden(images, inputs, outputs, float_outputs)
