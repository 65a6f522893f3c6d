"""What can be measured: a bundle, a `.tflite`, or a Keras file, each opened to the bytes of a flatbuffer."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from edgeres.bundle import MODEL, is_bundle, open_bundle
from edgeres.data.origin import Origin
from edgeres.errors import ConfigError, EdgeresError, ModelError, require_installed
from edgeres.preprocess import PRESETS, Preprocess, from_option
from edgeres.registry import resolve
from edgeres.storage import sha256_bytes
from edgeres.training.run import is_run
from targets.classifier import check_classifier
from targets.flatbuffer import walk

KERAS_OPENER = "converters.keras_artifact:open_keras_artifact"
"""`(path, preprocess_option, *, trust) -> Artifact` for Keras files, in the layer above: a device has neither."""

KERAS_SUFFIXES = (".keras", ".h5", ".hdf5")
SAVED_MODEL = "saved_model.pb"
"""The file that makes a folder a SavedModel."""

_KINDS = "give a bundle, a .tflite, a .keras or .h5 file, or a SavedModel"

MAX_BYTES = 2 << 30
"""A flatbuffer cannot be larger: its offsets are 32-bit, and signed in most readers."""


@dataclass(frozen=True)
class Artifact:
    """A model to measure: `path` as the user gave it, `model` the bytes of the flatbuffer that runs.

    `preprocess`, `labels` and `origin` (what it was trained on) are None where the file does not carry them;
    `recipe` is the name of the conversion recipe, for a bundle. `trusted`: code in the Keras file may run.
    """

    name: str
    path: str
    kind: Literal["bundle", "tflite", "keras"]
    model: bytes
    preprocess: Preprocess | None = None
    labels: tuple[str, ...] | None = None
    recipe: str | None = None
    origin: Origin | None = None
    trusted: bool = False

    @property
    def sha256(self) -> str:
        """SHA-256 of the flatbuffer."""
        return sha256_bytes(self.model)

    def require_preprocess(self) -> Preprocess:
        """The preprocessing contract, for whoever needs pixels.

        Raises:
            ConfigError: the file carries none and no option gave it.
        """
        if self.preprocess is None:
            raise ConfigError(
                f"{self.path} does not say how pixels become its input",
                details=(f"presets: {', '.join(PRESETS)}; or a YAML file of the contract",),
                fix="say what it was trained with: --preprocess P",
            )
        return self.preprocess


def open_artifact(path: Path | str, preprocess_option: str | None = None, *, trust: bool = False) -> Artifact:
    """Open what a path holds; `preprocess_option` is used where the file carries no preprocessing of its own.

    `trust`: code in a Keras file may run.

    Raises:
        ModelError: nothing there, or nothing that can be measured.
        ArtifactError: a bundle that was altered, or bytes that are no well-formed flatbuffer.
        ConfigError: the option fits no preset, or not this model.
        MissingExtraError: a Keras file, where TensorFlow is not installed.
    """
    place, given = Path(path), str(path)
    if not place.exists():
        raise ModelError(f"{given} does not exist", fix="check the path; expected a bundle, a .tflite or a Keras file")
    if is_bundle(place):
        return _open_bundle(place, given)
    if place.suffix.lower() in KERAS_SUFFIXES or (place / SAVED_MODEL).is_file():
        return _open_keras(place, preprocess_option, trust=trust)
    if place.is_dir():
        fix = f"name its model: {place / 'model.keras'}" if is_run(place) else "give the folder with manifest.json"
        raise ModelError(f"{given} is a folder, but no bundle", fix=fix)
    return _open_tflite(place, given, preprocess_option)


def open_artifacts(
    paths: Sequence[Path | str], preprocess_option: str | None = None, *, trust: bool = False
) -> tuple[Artifact, ...]:
    """Open several, each with a name that no other has; see `unique_names`."""
    return unique_names([open_artifact(path, preprocess_option, trust=trust) for path in paths])


def unique_names(artifacts: Sequence[Artifact]) -> tuple[Artifact, ...]:
    """The same artifacts; where files share a name: with its extension, or its folder, or a number."""
    files = {(artifact.name, os.path.realpath(artifact.path)) for artifact in artifacts}
    shared = Counter(name for name, _ in files)
    whole = Counter(Path(path).name for _, path in files)
    named = [replace(one, name=_longer(one, whole)) if shared[one.name] > 1 else one for one in artifacts]
    taken: Counter[str] = Counter()
    unique = []
    for one in named:
        name = one.name
        while taken[name]:  # the same file twice, or folders of one name further up
            taken[one.name] += 1
            name = f"{one.name}#{taken[one.name]}"
        taken[name] += 1
        unique.append(replace(one, name=name))
    return tuple(unique)


def _longer(one: Artifact, whole: Counter[str]) -> str:
    file = Path(os.path.realpath(one.path))
    return file.name if whole[file.name] == 1 else f"{file.parent.name}/{one.name}"


def choose_baseline(artifacts: Sequence[Artifact]) -> int | None:
    """The place of what the others are compared with: the first Keras file, else the first; None for a single one."""
    if len(artifacts) < 2:
        return None
    return next((place for place, artifact in enumerate(artifacts) if artifact.kind == "keras"), 0)


def open_compared(
    paths: Sequence[str], *, baseline: str | None, preprocess_option: str | None = None, trust: bool = False
) -> tuple[tuple[Artifact, ...], int | None]:
    """Open what a command line names, and find the baseline among it; one that is not named comes first.

    Raises:
        EdgeresError: see `open_artifact`.
    """
    if baseline is None:
        artifacts = open_artifacts(paths, preprocess_option, trust=trust)
        return artifacts, choose_baseline(artifacts)
    places = [place for place, path in enumerate(paths) if os.path.realpath(path) == os.path.realpath(baseline)]
    if places:
        return open_artifacts(paths, preprocess_option, trust=trust), places[0]
    return open_artifacts([baseline, *paths], preprocess_option, trust=trust), 0


def _open_bundle(place: Path, given: str) -> Artifact:
    bundle = open_bundle(place)
    return Artifact(
        name=place.absolute().name,
        path=given,
        kind="bundle",
        model=bundle.read(MODEL),
        preprocess=bundle.manifest.preprocess,
        labels=bundle.labels,
        recipe=str(bundle.manifest.recipe["name"]) if "name" in bundle.manifest.recipe else None,
        origin=bundle.manifest.data,
    )


def _open_keras(place: Path, preprocess_option: str | None, *, trust: bool) -> Artifact:
    require_installed("tensorflow", extra="convert", purpose=f"opening the Keras file {place}")
    opener: Callable[..., Artifact] = resolve(KERAS_OPENER)
    return opener(place, preprocess_option, trust=trust)


def _open_tflite(place: Path, given: str, preprocess_option: str | None) -> Artifact:
    model = read_flatbuffer(place)
    contract = None if preprocess_option is None else _contract(model, given, preprocess_option)
    return Artifact(name=place.stem, path=given, kind="tflite", model=model, preprocess=contract)


def read_flatbuffer(place: Path) -> bytes:
    """The bytes of a `.tflite`: of a regular file that is not larger than a flatbuffer can be.

    Raises:
        ModelError: it is not one.
    """
    given = str(place)
    try:
        if not place.is_file():
            raise ModelError(f"{given} is not a regular file", fix=_KINDS)
        if (size := place.stat().st_size) > MAX_BYTES:
            raise ModelError(f"{given} has {size:,} bytes, a .tflite has at most {MAX_BYTES:,}")
        content = place.read_bytes()
    except OSError as problem:
        raise ModelError(f"{given} cannot be read: {problem.strerror}") from problem
    if place.suffix.lower() != ".tflite" and content[4:8] != b"TFL3":
        raise ModelError(f"{given} is nothing that can be measured", fix=_KINDS)
    return content


def _contract(model: bytes, given: str, option: str) -> Preprocess:
    """What the option means for the model's input size, read from the flatbuffer."""
    try:
        graph = walk(model)
        check_classifier(graph)
    except EdgeresError as error:
        raise type(error)(f"{given}: {error.message}", details=error.details, fix=error.fix) from error
    _, height, width, depth = graph.inputs[0].shape
    return from_option(option, height=height, width=width, depth=depth)
