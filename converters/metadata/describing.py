"""A classifier's metadata, as far as the schema and the clients that read it can follow the contract."""

from __future__ import annotations

import numpy as np

from converters.metadata.attachment import attached
from converters.metadata.tables import LABEL_FILE, Normalization, classifier
from edgeres.preprocess import Preprocess
from targets.flatbuffer import walk
from targets.graph import Graph, Tensor
from targets.scaling import quantize

COMPLETE = "complete"
_FLOAT_ENDS = "convert with --set quantize.io=float32"


class _UntoldError(Exception):
    """Why a contract cannot be told."""


def described(model: bytes, *, name: str, contract: Preprocess, labels: tuple[str, ...]) -> tuple[bytes, str]:
    """A model with its metadata, and what that says: `COMPLETE`, or "in part: …", or "none: …" with the reason.

    Where the metadata would mislead a client into other inputs, the model is given back as it is.
    """
    graph = walk(model)
    try:
        normalization = _normalization(contract, graph.inputs[0])
        description = classifier(name, normalization, probabilities=graph.gives_probabilities)
        files = {LABEL_FILE: "".join(f"{label}\n" for label in labels).encode("utf-8")}
        return attached(model, description, files), _told(contract, graph)
    except (_UntoldError, ValueError) as reason:
        return model, f"none: {reason}"


def _normalization(contract: Preprocess, image: Tensor) -> Normalization:
    if contract.channels != "rgb":
        raise _UntoldError(f"clients give RGB images, the model takes {contract.channels}")
    if image.dtype == "uint8" and not _takes_pixels(contract, image):
        raise _UntoldError(
            f"clients give the pixels as they are, the model's uint8 input is scaled otherwise ({_FLOAT_ENDS})"
        )
    mean = np.resize(np.asarray(contract.mean) / contract.scale, 3)
    std = np.resize(np.asarray(contract.std) / contract.scale, 3)
    if (std <= 0).any():
        raise _UntoldError("the schema knows no negative deviation")
    return Normalization(tuple(mean.tolist()), tuple(std.tolist()))


def _takes_pixels(contract: Preprocess, image: Tensor) -> bool:
    """Whether the stored input is the pixel itself, to one step."""
    if len(image.scales) != 1:
        return False
    pixels = np.repeat(np.arange(256, dtype=np.uint8)[:, np.newaxis], 3, axis=1)
    real = contract.normalize(pixels)
    stored = quantize(real, image.dtype, scale=image.scales[0], zero_point=image.zero_points[0])
    return int(np.abs(stored.astype(np.int64) - pixels).max()) <= 1


def _told(contract: Preprocess, graph: Graph) -> str:
    """What a client cannot know of the geometry, or will not take."""
    lacks = []
    if (dtype := graph.inputs[0].dtype) not in ("float32", "uint8"):
        lacks.append(f"clients take float32 or uint8 inputs, not {dtype} ({_FLOAT_ENDS})")
    elif len(set(contract.mean)) > 1 or len(set(contract.std)) > 1:
        lacks.append("MediaPipe takes one mean and one deviation for all channels, and refuses others")
    if contract.resize != "stretch":
        lacks.append(f"clients stretch the whole image, the contract says {contract.resize}")
    return f"in part: {'; '.join(lacks)}" if lacks else COMPLETE
