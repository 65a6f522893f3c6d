"""Shows that a rebuilt model computes what the original does.

Outputs on random images must agree to 1e-5 of the largest one. The two generations do not round alike (Keras 3 does not
fuse its batch norms), and a deep network with large weights amplifies rounding: where one exceeds 1e-5 by itself, its
outputs must agree to twice what a change of its input by a millionth does to them, and to 1e-3 in any case.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

LARGEST_DIFFERENCE = 1e-5
"""Of an output, relative to the largest one (at least `_FLOOR`)."""

_LARGEST_AMPLIFIED = 1e-3
_ROUNDING = 1e-6
_FLOOR = 1e-3
# Pixels as 0…1, -1…1 and 0…255: a network saturates on one scale and is nearly constant on another.
_SCALES = ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0))


def excess(model: Any, rebuilt: Any) -> float | None:
    """The largest difference of an output, relative to the largest one, where it is beyond tolerance; else None."""
    random = np.random.default_rng(0)
    worst = None
    for low, high in _SCALES:
        image = random.uniform(low, high, (1, *rebuilt.input_shape[1:])).astype(np.float32)
        expected = _run(model, image)
        scale = max(_FLOOR, float(np.abs(expected).max()))
        difference = float(np.abs(_run(rebuilt, image) - expected).max()) / scale
        if difference <= LARGEST_DIFFERENCE:
            continue
        if not difference <= min(
            2 * amplified_rounding(model, image) / scale, _LARGEST_AMPLIFIED
        ):  # also where it is NaN
            worst = difference if worst is None else float(np.maximum(worst, difference))
    return worst


def amplified_rounding(model: Any, image: NDArray[np.float32]) -> float:
    """The largest change of an output where every input value changes by a millionth of itself at most."""
    noise = np.random.default_rng(1).uniform(-_ROUNDING, _ROUNDING, image.shape)
    moved = (image * (1 + noise)).astype(np.float32)
    return float(np.abs(_run(model, moved) - _run(model, image)).max())


def _run(model: Any, image: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.asarray(model(tf.constant(image), training=False), np.float64)
