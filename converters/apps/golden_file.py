"""golden.bin: the golden tensors for languages without a reader of .npz."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeres.preprocess import open_image

MAGIC = b"EDGERES1"


def packed(images: Sequence[NDArray[np.uint8]], inputs: NDArray[Any], outputs: NDArray[Any]) -> bytes:
    """The magic word and a count; for each height, width, RGB image, input and output; all little-endian.

    `images`: uint8 (h, w, 3) each. `inputs`, `outputs`: one for each image along the first axis, of the types in which
    the app holds them.
    """
    parts = [MAGIC, struct.pack("<i", len(images))]
    for image, values, scores in zip(images, inputs, outputs, strict=True):
        pixels = np.asarray(open_image(image))
        parts += [struct.pack("<ii", *pixels.shape[:2]), pixels.tobytes(), _little(values), _little(scores)]
    return b"".join(parts)


def _little(values: NDArray[Any]) -> bytes:
    return values.astype(values.dtype.newbyteorder("<")).tobytes()
