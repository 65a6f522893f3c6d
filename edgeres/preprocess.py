"""The preprocessing contract: how the bytes of an image become the numbers a model was trained on.

Training, calibration, measurement and generated apps all follow one `Preprocess`, in this order:

    decode → EXIF orientation → RGB → resize → crop → channel order     `geometry`: uint8 (H, W, C)
    → × scale → − mean → ÷ std                                          `normalize`: float32 (H, W, C)

The two halves are apart because augmentation happens between them, and because an int8 app can skip the second.
Needs numpy and Pillow only.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from edgeres.errors import ConfigError, DataError, suggestion
from edgeres.records import decode

Pixels = NDArray[np.uint8]
"""An image: uint8, shape (height, width, channels)."""

Content = bytes | Pixels
"""What a data source hands out: an encoded file's bytes, or pixels that it holds decoded (RGB)."""

MAX_PIXELS = 64_000_000
"""Larger images are refused from their header, before any pixel is decoded."""

MAX_PIXELS_PER_BYTE, MAX_SUSPECT_PIXELS = 200, 16_000_000
"""An image of more pixels that is compressed further is a bomb: photographs have 50 pixels in a byte at most."""

_SHRINK = "shrink it, or remove it"

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
"""The image formats that are opened; Pillow's other parsers never see a file."""

_KERNELS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


@dataclass(frozen=True)
class Preprocess:
    """How pixels become a model's input.

    `height`, `width`: of the model's input, in pixels.
    `channels`: order of the last axis; "gray" is one channel, ITU-R 601-2 luma.
    `resize`: "stretch" to the exact size, "crop" (shorter side to size ÷ `crop_fraction`, then the centre), or
        "pad" (longer side to size, black borders).
    `kernel`: Pillow's resampling filters, which antialias when they shrink.
    `exif`: whether the orientation tag is applied.
    `scale`, `mean`, `std`: input = (pixel · scale − mean) ÷ std, pixel in 0…255; mean and std one number per
        channel, in the order of `channels`, or a single number for all.
    """

    height: int
    width: int
    channels: Literal["rgb", "bgr", "gray"] = "rgb"
    resize: Literal["stretch", "crop", "pad"] = "stretch"
    crop_fraction: float = 1.0
    kernel: Literal["nearest", "bilinear", "bicubic", "lanczos"] = "bilinear"
    exif: bool = True
    scale: float = 1.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)

    def __post_init__(self) -> None:
        if not (0 < self.height <= 8192 and 0 < self.width <= 8192):
            raise ValueError(f"height and width must be in 1…8192, found {self.height}x{self.width}")
        if not 0 < self.crop_fraction <= 1:
            raise ValueError(f"crop_fraction must be in (0, 1], found {self.crop_fraction}")
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) not in (1, self.depth):
                raise ValueError(f"{name} must have 1 or {self.depth} numbers, found {len(values)}")
        if not all(map(math.isfinite, (self.scale, *self.mean, *self.std))) or self.scale == 0 or 0 in self.std:
            raise ValueError("scale and std must be finite and not zero, mean finite")

    @property
    def depth(self) -> int:
        """Channels of the model's input: 1 for gray, else 3."""
        return 1 if self.channels == "gray" else 3

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of the model's input."""
        return self.height, self.width, self.depth

    def __call__(self, content: Content) -> NDArray[np.float32]:
        """The model's input for one image: float32 (height, width, channels).

        Raises:
            DataError: the bytes are not an image that can be decoded.
        """
        return self.normalize(self.geometry(content))

    def geometry(self, content: Content) -> Pixels:
        """Decode, orient, resize, crop and order channels: uint8 (height, width, channels).

        Raises:
            DataError: the bytes are not an image that can be decoded.
        """
        whole = self.resize != "crop" or self.crop_fraction == 1  # else an image of the input's size is cropped, too
        if isinstance(content, np.ndarray) and content.shape == self.shape and self.channels == "rgb" and whole:
            return content
        image = self._fit(open_image(content, exif=self.exif))
        if self.channels == "gray":
            return np.asarray(image.convert("L"))[..., np.newaxis]
        pixels = np.asarray(image)
        return np.ascontiguousarray(pixels[..., ::-1]) if self.channels == "bgr" else pixels

    def normalize(self, pixels: NDArray[Any]) -> NDArray[np.float32]:
        """Scale, mean and deviation: any shape (…, channels) in 0…255 to float32 of the same shape."""
        values = pixels.astype(np.float32)
        if self.scale != 1:
            values *= np.float32(self.scale)
        if any(self.mean):
            values -= np.asarray(self.mean, np.float32)
        if any(deviation != 1 for deviation in self.std):
            values /= np.asarray(self.std, np.float32)
        return values

    def window(self, width: int, height: int) -> tuple[float, float, float, float]:
        """The part of an image of this size that is kept, in its pixels: (left, top, right, bottom)."""
        if self.resize != "crop":
            return 0, 0, width, height
        ratio = max(self.width / width, self.height / height) / self.crop_fraction
        left, right = _centre(width, self.width, ratio)
        top, bottom = _centre(height, self.height, ratio)
        return left, top, right, bottom

    def _fit(self, image: Image.Image) -> Image.Image:
        size, kernel = (self.width, self.height), _KERNELS[self.kernel]
        if self.resize == "stretch":
            return image if image.size == size else image.resize(size, kernel)
        if self.resize == "pad":
            return self._pad(image)
        # Only the part that is kept is computed: growing a 1 x 60,000,000 image first would take all memory.
        return image.resize(size, kernel, box=self.window(*image.size))

    def _pad(self, image: Image.Image) -> Image.Image:
        ratio = min(self.width / image.width, self.height / image.height)
        shrunk = (max(1, round(image.width * ratio)), max(1, round(image.height * ratio)))
        canvas = Image.new("RGB", (self.width, self.height))
        canvas.paste(
            image.resize(shrunk, _KERNELS[self.kernel]),
            ((self.width - shrunk[0]) // 2, (self.height - shrunk[1]) // 2),
        )
        return canvas


def _centre(length: int, size: int, ratio: float) -> tuple[float, float]:
    """Where the middle `size` pixels of a side that grows by `ratio` begin and end on the original side."""
    grown = max(size, round(length * ratio))
    start = (grown - size) // 2
    return start * length / grown, (start + size) * length / grown


def open_image(content: Content, *, exif: bool = True) -> Image.Image:
    """Decode to an RGB Pillow image; transparency is laid on black, 16-bit and palette images are converted.

    Raises:
        DataError: not an image of an accepted format, corrupt, truncated, or larger than `MAX_PIXELS`.
    """
    if isinstance(content, np.ndarray):
        return Image.fromarray(content if content.shape[-1] == 3 else np.repeat(content, 3, axis=-1))
    try:
        image: Image.Image = Image.open(io.BytesIO(content), formats=FORMATS)
        if image.width * image.height > MAX_PIXELS:
            raise DataError(
                f"the image has {image.width}x{image.height} pixels, more than the {MAX_PIXELS:,} accepted",
                fix=_SHRINK,
            )
        if image.width * image.height > max(MAX_SUSPECT_PIXELS, MAX_PIXELS_PER_BYTE * len(content)):
            raise DataError(
                f"{len(content):,} bytes that unpack to {image.width}x{image.height} pixels are no photograph",
                fix=_SHRINK,
            )
        image.load()
        if exif:
            ImageOps.exif_transpose(image, in_place=True)
        return _to_rgb(image)
    except UnidentifiedImageError:
        raise DataError(f"not an image (accepted: {', '.join(FORMATS)})") from None
    except Image.DecompressionBombError:  # Pillow's own limit, far above
        raise DataError(f"the image has more than the {MAX_PIXELS:,} pixels accepted", fix=_SHRINK) from None
    except (OSError, ValueError, SyntaxError, EOFError, OverflowError) as problem:
        raise DataError(f"the image is corrupt: {problem}") from problem


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB":
        return image
    if image.mode.startswith("I;16") or image.mode == "I":
        return Image.fromarray((np.asarray(image, np.int64) >> 8).clip(0, 255).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, (0, 0, 0, 255)), rgba).convert("RGB")
    return image.convert("RGB")


