from __future__ import annotations

import sys

from edgeres.depth import MOST_LAYERS, allow_layers


def test_the_limit_is_raised_and_never_lowered_or_raised_beyond_reason() -> None:
    before = sys.getrecursionlimit()
    try:
        sys.setrecursionlimit(1000)
        allow_layers(1202)
        assert sys.getrecursionlimit() == 1000 + 4 * 1202
        allow_layers(5)
        assert sys.getrecursionlimit() == 1000 + 4 * 1202
        allow_layers(10**9)
        assert sys.getrecursionlimit() == 1000 + 4 * MOST_LAYERS
    finally:
        sys.setrecursionlimit(before)
