"""What one image file is, as the audit needs it: its format, mode, size and pixels."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
from PIL import Image

from edgeres.data.images import Images
from edgeres.errors import DataError
from edgeres.preprocess import FORMATS, open_image

_SUFFIXES = {
    "JPEG": (".jpg", ".jpeg"),
    "PNG": (".png",),
    "BMP": (".bmp",),
    "GIF": (".gif",),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
}
_FORMAT_OF = {suffix: kind for kind, suffixes in _SUFFIXES.items() for suffix in suffixes}


@dataclass(frozen=True)
class Look:
    """An image: `digest` is 64 bits of the hash of its decoded RGB pixels and size; `claims` what its name says it is.

    `kind` and `claims` are formats of Pillow; None where the source holds pixels, or the name says nothing.
    """

    kind: str | None
    claims: str | None
    mode: str
    width: int
    height: int
    digest: int

    @property
    def misnamed(self) -> bool:
        """Whether the file is of another format than its extension says."""
        return self.kind is not None and self.claims is not None and self.kind != self.claims


def look(images: Images, index: int) -> Look | str:
    """An image, or why it cannot be decoded."""
    try:
        content = images.read(index)
        if isinstance(content, bytes) and not content:
            return "the file is empty"
        image = open_image(content)
    except DataError as error:
        return error.message
    pixels = np.asarray(image)
    digest = hashlib.blake2b(repr(pixels.shape).encode(), digest_size=8)
    digest.update(pixels.tobytes())
    kind, mode = _header(content) if isinstance(content, bytes) else (None, image.mode)
    claims = _FORMAT_OF.get(PurePosixPath(images.name(index)).suffix.lower())
    return Look(kind, claims, mode, image.width, image.height, int.from_bytes(digest.digest(), "little"))


def _header(content: bytes) -> tuple[str | None, str]:
    with Image.open(io.BytesIO(content), formats=FORMATS) as image:
        return "JPEG" if image.format == "MPO" else image.format, image.mode
