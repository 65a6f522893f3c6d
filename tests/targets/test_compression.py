from __future__ import annotations

import gzip
import zlib

import numpy as np
import pytest
import zstandard

from targets.compression import compressed


def test_sizes_are_those_of_what_unpacks_to_the_same_bytes() -> None:
    model = np.random.default_rng(0).integers(0, 9, 50_000).astype(np.uint8).tobytes()
    found = compressed(model)
    assert found.zstd is not None
    packed, packed_zstd = gzip.compress(model, 9), zstandard.ZstdCompressor(level=12).compress(model)
    assert (found.gzip, found.zstd) == (len(packed), len(packed_zstd))
    assert zlib.decompress(packed, wbits=31) == zstandard.decompress(packed_zstd) == model


def test_zeros_weigh_little() -> None:
    weights = np.random.default_rng(0).integers(-127, 128, 50_000).astype(np.int8)
    sparse = np.where(np.random.default_rng(1).random(weights.shape) < 0.7, 0, weights).astype(np.int8)
    whole, half = compressed(weights.tobytes()), compressed(sparse.tobytes())
    assert half.gzip < 0.6 * whole.gzip
    assert half.zstd is not None
    assert whole.zstd is not None
    assert half.zstd < 0.6 * whole.zstd


def test_without_zstandard_there_is_gzip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert compressed(b"model" * 100).zstd is None
    assert compressed(b"model" * 100).gzip > 0
