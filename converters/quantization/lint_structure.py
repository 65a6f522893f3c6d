"""The linter's rules on operators: what could be fused or folded, what is left in float, what has no fixed shape."""

from __future__ import annotations

import math
from collections.abc import Iterator

from converters.quantization.lint_view import FLOATS, UNPACKS, Found, View
from targets.graph import Operator
from targets.layer_names import WEIGHTED

_RELUS = ("RELU", "RELU6", "RELU_N1_TO_1")
_CARRIERS = (*WEIGHTED, "ADD", "SUB", "MUL", "DIV")
_CASTS = ("QUANTIZE", "DEQUANTIZE")
_CONVERT = "convert the float model again with `edgeres convert`"
_KEPT = "none is needed where it was left in float on purpose; else "


def unfused_relu(view: View) -> Iterator[Found]:
    """A ReLU of its own behind an operator whose kernel could apply it, and whose output nothing else reads."""
    rounding = ", and one more rounding" if view.computes_in_integers else ""
    for place, operator in view.operators():
        if operator.kind not in _RELUS or not view.read_once(operator.inputs[0]):
            continue
        before = view.writer(operator.inputs[0])
        if before is None or before.kind not in _CARRIERS or before.activation:
            continue
        source = view.source(operator.inputs[0])
        consequence = (
            f"{operator.kind} is not fused into the {before.kind} before it: one more pass over memory{rounding}"
        )
        yield Found(place, consequence, f"{_CONVERT}, which fuses it", layer=_both(source, view.names[place]))


def _both(first: str, second: str) -> str:
    return first if first == second else f"{first}, {second}"


def unfolded_batch_norm(view: View) -> Iterator[Found]:
    """A product by and a sum with a constant for each channel, which together are a batch norm.

    A warning behind a convolution into which it could be folded; elsewhere a note.
    """
    for place, operator in view.operators():
        if operator.kind != "MUL" or operator.activation or not _by_channel(view, operator):
            continue
        product = operator.outputs[0]
        if not view.read_once(product):
            continue
        after = view.main.operators[view.readers[product][0]]
        if after.kind == "ADD" and after.outputs and _by_channel(view, after):
            yield _batch_norm(view, place, view.activations(operator)[0])


def _by_channel(view: View, operator: Operator) -> bool:
    """Whether an operator takes an activation and a constant with a value for each channel, not one for all."""
    constants = [index for index in operator.inputs if index in view.constants]
    if len(operator.inputs) != 2 or len(constants) != 1 or len(view.activations(operator)) != 1:
        return False
    shape, output = view.tensor(constants[0]).shape, view.tensor(operator.outputs[0]).shape
    return bool(shape and output) and math.prod(shape) == shape[-1] == output[-1] > 1


def _batch_norm(view: View, place: int, scaled: int) -> Found:
    costs = "two more operators that pass over memory"
    if view.computes_in_integers:
        costs += ", two more roundings, and one scale for the factors of all channels"
    before, source = view.writer(scaled), view.source(scaled)
    if before is None or before.kind not in WEIGHTED:
        fix = "none in this network: in one whose convolutions come before their batch norms, all are folded"
        return Found(place, f"a batch norm that no convolution comes before: {costs}", fix, "note")
    if before.activation:
        fix = "train with the batch norm between the convolution and its activation, where it is folded"
        consequence = f"a batch norm behind the {before.activation} of its convolution: {costs}"
        return Found(place, consequence, fix, "note")
    if not view.read_once(scaled):
        fix = "none in this network: something else needs the output that is not normalized"
        return Found(place, f"a batch norm behind a convolution that is also read elsewhere: {costs}", fix, "note")
    return Found(place, f"a batch norm that is not folded into {source}: {costs}", f"{_CONVERT}, which folds it")


def float_island(view: View) -> Iterator[Found]:
    """Operators that compute in float between quantized ones: DEQUANTIZE, what they compute, QUANTIZE."""
    for places in _float_groups(view):
        kinds = {view.main.operators[place].kind for place in places}
        if not kinds.issuperset(_CASTS):
            continue
        inside = [place for place in places if view.main.operators[place].kind not in _CASTS]
        named = ", ".join(dict.fromkeys(_described(view, place) for place in inside))
        consequence = (
            f"{named or 'nothing'} in float between DEQUANTIZE and QUANTIZE: slow, and not for integer-only targets"
        )
        fix = f"{_KEPT}replace it by a layer that is quantized" if inside else f"{_CONVERT}: the pair only rounds"
        yield Found(places[0], consequence, fix, layer=view.names[inside[0]] if inside else "")


def _described(view: View, place: int) -> str:
    kind, layer = view.main.operators[place].kind, view.names[place]
    return layer if layer == f"{kind}_{place}" else f"{kind} of {layer}"


def float_operator(view: View) -> Iterator[Found]:
    """An operator that computes in float at an end of a file that is else quantized; not the softmax of its output."""
    for places in _float_groups(view):
        operators = [view.main.operators[place] for place in places]
        if {operator.kind for operator in operators}.issuperset(_CASTS):
            continue
        for place, operator in zip(places, operators, strict=True):
            last = operator.kind == "SOFTMAX" and view.outputs.issuperset(operator.outputs)
            if operator.kind not in _CASTS and not last:
                consequence = f"{operator.kind} computes in float in a file that is {view.kind}"
                yield Found(place, consequence, f"{_KEPT}quantize it too: integer-only targets refuse it", "note")


def _float_groups(view: View) -> list[list[int]]:
    """The places of operators that read or write float activations, those that share one together."""
    first: dict[int, int] = {}  # float tensor -> the first operator at it
    parent: dict[int, int] = {}  # place -> an earlier one of its group, or itself
    for place, operator in view.operators() if view.computes_in_integers else ():
        if operator.kind in UNPACKS and view.constants.issuperset(operator.outputs):
            continue
        for index in (*view.activations(operator), *operator.outputs):
            if view.tensor(index).dtype in FLOATS:
                one, other = _first_of(parent, first.setdefault(index, place)), _first_of(parent, place)
                parent[max(one, other)] = min(one, other)
    groups: dict[int, list[int]] = {}
    for place in sorted(parent):
        groups.setdefault(_first_of(parent, place), []).append(place)
    return list(groups.values())


def _first_of(parent: dict[int, int], place: int) -> int:
    """The first place of a group; shortens the way to it, or a file of one long chain would take for ever."""
    while (above := parent.setdefault(place, place)) != place:
        parent[place] = place = parent[above]
    return place


def dynamic_shape(view: View) -> Iterator[Found]:
    """An input whose batch or sides are open."""
    for tensor in view.graph.inputs:
        if -1 in tensor.signature:
            noun = "the batch is" if -1 not in tensor.signature[1:] else "sides are"
            shape = " x ".join("?" if size == -1 else str(size) for size in tensor.signature)
            consequence = (
                f"{noun} open ({shape}): some delegates refuse such a file, others compile it anew at each size"
            )
            yield Found(-1, consequence, f"fix the shape: {_CONVERT}, which exports a batch of 1", layer=tensor.name)
