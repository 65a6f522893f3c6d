"""Where int8 rounds: which weights and which layers' outputs tfmot rounds while a network is trained.

TFLite rounds what each of its operators gives, and an operator takes up the batch norm and the ReLU behind it. tfmot's
layout transforms tell Keras so; what they get wrong is put right here:

    weights → ReLU             tfmot rounds no weights at all, hence keeps no zeros either
    anything → concatenation   tfmot forgets which weights are zero, and knows no concatenation of more than six. TFLite
                               has one range for all that is joined, and for what joins that again: so does training
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import tensorflow as tf
import tensorflow_model_optimization as tfmot
import tf_keras as keras
from tensorflow_model_optimization.quantization.keras import default_8bit
from tensorflow_model_optimization.quantization.keras.collab_opts import Default8BitPrunePreserveQuantizeScheme

from converters.quantization.standalone_norms import StandaloneNorm

_WEIGHTED = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.Dense)
_IDENTITIES = (keras.layers.Dropout, keras.layers.SpatialDropout2D)
_OUTSIDE = (keras.layers.Rescaling, keras.layers.Normalization, keras.layers.Resizing, keras.layers.CenterCrop)
_PASSING = (
    keras.layers.InputLayer,
    keras.layers.MaxPooling2D,
    keras.layers.ZeroPadding2D,
    keras.layers.Cropping2D,
    keras.layers.Reshape,
    keras.layers.Flatten,
)
_OWN_ROUNDING = (keras.layers.Concatenate, keras.layers.AveragePooling2D)
_ROUNDED_AFTER = (*_OUTSIDE, StandaloneNorm, keras.layers.Multiply)


class _SharedRange(tfmot.quantization.keras.quantizers.MovingAverageQuantizer):  # type: ignore[misc]  # no types
    """A range that several layers share: rounds by it; `leader` is the one that also moves it while it is trained.

    What joins all the others leads: a part's range would only narrow it.
    """

    def __init__(self, leader: _SharedRange | None = None) -> None:
        super().__init__(num_bits=8, per_axis=False, symmetric=False, narrow_range=False)
        self._leader = leader
        self._ranges: dict[str, Any] | None = None

    def build(self, tensor_shape: Any, name: str, layer: Any) -> dict[str, Any]:
        """The variables of the range, made by whichever layer is built first."""
        if self._leader is not None:
            return self._leader.build(tensor_shape, name, layer)
        if self._ranges is None:
            self._ranges = super().build(tensor_shape, name, layer)
        return self._ranges

    def __call__(self, inputs: Any, training: bool, weights: dict[str, Any], **options: Any) -> Any:
        return super().__call__(inputs, training and self._leader is None, weights, **options)


class _OutputOnly(tfmot.quantization.keras.QuantizeConfig):  # type: ignore[misc]  # tfmot has no types
    """For a layer without weights to round: only what it gives is rounded, if that. The methods are tfmot's interface.

    `quantizer`: None for a range of its own. `rounds`: not where the layer behind it does, within the same operator or
    for all that it joins.
    """

    def __init__(self, *, rounds: bool = True, quantizer: Any = None) -> None:
        self._rounds, self._quantizer = rounds, quantizer

    def get_weights_and_quantizers(self, layer: Any) -> list[Any]:  # noqa: ARG002
        return []

    def get_activations_and_quantizers(self, layer: Any) -> list[Any]:  # noqa: ARG002
        return []

    def set_quantize_weights(self, layer: Any, quantize_weights: Any) -> None:
        pass

    def set_quantize_activations(self, layer: Any, quantize_activations: Any) -> None:
        pass

    def get_output_quantizers(self, layer: Any) -> list[Any]:  # noqa: ARG002
        return [self._quantizer or _SharedRange()] if self._rounds else []

    def get_config(self) -> dict[str, Any]:
        return {"rounds": self._rounds}


SCOPE: dict[str, Any] = {"_OutputOnly": _OutputOnly, "StandaloneNorm": StandaloneNorm}
"""What tfmot looks up by name when it copies an annotated model."""


def annotate(layer: Any) -> Any:
    """Mark a layer for tfmot, to be rounded as the scheme says.

    What a StandaloneNorm multiplies by needs no rounding: a scale for each channel holds the one factor of it exactly.
    """
    config = _OutputOnly(rounds=not _before_relu(layer)) if isinstance(layer, _ROUNDED_AFTER) else None
    return tfmot.quantization.keras.quantize_annotate_layer(layer, quantize_config=config)


def _before_relu(layer: Any) -> bool:
    """Whether a norm is read by a ReLU alone, which its operator then takes up."""
    readers = [node.outbound_layer for node in layer.outbound_nodes]
    return isinstance(layer, StandaloneNorm) and len(readers) == 1 and _is_relu(readers[0])


def _is_relu(layer: Any) -> bool:
    named = isinstance(layer, keras.layers.Activation) and layer.activation is keras.activations.relu
    return named or isinstance(layer, keras.layers.ReLU)


def scheme(*, preserve_zeros: bool) -> Any:
    """A scheme of tfmot for int8 with this module's layout; with `preserve_zeros` weights that are zero stay zero."""
    base = Default8BitPrunePreserveQuantizeScheme if preserve_zeros else default_8bit.Default8BitQuantizeScheme

    class Scheme(base):  # type: ignore[misc, valid-type]  # one of two classes without types
        def get_layout_transformer(self) -> Any:
            return _Layout(self)

    return Scheme()


