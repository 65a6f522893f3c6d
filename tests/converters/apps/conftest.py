from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgeres.preprocess import Preprocess, named
from tests.edgeres.pictures import encoded
from tests.targets.bundles import LABELS_OF_DATA, make_bundle
from tests.targets.conftest import Models, model_folder, models  # noqa: F401 - fixtures
from tests.targets.test_tflite_runtime import device_python  # noqa: F401 - a fixture

SIDE = 16
CONTRACTS = {
    **{name: named(name, height=SIDE, width=SIDE) for name in ("raw", "unit", "symmetric", "torch", "caffe")},
    "gray": named("unit", height=SIDE, width=SIDE, depth=1),
    "crop": Preprocess(
        SIDE,
        SIDE,
        resize="crop",
        crop_fraction=0.875,
        kernel="bicubic",
        scale=1 / 255,
        mean=(0.4, 0.5, 0.6),
        std=(0.25,),
    ),
    "pad": Preprocess(SIDE, SIDE, channels="bgr", resize="pad", kernel="lanczos", exif=False, scale=1 / 64, mean=(2,)),
    "nearest": Preprocess(SIDE, SIDE, resize="crop", kernel="nearest", std=(2.0, 3.0, 4.0)),
}
"""Every kind of contract: the presets, one channel, each resizing, each kernel, each order of channels, no EXIF."""


Made = Callable[..., Path]


@pytest.fixture(scope="session")
def made(models: Models, tmp_path_factory: pytest.TempPathFactory) -> Made:  # noqa: F811
    """A bundle of one of the small models, made once for each model, contract and labels."""
    folder, known = tmp_path_factory.mktemp("bundles"), {}

    def make(model: str = "int8", contract: str = "raw", labels: tuple[str, ...] = LABELS_OF_DATA) -> Path:
        key = (model, contract, labels)
        if key not in known:
            place = folder / f"{model}-{contract}-{len(known)}"
            known[key] = make_bundle(place, models(model), labels=labels, contract=CONTRACTS[contract])
        return known[key]

    return make


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of image files of every kind that decoders treat differently."""
    folder = tmp_path_factory.mktemp("pictures")
    for name, content in _pictures().items():
        (folder / name).write_bytes(content)
    return folder


def _pictures() -> dict[str, bytes]:
    rgb = _scene(90, 131)
    small = Image.fromarray(rgb[:SIDE, :SIDE])
    turned = Image.Exif()
    turned[0x0112] = 6
    alpha = np.dstack([rgb, np.linspace(0, 255, rgb[..., 0].size).astype(np.uint8).reshape(rgb.shape[:2])])
    palette = Image.fromarray(rgb).quantize(64)
    return {
        "scene.png": encoded(Image.fromarray(rgb), "PNG"),
        "scene.jpg": encoded(Image.fromarray(rgb), "JPEG", quality=92),
        "turned.jpg": encoded(Image.fromarray(rgb), "JPEG", quality=92, exif=turned.tobytes()),
        "gray.jpg": encoded(Image.fromarray(rgb).convert("L"), "JPEG", quality=92),
        "gray.png": encoded(Image.fromarray(rgb).convert("L"), "PNG"),
        "palette.png": encoded(palette, "PNG"),
        "palette-clear.png": encoded(palette, "PNG", transparency=3),
        "alpha.png": encoded(Image.fromarray(alpha, "RGBA"), "PNG"),
        "deep.png": encoded(Image.fromarray(rgb[..., 1].astype(np.uint16) * 257), "PNG"),
        "exact.png": encoded(small, "PNG"),
        "wide.png": encoded(Image.fromarray(_scene(7, 300)), "PNG"),
        "tall.png": encoded(Image.fromarray(_scene(301, 5)), "PNG"),
    }


def _scene(height: int, width: int) -> np.ndarray:
    """Colour gradients with edges and some noise: uint8 (height, width, 3)."""
    y, x = np.mgrid[0:height, 0:width]
    noise = np.random.default_rng(height).integers(0, 40, (height, width, 3))
    waves = np.dstack([x * 215 // width, y * 215 // height, ((x // 9 + y // 7) % 2) * 200])
    return (waves + noise).astype(np.uint8)
