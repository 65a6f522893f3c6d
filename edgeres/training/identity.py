"""Which model it is: what a run records of the models that went into it, so that it goes on with the same ones."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np

from edgeres.keras_file import KerasFile
from edgeres.training.run import IN_MEMORY


def source_of_file(file: KerasFile) -> str:
    """A file, with the SHA-256 of its content."""
    return f"{file.path} ({file.sha256})"


def source_of_model(model: Any) -> str:
    """A tf_keras model in memory: its name, with the SHA-256 of its configuration and its weights."""
    return f"{model.name}{IN_MEMORY} ({sha256_model(model)})"


def sha256_model(model: Any) -> str:
    """SHA-256 of a tf_keras model's configuration and weights, the same in every process."""
    config = json.loads(model.to_json())["config"]
    digest = hashlib.sha256(json.dumps(config, sort_keys=True).encode())
    for weight in model.get_weights():
        values = np.asarray(weight)
        digest.update(f"{values.dtype} {values.shape}".encode())
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()


def same_model(one: str | None, other: str | None) -> bool:
    """Whether two records mean the same content, wherever its file lies."""
    return (one and one.rpartition(" (")[2]) == (other and other.rpartition(" (")[2])
