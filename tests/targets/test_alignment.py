from __future__ import annotations

import pytest

from targets.alignment import align


@pytest.mark.parametrize(
    ("names", "kinds", "expected"),
    [
        # a residual block: the clamp is the addition's activation
        (
            ["Convolution (NHWC, QC8) IGEMM", "Convolution (NHWC, QC8) IGEMM", "Add (ND)", "Clamp (NC)"],
            ["CONV_2D", "CONV_2D", "ADD"],
            [0, 1, 2, 2],
        ),
        # dynamic ranges: the conversion comes before the convolution that needs it
        (
            ["Convert (NC, F32, QDU8)", "Convolution (NHWC)", "Convert (NC, F32, QDU8)", "Convolution (NHWC)"],
            ["CONV_2D", "CONV_2D"],
            [0, 0, 1, 1],
        ),
        # a padding that is joined with the convolution behind it has no operator of its own
        (
            ["Convolution (NHWC)", "Constant Pad (ND, X8)", "Max Pooling (NHWC, S8)"],
            ["PAD", "CONV_2D", "PAD", "MAX_POOL_2D"],
            [1, 2, 3],
        ),
        # a 1x1 convolution runs as a matrix product
        (["Fully Connected (NC, QS8)", "Fully Connected (NC, QS8)"], ["CONV_2D", "FULLY_CONNECTED"], [0, 1]),
        # what flattens behind a mean belongs to it, unless the file has an operator for it
        (["Mean (ND)", "Static Reshape (NC)", "Fully Connected (NC)"], ["MEAN", "FULLY_CONNECTED"], [0, 0, 1]),
        (["Mean (ND)", "Static Reshape (NC)", "Softmax (NC)"], ["MEAN", "RESHAPE", "SOFTMAX"], [0, 1, 2]),
        # names that are not known go to a neighbour
        (["Novelty (NC)", "Floor (NC)"], ["FLOOR"], [0, 0]),
        ([], ["CONV_2D"], []),
    ],
)
def test_operators_of_a_delegate_are_those_of_the_file(names: list[str], kinds: list[str], expected: list[int]) -> None:
    assert align(names, kinds) == expected
