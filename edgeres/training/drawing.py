"""Layers that draw: dropout, noise, random changes of images.

What they draw in an epoch follows from the seed and the epoch alone, as the order of the images does, so that a resumed
training draws what an uninterrupted one would.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tf_keras as keras

from edgeres.training.copying import copied

_Drawing = keras.__internal__.layers.BaseRandomLayer


def with_generators(model: Any) -> Any:
    """A copy whose layers draw from generators that can be set; the model itself where none draws."""
    if not _drawing(model):
        return model

    def form(layer: Any) -> Any:
        own = {"rng_type": "stateful"} if isinstance(layer, _Drawing) else {}
        return type(layer), {**layer.get_config(), **own}

    return copied(model, form)


def set_generators(model: Any, *, seed: int, epoch: int) -> None:
    """Set what the layers of a model draw next; replicas draw differently. See `with_generators`."""
    for number, layer in enumerate(_drawing(model)):
        state = np.random.SeedSequence((seed, epoch, number)).generate_state(1)[0]
        layer._random_generator._generator.reset_from_seed(int(state))  # Keras has no public name for it


def _drawing(model: Any) -> list[Any]:
    return [layer for layer in model.layers if isinstance(layer, _Drawing)]
