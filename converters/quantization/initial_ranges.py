"""The ranges that int8 divides into 256 steps, set from images before a network is trained with them.

tfmot begins with -6…6 for every tensor and moves by a thousandth of the way in a step: what is larger would be cut off
through all of a short training, and what is smaller have few of the steps.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_model_optimization as tfmot
from numpy.typing import NDArray


def calibrate(model: Any, batches: Iterable[NDArray[np.float32]]) -> None:
    """Set all ranges of a model wrapped by tfmot: of weights to theirs, of outputs to what the batches give unrounded.

    Each batch is float32 (n, height, width, channels). A range holds zero, as TFLite requires.
    """
    settle_weights(model)
    with _observed(model):
        for batch in batches:
            model(tf.constant(batch), training=False)


def settle_weights(model: Any) -> None:
    """Set the ranges of all weights to the weights as they are: after a step of training they are those before it."""
    for layer in _wrapped(model):
        for weight, quantizer, ranges in layer._weight_vars:
            quantizer(weight, training=True, weights=ranges)


class _Observer:
    """Stands in for all quantizers of outputs: widens their ranges to what they see, which passes unrounded."""

    def __init__(self) -> None:
        self._seen: set[Any] = set()

    def __call__(self, inputs: Any, training: bool, weights: dict[str, Any]) -> Any:  # noqa: ARG002  # tfmot's interface
        for end, wider, reduce in (("min_var", tf.minimum, tf.reduce_min), ("max_var", tf.maximum, tf.reduce_max)):
            before = weights[end] if weights[end].ref() in self._seen else 0.0
            weights[end].assign(wider(before, reduce(inputs)))
            self._seen.add(weights[end].ref())  # layers may share a range
        return inputs


@contextmanager
def _observed(model: Any) -> Iterator[None]:
    """Put an observer in the place of the quantizers of outputs, for as long as the block lasts."""
    observer = _Observer()
    restored = [(owner, name, getattr(owner, name)) for owner, name in _places(model)]
    for owner, name, quantizer in restored:
        setattr(owner, name, [observer] if isinstance(quantizer, list) else observer)
    try:
        yield
    finally:
        for owner, name, quantizer in restored:
            setattr(owner, name, quantizer)


def _places(model: Any) -> Iterator[tuple[Any, str]]:
    """Where tfmot keeps the quantizers of what layers give: the object and the name of its attribute."""
    for layer in model.layers:
        if getattr(layer, "quantizer", None) is not None:  # the layer behind the input
            yield layer, "quantizer"
    for layer in _wrapped(model):
        yield from ((activation, "quantizer") for activation in layer._quantize_activations)
        if layer._output_quantizers:
            yield layer, "_output_quantizers"


def _wrapped(model: Any) -> list[Any]:
    return [layer for layer in model.layers if isinstance(layer, tfmot.quantization.keras.QuantizeWrapper)]
