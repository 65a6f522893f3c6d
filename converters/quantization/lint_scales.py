"""The linter's rules on scales: where bits are lost that another scale, or another output, would keep."""

from __future__ import annotations

import math
from collections.abc import Iterator
from statistics import median

from converters.quantization.lint_view import Found, View, levels_bits, lost_bits, weights_of
from targets.layer_names import WEIGHTED
from targets.schema import BITS

KEPT_BITS = 5
"""Of an input of a sum, at least so many bits should lie above one step of the other: a ratio of 8 in int8."""

JOINED_RATIO = 2.0
"""Between the scale of what is joined and the joint one: a whole bit."""

WIDE = 64
"""A scale so many times the median of all is wide: it leaves an activation of the usual range two of eight bits."""

DEAD_RANGE = 256e-7
"""Distance between the smallest and the largest value: what calibration on nothing but zeros leaves is far below."""

SOFTMAX_SCALE = 1 / 256
_PASSING = (
    "PAD",
    "PADV2",
    "RESHAPE",
    "MAX_POOL_2D",
    "AVERAGE_POOL_2D",
    "QUANTIZE",
    "DEQUANTIZE",
    "TRANSPOSE",
    "SQUEEZE",
)
_RECASTS = ("QUANTIZE", "DEQUANTIZE", "RESHAPE")
_KEEP = (
    "see what it costs with `edgeres sensitivity --of quantize`; keep the layer in int16 or float (`quantize.layers`)"
)


def uneven_sum(view: View) -> Iterator[Found]:
    """A sum of two activations of which one is so much narrower that few of its bits count."""
    for place, operator in view.operators():
        inputs = view.activations(operator)
        if operator.kind not in ("ADD", "SUB") or len(inputs) != 2:
            continue
        scales = sorted((scale, index) for index in inputs if (scale := view.scale(index)) is not None)
        if len(scales) < 2:
            continue
        (small, weak), (large, strong) = scales
        bits, lost = levels_bits(view, weak), lost_bits(small, large)
        if bits - lost < KEPT_BITS:
            consequence = (
                f"{view.source(weak)} has a scale {large / small:.3g} times smaller than {view.source(strong)}: "
                f"the sum loses {min(lost, bits):.1f} of its {bits} bits"
            )
            yield Found(place, consequence, _KEEP)


def uneven_join(view: View) -> Iterator[Found]:
    """A concatenation whose inputs have other scales than its output, or were brought to it from far."""
    for place, operator in view.operators():
        for index in view.activations(operator) if operator.kind == "CONCATENATION" else ():
            given, joint = view.scale(index), view.scale(operator.outputs[0])
            if given is None or joint is None:
                continue
            if not _same(view, index, operator.outputs[0]):
                consequence = (
                    f"{view.source(index)} is joined with the scale {given:.3g} into one of {joint:.3g}: int8 kernels "
                    "demand the same and refuse the file, others round once more or clip"
                )
                yield Found(place, consequence, f"{_again()}, which gives all inputs the scale of the output")
            elif far := _far(view, index, joint):
                yield Found(place, far, _KEEP)


def _far(view: View, index: int, joint: float) -> str | None:
    """What an input loses that was requantized to the joint scale; None for under a bit."""
    original = _requantized(view, index)
    if original is None or 1 / JOINED_RATIO <= joint / original <= JOINED_RATIO:
        return None
    lost = lost_bits(original, joint)
    end = f"it loses {lost:.1f} bits" if lost > 0 else "its largest values are clipped"
    return f"{view.source(index)} is requantized from the scale {original:.3g} to {joint:.3g} to be joined: {end}"


def requantization(view: View) -> Iterator[Found]:
    """A QUANTIZE of what is quantized already, to another scale; joins that lose a bit have a rule of their own."""
    for place, operator in view.operators():
        if operator.kind != "QUANTIZE" or _requantized(view, operator.outputs[0]) is None:
            continue
        output = operator.outputs[0]
        if not (_joined(view, output) and _far(view, output, view.scale(output) or 1)):
            consequence = "quantized values are quantized anew to another scale: one more pass over memory and rounding"
            fix = "none is needed: what is joined, or read by two kernels, has to have one scale"
            yield Found(place, consequence, fix, "note")


def _requantized(view: View, index: int) -> float | None:
    """The scale that a tensor had before it was quantized anew; None where it was not, or to the same values."""
    writer = view.writer(index)
    if writer is None or writer.kind != "QUANTIZE" or _same(view, index, writer.inputs[0]):
        return None
    return view.scale(writer.inputs[0])


