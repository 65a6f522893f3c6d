"""A Keras file as something to measure: its float32 flatbuffer, exported once and kept in the cache."""

from __future__ import annotations

from pathlib import Path

from converters.pipeline import float_flatbuffer
from edgeres.contracts import contract_for
from edgeres.keras_file import KerasFile, read_keras_file
from edgeres.preprocess import Preprocess
from targets.artifact import Artifact


def open_keras_artifact(path: Path, preprocess_option: str | None, *, trust: bool = False) -> Artifact:
    """Open a Keras file as its float32 flatbuffer; the option is for a file that carries no preprocessing.

    `trust`: code in the file may run.

    Raises:
        ModelError: not a Keras file, refused before loading, or not convertible.
        ConfigError: a preprocessing option that does not fit the model.
    """
    file = read_keras_file(path, trust=trust)
    if file.card is not None:
        return float_artifact(file, file.card.preprocess)
    return float_artifact(file, contract_for(file, preprocess_option) if preprocess_option else None)


def float_artifact(file: KerasFile, contract: Preprocess | None) -> Artifact:
    """The float32 flatbuffer of a Keras file, to be fed through `contract`."""
    return Artifact(
        name=file.path.stem,
        path=str(file.path),
        kind="keras",
        model=float_flatbuffer(file).read_bytes(),
        preprocess=contract,
        labels=file.card.labels if file.card else None,
        origin=file.card.origin if file.card else None,
        trusted=file.trusted,
    )
