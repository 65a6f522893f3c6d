"""The colours of artifacts, as eyes without the cones for red or green see them (Machado et al., 2009)."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeres.report.chart import SERIES
from edgeres.report.html import asset

Color = NDArray[np.float64]
"""Linear red, green and blue: float64 (3,)."""

_EYES = {
    "all cones": np.eye(3),
    "no green": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "no red": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
}
_TO_XYZ = np.array([[0.4339, 0.3762, 0.1899], [0.2126, 0.7152, 0.0722], [0.0177, 0.1095, 0.8727]])


def _theme(name: str) -> str:
    light, dark = asset("report.css").split("@media (prefers-color-scheme: dark)")[:2]
    return light if name == "light" else dark


def _color(theme: str, variable: str) -> Color:
    found = re.search(rf"--{variable}: #([0-9a-f]{{6}})", theme)
    assert found is not None
    values = np.array([int(found[1][at : at + 2], 16) / 255 for at in (0, 2, 4)])
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def _lab(color: Color) -> Color:
    xyz = _TO_XYZ @ np.clip(color, 0, 1)
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("eyes", _EYES)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_any_two_artifacts_can_be_told_apart(theme: str, eyes: str) -> None:
    seen = [_lab(_EYES[eyes] @ _color(_theme(theme), f"series-{index}")) for index in range(SERIES)]
    for (one, first), (two, second) in itertools.combinations(enumerate(seen), 2):
        assert np.linalg.norm(first - second) > 15, (one, two)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_artifacts_stand_out_from_the_card(theme: str) -> None:
    """A contrast of 3, as WCAG 2 asks of graphics."""
    weights = np.array([0.2126, 0.7152, 0.0722])
    card = float(weights @ _color(_theme(theme), "card"))
    for index in range(SERIES):
        own = float(weights @ _color(_theme(theme), f"series-{index}"))
        assert (max(own, card) + 0.05) / (min(own, card) + 0.05) >= 3, index
