"""The description of a classifier as a flatbuffer of the metadata schema."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import flatbuffers

IDENTIFIER = b"M001"
LABEL_FILE = "labels.txt"

_RGB = 1
_FEATURES, _IMAGE = 1, 2  # kinds of content
_NORMALIZATION = 1  # a kind of process unit
_AXIS_LABELS = 2  # a type of associated file
_PARSER = "1.0.0"
"""The oldest reader of the schema knows all that is written here."""


@dataclass(frozen=True)
class Normalization:
    """What makes the input of a pixel in 0…255: (pixel − mean) ÷ std, one number for each of R, G, B."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


def classifier(name: str, normalization: Normalization, *, probabilities: bool) -> bytes:
    """The description: an RGB image in, scores out whose classes `LABEL_FILE` names.

    `probabilities`: whether the scores lie in 0…1.
    """
    builder = flatbuffers.Builder(512)
    low = [-mean / std for mean, std in zip(normalization.mean, normalization.std, strict=True)]
    high = [(255 - mean) / std for mean, std in zip(normalization.mean, normalization.std, strict=True)]
    image = _tensor(
        builder,
        "image",
        "The image, upright and whole.",
        content=_content(builder, _IMAGE, _record(builder, 2, bytes_={0: _RGB})),
        units=[_process_unit(builder, normalization)],
        stats=(high, low),
    )
    labels = _record(builder, 5, offsets={0: builder.CreateString(LABEL_FILE)}, bytes_={2: _AXIS_LABELS})
    scores = _tensor(
        builder,
        "score",
        "A score for each class.",
        content=_content(builder, _FEATURES, _record(builder, 0)),
        files=[labels],
        stats=([1.0], [0.0]) if probabilities else None,
    )
    inputs, outputs = _offsets(builder, [image]), _offsets(builder, [scores])
    subgraph = _record(builder, 10, offsets={2: inputs, 3: outputs})
    parts = {0: builder.CreateString(name), 3: _offsets(builder, [subgraph]), 7: builder.CreateString(_PARSER)}
    builder.Finish(_record(builder, 8, offsets=parts), file_identifier=IDENTIFIER)
    return bytes(builder.Output())


def _tensor(
    builder: flatbuffers.Builder,
    name: str,
    description: str,
    *,
    content: int,
    units: Sequence[int] = (),
    files: Sequence[int] = (),
    stats: tuple[Sequence[float], Sequence[float]] | None,
) -> int:
    """A TensorMetadata; `stats`: the largest values and the smallest."""
    parts = {0: builder.CreateString(name), 1: builder.CreateString(description), 3: content}
    if units:
        parts[4] = _offsets(builder, units)
    if stats is not None:
        parts[5] = _record(builder, 2, offsets={slot: _floats(builder, each) for slot, each in enumerate(stats)})
    if files:
        parts[6] = _offsets(builder, files)
    return _record(builder, 7, offsets=parts)


def _content(builder: flatbuffers.Builder, kind: int, properties: int) -> int:
    return _record(builder, 3, bytes_={0: kind}, offsets={1: properties})


def _process_unit(builder: flatbuffers.Builder, normalization: Normalization) -> int:
    values = {0: _floats(builder, normalization.mean), 1: _floats(builder, normalization.std)}
    return _record(builder, 2, bytes_={0: _NORMALIZATION}, offsets={1: _record(builder, 2, offsets=values)})


def _record(
    builder: flatbuffers.Builder,
    slots: int,
    *,
    offsets: dict[int, int] | None = None,
    bytes_: dict[int, int] | None = None,
) -> int:
    """A table by the numbers of its fields: offsets to other parts, and numbers of 8 bits."""
    builder.StartObject(slots)
    for slot, offset in (offsets or {}).items():
        builder.PrependUOffsetTRelativeSlot(slot, offset, 0)
    for slot, value in (bytes_ or {}).items():
        builder.PrependUint8Slot(slot, value, 0)
    return int(builder.EndObject())


def _offsets(builder: flatbuffers.Builder, parts: Sequence[int]) -> int:
    builder.StartVector(4, len(parts), 4)
    for part in reversed(parts):
        builder.PrependUOffsetTRelative(part)
    return int(builder.EndVector())


def _floats(builder: flatbuffers.Builder, values: Sequence[float]) -> int:
    builder.StartVector(4, len(values), 4)
    for value in reversed(values):
        builder.PrependFloat32(value)
    return int(builder.EndVector())