class _Layout(default_8bit.Default8BitQuantizeLayoutTransform):  # type: ignore[misc]
    """tfmot's transforms, then what is put right."""

    def __init__(self, scheme: Any) -> None:
        self._scheme = scheme

    def apply(self, model: Any, layer_quantize_map: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """A tf_keras model and the configurations by layer name to the transformed ones; tfmot's interface."""
        model, chosen = super().apply(model, layer_quantize_map)
        joined = _joined(model)
        for layer in model.layers:
            if layer.name not in chosen:
                continue
            tfmots = chosen[layer.name].get("quantize_config")
            if isinstance(layer, _WEIGHTED) and (tfmots is not None or layer.name in joined):
                chosen[layer.name] = {"quantize_config": self._weighted(layer, joined.get(layer.name))}
            elif layer.name in joined and not isinstance(layer, _PASSING):
                quantizer = joined[layer.name]
                chosen[layer.name] = {"quantize_config": _OutputOnly(rounds=quantizer is not None, quantizer=quantizer)}
        return model, chosen

    def _weighted(self, layer: Any, quantizer: _SharedRange | None) -> Any:
        """The scheme's configuration of a layer with weights, a new one, that rounds what it gives by `quantizer`."""
        config = self._scheme.get_quantize_registry().get_quantize_config(layer)
        config.activation_attrs = []
        config.get_output_quantizers = lambda layer: [] if quantizer is None else [quantizer]  # noqa: ARG005
        return config


def _joined(model: Any) -> dict[str, _SharedRange | None]:
    """For each concatenation and each layer that one joins, the range that it rounds by; None for none.

    What is read by a concatenation alone is rounded there; but TFLite's average pooling rounds as its input is rounded.
    """
    found: dict[str, _SharedRange | None] = {}
    joints = [layer for layer in model.layers if isinstance(layer, keras.layers.Concatenate)]
    for layer in reversed(joints):  # one that is joined again comes before the one that joins it
        leader = found.get(layer.name) or _SharedRange()
        found.setdefault(layer.name, leader)
        for source in _sources(layer):
            alone = not isinstance(source, _OWN_ROUNDING) and len(source.outbound_nodes) == 1
            found.setdefault(source.name, None if alone else _SharedRange(leader))
    return found


def _sources(layer: Any) -> Iterator[Any]:
    """The layers whose outputs a layer reads, seen through what changes nothing when the network runs."""
    for node in layer.inbound_nodes:
        for tensor in tf.nest.flatten(node.input_tensors):
            source = tensor._keras_history.layer  # Keras has no public name
            if isinstance(source, _IDENTITIES):
                yield from _sources(source)
            else:
                yield source