def _same(view: View, one: int, other: int) -> bool:
    """Whether two tensors stand for the same values by the same integers, apart from an offset between their types."""
    first, second = view.tensor(one), view.tensor(other)
    if len(first.scales) != 1 or len(second.scales) != 1:
        return False
    scales = math.isclose(first.scales[0], second.scales[0], rel_tol=1e-5)
    return scales and first.zero_points[0] - _lowest(first.dtype) == second.zero_points[0] - _lowest(second.dtype)


def _lowest(dtype: str) -> int:
    return 0 if dtype.startswith("u") else -(1 << BITS.get(dtype, 8) - 1)


def _again() -> str:
    return "quantize the float model again with `edgeres convert`"


def per_channel_weights(view: View) -> Iterator[Found]:
    """Weights with a scale for each channel, where the target wants one for all."""
    for place, operator in view.operators() if view.per_tensor else ():
        weights = weights_of(operator)
        if weights >= 0 and len(view.tensor(weights).scales) > 1:
            consequence = "its weights have a scale for each channel: a target with per-tensor kernels refuses it"
            yield Found(
                place, consequence, "quantize with one scale a tensor, or choose a target that has such kernels"
            )


def coarse_softmax(view: View) -> Iterator[Found]:
    """A softmax in 8 bits whose probabilities leave the model, whatever they are cast to afterwards."""
    origins = _origins(view, _RECASTS)
    for output in (origins.get(index, index) for index in view.main.outputs):
        writer, scale = view.writer(output), view.scale(output)
        if writer is None or writer.kind != "SOFTMAX" or scale is None or levels_bits(view, output) != 8:
            continue
        classes = (view.tensor(output).shape or (1,))[-1]
        consequence = (
            f"probabilities come in steps of 1/{1 / scale:.0f}: under half a step they are 0, and close ones tie"
        )
        many = classes * scale > 1  # an even guess is less than a step
        if many:
            consequence += f"; of {classes:,} classes all but a few can be 0, and top-5 is left to chance"
        fix = "return logits (a model without its softmax), or leave the softmax in float"
        yield Found(view.writers[output], consequence, fix, "warning" if many else "note")


def dead_activation(view: View) -> Iterator[Found]:
    """An output of which calibration saw nothing but zeros."""
    for place, operator in view.operators():
        for index in operator.outputs:
            scale = view.scale(index)
            if scale is not None and scale * (1 << levels_bits(view, index)) < DEAD_RANGE:
                consequence = f"its output has the scale {scale:.2g}, as if it were always 0: anything else is clipped"
                yield Found(place, consequence, "calibrate on more and typical images; prune the layer if it is dead")


def wide_activation(view: View) -> Iterator[Found]:
    """The operator with which a scale becomes much wider than those of the others: the mark of an outlier channel.

    What comes before the first convolution is the image. The first convolution is compared with its input too: on
    pixels from 0 to 255 it may well be wide. What is joined has the scale of the joint, which then is the one to blame.
    """
    computed, origins = _computed(view), _origins(view, _PASSING)
    scales = {index: scale for index in computed if (scale := _own_scale(view, index)) is not None}
    usual = median(scales.values()) if scales else 0.0
    wide = {index for index, scale in scales.items() if scale > WIDE * usual}
    for index in sorted(wide, key=view.writers.__getitem__):
        place = view.writers[index]
        inputs = [origins.get(each, each) for each in view.activations(view.main.operators[place])]
        image = [view.scale(each) or 0.0 for each in inputs if each not in computed]
        if wide.isdisjoint(inputs) and scales[index] > WIDE * max([usual, *image]):
            consequence = (
                f"its output has a scale {scales[index] / usual:.3g} times the median: where one channel is far "
                "larger, few steps are left to the others"
            )
            yield Found(place, consequence, _KEEP)


def _computed(view: View) -> set[int]:
    """The tensors that follow from a convolution or dense layer."""
    found: set[int] = set()
    for _, operator in view.operators():
        if operator.kind in WEIGHTED or not found.isdisjoint(operator.inputs):
            found.update(operator.outputs)
    return found


def _own_scale(view: View, index: int) -> float | None:
    """The scale of an activation that its values set, and not what it comes from or is joined with."""
    kind = view.main.operators[view.writers[index]].kind
    return None if kind in _PASSING or (kind != "CONCATENATION" and _joined(view, index)) else view.scale(index)


def _joined(view: View, index: int) -> bool:
    return any(view.main.operators[place].kind == "CONCATENATION" for place in view.readers.get(index, ()))


def _origins(view: View, kinds: tuple[str, ...]) -> dict[int, int]:
    """Tensor -> what it was before a chain of operators of these kinds."""
    found: dict[int, int] = {}
    for _, operator in view.operators():
        if operator.kind in kinds and operator.inputs:
            before = found.get(operator.inputs[0], operator.inputs[0])
            found.update(dict.fromkeys(operator.outputs, before))
    return found
