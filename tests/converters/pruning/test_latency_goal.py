from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from converters.pruning.latency_goal import TOLERANCE, search
from edgeres.errors import ConfigError

CURVES: dict[str, Callable[[float], float]] = {
    "in proportion": lambda part: part,
    "an overhead": lambda part: 0.3 + 0.7 * part,
    "late gains": lambda part: part**0.3,
    "early gains": lambda part: part**3,
    "in steps": lambda part: np.ceil(part * 40) / 40,
}


@pytest.mark.parametrize("name", CURVES)
@pytest.mark.parametrize("share", [0.8, 0.6])
def test_it_finds_the_latency_that_is_asked_for(name: str, share: float) -> None:
    tried: list[float] = []

    def measured(part: float) -> tuple[np.ndarray, float]:
        tried.append(part)
        return np.array([part]), float(CURVES[name](part))

    part = float(search(measured, share, least=0.05)[0])
    assert share * (1 - TOLERANCE) <= CURVES[name](part) <= share
    assert len(tried) <= 8


def test_the_nearest_below_serves_where_no_width_gives_it() -> None:
    def measured(part: float) -> tuple[np.ndarray, float]:
        return np.array([part]), 1.0 if part > 0.7 else 0.4

    assert float(search(measured, 0.6, least=0.05)[0]) <= 0.7


def test_what_cannot_be_reached_says_what_can() -> None:
    with pytest.raises(ConfigError, match=r"0.30 of the whole network's cannot be reached.* measures 0.50"):
        search(lambda part: (np.array([part]), max(0.5, part)), 0.3, least=0.1)
