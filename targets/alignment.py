"""Which of a file's operators an operator within a delegate is: XNNPACK has other names, and splits or joins some.

Both run in the same order, so that the two sequences are aligned like texts: the longest common subsequence of names
that can mean the same. What XNNPACK adds beside (a clamp for a fused activation, a conversion of dynamic ranges)
belongs to the neighbour that needs it.
"""

from __future__ import annotations

from collections.abc import Sequence

_KINDS = {
    "Convolution": "CONV_2D DEPTHWISE_CONV_2D",
    "Deconvolution": "TRANSPOSE_CONV",
    "Fully Connected": "FULLY_CONNECTED CONV_2D",
    "Subtract": "SUB",
    "Multiply": "MUL",
    "Divide": "DIV",
    "Average Pooling": "AVERAGE_POOL_2D MEAN",
    "Global Average Pooling": "AVERAGE_POOL_2D MEAN",
    "Mean": "MEAN AVERAGE_POOL_2D",
    "Sum": "SUM MEAN",
    "Max Pooling": "MAX_POOL_2D",
    "Constant Pad": "PAD PADV2",
    "Static Reshape": "RESHAPE SQUEEZE EXPAND_DIMS",
    "Copy": "RESHAPE SQUEEZE EXPAND_DIMS",
    "Clamp": "RELU RELU6 RELU_N1_TO_1 MINIMUM MAXIMUM",
    "Convert": "QUANTIZE DEQUANTIZE CAST",
    "Concatenate": "CONCATENATION",
    "Sigmoid": "LOGISTIC",
    "HardSwish": "HARD_SWISH",
    "Leaky ReLU": "LEAKY_RELU",
    "Square Root": "SQRT",
    "Reciprocal Square Root": "RSQRT",
    "Negate": "NEG",
    "Batch Matrix Multiply": "BATCH_MATMUL",
    "Slice": "SLICE STRIDED_SLICE",
}
"""XNNPACK's name -> the kinds that it may be; any other name is its kind in capitals."""

_AHEAD = "Convert"
"""What comes before the operator that needs it; anything else comes after."""


def align(names: Sequence[str], kinds: Sequence[str]) -> list[int]:
    """For each operator within a delegate, by its name, the place among `kinds` of the one that it belongs to.

    `names` in the order in which they ran, `kinds` of the file's operators that the delegate took, in that of the file.
    """
    if not kinds:
        return [0] * len(names)
    short = [name.partition("(")[0].strip() for name in names]
    places = _matched(short, kinds)
    for at, name in enumerate(short):
        if places[at] is None:
            places[at] = _neighbour(places, at, ahead=name == _AHEAD)
    return [place or 0 for place in places]


def _neighbour(places: Sequence[int | None], at: int, *, ahead: bool) -> int:
    before = next((place for place in reversed(places[:at]) if place is not None), None)
    after = next((place for place in places[at + 1 :] if place is not None), None)
    first, second = (after, before) if ahead else (before, after)
    return next((place for place in (first, second) if place is not None), 0)


def _matched(names: Sequence[str], kinds: Sequence[str]) -> list[int | None]:
    """The longest common subsequence: for each name the place of its kind, None where it has none."""
    lengths = [[0] * (len(kinds) + 1) for _ in range(len(names) + 1)]
    for i in range(len(names) - 1, -1, -1):
        row, below = lengths[i], lengths[i + 1]
        for j in range(len(kinds) - 1, -1, -1):
            row[j] = below[j + 1] + 1 if _same(names[i], kinds[j]) else max(below[j], row[j + 1])
    places: list[int | None] = [None] * len(names)
    i = j = 0
    while i < len(names) and j < len(kinds):
        if _same(names[i], kinds[j]):
            places[i] = j
            i, j = i + 1, j + 1
        elif lengths[i + 1][j] >= lengths[i][j + 1]:
            i += 1
        else:
            j += 1
    return places


def _same(name: str, kind: str) -> bool:
    return kind in _KINDS[name].split() if name in _KINDS else name.upper().replace(" ", "_") == kind