PRESETS: dict[str, dict[str, Any]] = {
    "raw": {},
    "unit": {"scale": 1 / 255},
    "symmetric": {"scale": 1 / 127.5, "mean": (1.0,)},
    "torch": {"scale": 1 / 255, "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)},
    "caffe": {"channels": "bgr", "mean": (103.939, 116.779, 123.68)},
}
"""The conventions of `keras.applications`: what each does to pixels in 0…255."""


def named(preset: str, *, height: int, width: int, depth: int = 3) -> Preprocess:
    """A preset for a model's input size.

    Raises:
        ConfigError: unknown preset, one for three channels asked for a one-channel input, or a size out of range.
    """
    if preset not in PRESETS:
        raise ConfigError(f"unknown preprocessing '{preset}'", fix=suggestion(preset, PRESETS))
    settings = PRESETS[preset]
    if depth == 1:
        if preset in ("torch", "caffe"):
            raise ConfigError(f"preprocessing '{preset}' is for three channels, the model takes one", fix="use unit")
        settings = {**settings, "channels": "gray"}
    try:
        return Preprocess(height=height, width=width, **settings)
    except ValueError as problem:
        raise ConfigError(f"preprocessing '{preset}': {problem}", fix="give another input size") from problem


def from_option(option: str, *, height: int, width: int, depth: int = 3) -> Preprocess:
    """What `--preprocess` means: a preset's name, or a YAML file of the contract.

    A file may leave out height and width; where it names them they must be the model's.

    Raises:
        ConfigError: unknown preset; the file is absent, not YAML, has an unknown key or another size.
    """
    if not option.endswith((".yaml", ".yml")):
        return named(option, height=height, width=width, depth=depth)
    from edgeres.yaml_text import read_yaml  # only here: a device without PyYAML reads the contract from bundle's JSON

    try:
        settings = read_yaml(Path(option))
    except (OSError, ValueError) as problem:
        reason = problem.strerror if isinstance(problem, OSError) else problem
        raise ConfigError(f"cannot read the preprocessing file {option}: {reason}", fix="correct the file") from problem
    if not isinstance(settings, dict):
        raise ConfigError(f"{option}: expected a mapping of the contract's fields", fix="see docs/preprocessing.md")
    contract = decode(Preprocess, {"height": height, "width": width, **settings}, where=option, error=ConfigError)
    if contract.shape != (height, width, depth):
        raise ConfigError(
            f"{option} makes inputs of {contract.shape}, the model takes {(height, width, depth)}",
            fix="leave height and width out of the file" if contract.depth == depth else "give other channels in it",
        )
    return contract


def resized(contract: Preprocess, *, height: int, width: int) -> Preprocess:
    """The same contract for another input size."""
    return replace(contract, height=height, width=width)
