"""Removes channels: the same network with smaller layers, and the masked one that it must agree with."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from converters.pruning.graph import ChannelGraph, Kept, Weight
from edgeres.errors import ModelError
from edgeres.rebuild.proof import excess
from edgeres.training.copying import Form, copied, weights_of


def shrink(model: Any, graph: ChannelGraph, kept: Kept) -> Any:
    """A new model of the same layers, named alike, with the kept channels and their weights only."""
    weights = weights_of(model)
    for weight in graph.weights:
        values = weights[weight.layer]
        values[weight.index] = weight.sliced(values[weight.index], kept)

    def smaller(layer: Any) -> Form:
        return type(layer), {**layer.get_config(), **_smaller_settings(layer, graph, kept)}

    return copied(model, smaller, weights=weights)


def masked(model: Any, graph: ChannelGraph, kept: Kept) -> Any:
    """A copy of the model, sizes unchanged, in which the other channels are zero and nothing reads them."""
    weights = weights_of(model)
    for weight in graph.weights:
        if weight.role == "statistic":
            continue
        weights[weight.layer][weight.index] = zeroed(weight, weights[weight.layer][weight.index], kept)
    return copied(model, lambda layer: (type(layer), layer.get_config()), weights=weights)


def zeroed(weight: Weight, values: NDArray[Any], kept: Kept) -> NDArray[Any]:
    """A copy of a weight's values that is zero at the other channels."""
    values = np.array(values)
    for number, axis in enumerate(weight.axes):
        if axis is not None:
            values[(slice(None),) * number + (~kept[axis],)] = 0
    return values


def require_equal(model: Any, graph: ChannelGraph, kept: Kept, small: Any) -> None:
    """Prove, on random images, that a shrunk network computes what the masked one does (see `edgeres.rebuild.proof`).

    Raises:
        ModelError: it does not: a mistake of the channel graph, never to be written to a file.
    """
    difference = excess(masked(model, graph, kept), small)
    if difference is not None:
        raise ModelError(
            f"the shrunk network's outputs differ from the masked one's by {difference:.2g} of the largest",
            fix="please report this network; convert it without the step 'slim' meanwhile",
        )


def _smaller_settings(layer: Any, graph: ChannelGraph, kept: Kept) -> dict[str, Any]:
    """What changes in a layer's configuration."""
    if layer.name not in graph.layers:  # an input
        return {}
    channels = graph.layers[layer.name]
    output, kind = int(kept[channels.output].sum()), type(layer).__name__
    if kind in ("Conv2D", "Conv2DTranspose", "SeparableConv2D"):
        return {"filters": output}
    if kind == "Dense":
        return {"units": output}
    if kind == "Reshape":
        shape = tuple(layer.get_output_shape_at(0)[1:])
        return {"target_shape": (*shape[:-1], output)}
    if kind == "ZeroPadding2D" and layer.data_format == "channels_first":
        before, after = layer.padding[1]
        ends = channels.output[:before], channels.output[len(channels.output) - after :]
        return {"padding": ((0, 0), tuple(int(kept[end].sum()) for end in ends))}
    return {}
