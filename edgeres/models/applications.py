"""The ImageNet weights of `keras.applications`, translated to the networks of the zoo.

Names differ, and three details of the batch norm y = gamma · (x − mean) / √(variance + epsilon) + beta:

- Convolutions have a bias there and none here. The batch norm that reads a convolution's output subtracts a mean, so
  that x + bias with `mean` is x with `mean − bias`: exact. Training loses nothing: there the mean is the batch's, which
  contains the bias, and cancels it.
- In a pre-activated network a bias stays on the residual path, and is taken off by every batch norm that reads the
  path up to the next projection. Only the stem keeps its bias: the zeros that pad its pooling are not shifted by it.
- Their epsilon is 1.001e-5, here 1e-5: the difference goes into the variance.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeres.models.arrays import Arrays, LayerArrays

_EPSILON = np.float32(1.001e-5 - 1e-5)


@dataclass(frozen=True)
class Application:
    """Weights of `keras.applications` for a network of the zoo.

    `function` builds it, `file` is the name of its weights in Keras' cache, `preset` the preprocessing they were
    trained with, `first` the layer by which its files are recognised.
    """

    function: str
    file: str
    preset: str
    first: str
    translate: Callable[[Arrays], Arrays]


def _resnet(arrays: Arrays) -> Arrays:
    """`conv3_block1_2_conv` is `stage2_block0_conv2`, `conv3_block1_0_conv` its shortcut's; `conv1_conv` the stem's."""
    found: Arrays = {}
    for theirs, weights in arrays.items():
        if not theirs.endswith("_conv"):
            continue
        block, number = _residual_layer(theirs)
        name, index = (f"{block}_shortcut", "") if number == "0" else (block, number)
        kernel, bias = weights
        found[f"{name}_conv{index}"] = (kernel,)
        found[f"{name}_bn{index}"] = _norm(arrays[theirs.removesuffix("conv") + "bn"], bias)
    return found | _head(arrays)


def _resnet_v2(arrays: Arrays) -> Arrays:
    """`conv3_block1_preact_bn` is `stage2_block0_bn1`; their batch norm 1 follows convolution 1 and is 2 here."""
    found: Arrays = {"stem_conv": arrays["conv1_conv"]}
    path: NDArray[Any] | float = 0.0  # what the biases so far have added to the residual path
    for theirs in _residual_blocks(arrays):
        block, _ = _residual_layer(f"{theirs}_1_conv")
        found[f"{block}_bn1"] = _norm(arrays[f"{theirs}_preact_bn"], path)
        for number in (1, 2):
            found[f"{block}_bn{number + 1}"] = _norm(arrays[f"{theirs}_{number}_bn"])
        for number in (1, 2, 3):
            found[f"{block}_conv{number}"] = arrays[f"{theirs}_{number}_conv"][:1]
        if projection := arrays.get(f"{theirs}_0_conv"):
            found[f"{block}_shortcut_conv"] = projection[:1]
            path = projection[1]
        path = path + arrays[f"{theirs}_3_conv"][1]
    found["final_bn"] = _norm(arrays["post_bn"], path)
    return found | _head(arrays)


def _residual_blocks(arrays: Arrays) -> Iterable[str]:
    """conv2_block1, conv2_block2 … in the order in which the network runs them."""
    found = {match[0] for name in arrays if (match := re.match(r"conv\d_block\d+", name))}
    return sorted(found, key=lambda name: [int(number) for number in re.findall(r"\d+", name)])


def _residual_layer(theirs: str) -> tuple[str, str]:
    """("stage2_block0", "1") of "conv3_block1_1_conv"; ("stem", "") of "conv1_conv"."""
    match = re.fullmatch(r"conv(\d)_block(\d+)_(\d)_conv", theirs)
    return (f"stage{int(match[1]) - 1}_block{int(match[2]) - 1}", match[3]) if match else ("stem", "")


def _vgg(arrays: Arrays) -> Arrays:
    """`block1_conv1` is `stage1_conv1`; the hidden layers have the same names."""
    convolutions = {f"stage{name[5:]}": weights for name, weights in arrays.items() if name.startswith("block")}
    hidden = {name: arrays[name] for name in ("fc1", "fc2") if name in arrays}
    return convolutions | hidden | _head(arrays)


def _densenet(arrays: Arrays) -> Arrays:
    """`conv2_block1_0_bn` and `conv2_block1_1_conv` are `stage1_block0_bn1` and `…_conv1`; nothing has a bias."""
    names = {name: ours for name in arrays if (ours := _dense_layer(name))}
    return {
        ours: arrays[theirs] if theirs.endswith("conv") else _norm(arrays[theirs]) for theirs, ours in names.items()
    } | _head(arrays)


def _dense_layer(theirs: str) -> str | None:
    """What a layer with weights is called here; None for the head."""
    if match := re.fullmatch(r"conv(\d)_block(\d+)_(\d)_(bn|conv)", theirs):
        # A batch norm comes before its convolution: theirs are counted from 0, their convolutions from 1.
        number = int(match[3]) + (match[4] == "bn")
        return f"stage{int(match[1]) - 1}_block{int(match[2]) - 1}_{match[4]}{number}"
    if match := re.fullmatch(r"pool(\d)_(bn|conv)", theirs):
        return f"stage{int(match[1]) - 1}_transition_{match[2]}"
    return {"conv1/conv": "stem_conv", "conv1/bn": "stem_bn", "bn": "final_bn"}.get(theirs)


def _norm(weights: LayerArrays, bias: NDArray[Any] | float = 0.0) -> LayerArrays:
    """A batch norm here that does to x what theirs does to x + `bias`."""
    gamma, beta, mean, variance = weights
    return gamma, beta, mean - bias, variance + _EPSILON


def _head(arrays: Arrays) -> Arrays:
    """The last layer; a "notop" file has none."""
    return {"logits": arrays["predictions"]} if "predictions" in arrays else {}


_FILE = "_weights_tf_dim_ordering_tf_kernels.h5"

APPLICATIONS: Mapping[str, Application] = {
    **{
        f"resnet{depth}v1": Application(f"ResNet{depth}", f"resnet{depth}{_FILE}", "caffe", "conv1_conv", _resnet)
        for depth in (50, 101, 152)
    },
    **{
        f"resnet{depth}v2": Application(
            f"ResNet{depth}V2", f"resnet{depth}v2{_FILE}", "symmetric", "conv1_conv", _resnet_v2
        )
        for depth in (50, 101, 152)
    },
    **{
        f"vgg{depth}": Application(f"VGG{depth}", f"vgg{depth}{_FILE}", "caffe", "block1_conv1", _vgg)
        for depth in (16, 19)
    },
    **{
        f"densenet{depth}": Application(f"DenseNet{depth}", f"densenet{depth}{_FILE}", "torch", "conv1/conv", _densenet)
        for depth in (121, 169, 201)
    },
}
"""Network name -> where its ImageNet weights come from."""
