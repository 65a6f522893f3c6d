"""What a flatbuffer weighs once it is compressed: the size of a download."""

from __future__ import annotations

import gzip
import importlib.util

from edgeres.results import Download

GZIP_LEVEL = 9
ZSTD_LEVEL = 12
"""High, for a model is compressed once and sent often; not the highest, which takes minutes for 100 MB."""


def compressed(model: bytes) -> Download:
    """Compress a flatbuffer by gzip, and by zstd where `zstandard` is installed (it is optional), and count."""
    zstd = None
    if importlib.util.find_spec("zstandard"):
        import zstandard

        zstd = len(zstandard.ZstdCompressor(level=ZSTD_LEVEL).compress(model))
    return Download(gzip=len(gzip.compress(model, GZIP_LEVEL)), zstd=zstd)
