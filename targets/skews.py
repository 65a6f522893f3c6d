"""The eight classic ways to preprocess an image otherwise than a model was trained with, as an app might.

Each is a `Skew`: a pixel array (the golden image, or a file of it) to the input that such an app would feed. None of
them raises an error in an app; accuracy drops, by a little or by all.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edgeres.preprocess import Pixels, Preprocess, named

Input = NDArray[np.float32]
"""float32 (height, width, channels)."""


@dataclass(frozen=True)
class Skew:
    """A mistake: its `name`, what the app does in the place of the contract, and the `make` that does it.

    `make` is None where the contract leaves no room for it, as a gray image has no channel order.
    """

    name: str
    does: str
    make: Callable[[Pixels], Input] | None


def skews(contract: Preprocess) -> tuple[Skew, ...]:
    """The eight skews of a contract."""
    return (
        _channels(contract),
        _range(contract),
        _caffe(contract),
        _twice(contract),
        _kernel(contract),
        _antialias(contract),
        _crop(contract),
        _exif(contract),
    )


def _channels(contract: Preprocess) -> Skew:
    if contract.channels == "gray":
        return Skew("channel order", "the model takes one channel", None)
    other = replace(contract, channels="rgb" if contract.channels == "bgr" else "bgr")
    return Skew("channel order", f"{other.channels.upper()} for {contract.channels.upper()}", other)


def _arithmetic(contract: Preprocess, preset: str) -> Preprocess:
    """The contract's geometry with the arithmetic of a preset."""
    other = named(preset, height=contract.height, width=contract.width, depth=contract.depth)
    return replace(contract, scale=other.scale, mean=other.mean, std=other.std)


def _range(contract: Preprocess) -> Skew:
    symmetric, unit = _arithmetic(contract, "symmetric"), _arithmetic(contract, "unit")
    if _alike(contract, symmetric):
        return Skew("range", "0…1 for −1…1", unit)
    return Skew("range", "−1…1", symmetric)


def _caffe(contract: Preprocess) -> Skew:
    if contract.depth == 1:
        return Skew("caffe mean", "the model takes one channel", None)
    caffe = replace(_arithmetic(contract, "caffe"), channels="bgr")
    if _alike(contract, caffe):
        return Skew("caffe mean", "÷ 255 and the ImageNet mean and deviation for it", _arithmetic(contract, "torch"))
    return Skew("caffe mean", "BGR minus the ImageNet mean, not scaled", caffe)


def _twice(contract: Preprocess) -> Skew:
    if _alike(contract, _arithmetic(contract, "raw")):
        return Skew("scaled twice", "÷ 255 before a model that scales by itself", _arithmetic(contract, "unit"))
    return Skew("scaled twice", "scale, mean and deviation applied twice", lambda p: contract.normalize(contract(p)))


def _kernel(contract: Preprocess) -> Skew:
    other = replace(contract, kernel="bicubic" if contract.kernel == "bilinear" else "bilinear")
    return Skew("resize kernel", f"{other.kernel} for {contract.kernel}", other)


def _antialias(contract: Preprocess) -> Skew:
    fitted = contract if contract.resize == "pad" else replace(contract, resize="stretch")

    def make(pixels: Pixels) -> Input:
        return fitted(_sampled(contract, pixels))

    return Skew("antialias", "bilinear without antialiasing, as tf.image.resize and OpenCV do", make)


def _sampled(contract: Preprocess, pixels: Pixels) -> Pixels:
    """The part that the contract keeps, at the size it gets there, by plain bilinear sampling."""
    image = Image.fromarray(pixels if pixels.shape[-1] == 3 else np.repeat(pixels, 3, axis=-1))
    size = contract.width, contract.height
    if contract.resize == "pad":
        ratio = min(contract.width / image.width, contract.height / image.height)
        size = max(1, round(image.width * ratio)), max(1, round(image.height * ratio))
    window = contract.window(*image.size)
    sampled = image.transform(size, Image.Transform.EXTENT, window, Image.Resampling.BILINEAR)
    return np.asarray(sampled)


def _crop(contract: Preprocess) -> Skew:
    if contract.resize == "crop" and contract.crop_fraction < 1:
        return Skew("crop", "the whole shorter side for its centre", replace(contract, crop_fraction=1.0))
    return Skew(
        "crop", "the centre alone (0.875 of the shorter side)", replace(contract, resize="crop", crop_fraction=0.875)
    )


def _exif(contract: Preprocess) -> Skew:
    """The image as a file of a camera that was held upright, its sensor lying: a tag says how to turn it."""
    does = "the orientation tag ignored" if contract.exif else "the orientation tag applied"
    other = replace(contract, exif=not contract.exif)
    return Skew("EXIF", does, lambda pixels: other(tagged(pixels, turned=contract.exif)))


def tagged(pixels: Pixels, *, turned: bool) -> bytes:
    """A PNG with orientation tag 6 (turn right to view), its pixels `turned` left, or as they are."""
    exif, buffer = Image.Exif(), io.BytesIO()
    exif[0x0112] = 6
    stored = np.ascontiguousarray(np.rot90(pixels)) if turned else pixels
    image = Image.fromarray(stored if stored.shape[-1] == 3 else np.repeat(stored, 3, axis=-1))
    image.save(buffer, "PNG", exif=exif)
    return buffer.getvalue()


def _alike(one: Preprocess, two: Preprocess) -> bool:
    """Whether two contracts make the same of pixels that are fitted already."""
    pixels = np.arange(0, 256, 15, dtype=np.uint8)[:, np.newaxis].repeat(one.depth, axis=1)
    return one.channels == two.channels and np.allclose(one.normalize(pixels), two.normalize(pixels), atol=1e-4)
