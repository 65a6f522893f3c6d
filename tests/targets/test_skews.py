from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from edgeres.preprocess import Preprocess, named
from targets.skews import skews, tagged
from tests.edgeres.pictures import gradient

CONTRACTS = {preset: named(preset, height=16, width=16) for preset in ("raw", "unit", "symmetric", "torch", "caffe")}
CONTRACTS |= {
    "crop": replace(CONTRACTS["torch"], resize="crop", crop_fraction=0.875, kernel="bicubic"),
    "whole crop": replace(CONTRACTS["raw"], resize="crop"),
    "pad": replace(CONTRACTS["unit"], resize="pad", exif=False, kernel="lanczos"),
}


def picture() -> np.ndarray:
    noise = np.random.default_rng(0).integers(-30, 31, (40, 60, 3))
    return (np.asarray(gradient(40, 60)).astype(int) + noise).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("name", CONTRACTS)
def test_the_eight_differ_from_the_contract_and_from_each_other(name: str) -> None:
    contract, image = CONTRACTS[name], picture()
    made = {skew.name: skew.make(image) for skew in skews(contract) if skew.make}
    assert len(made) == 8
    everything = {"contract": contract(image), **made}
    assert {one.shape for one in everything.values()} == {contract.shape}
    assert {one.dtype for one in everything.values()} == {np.dtype(np.float32)}
    names = list(everything)
    for place, first in enumerate(names):
        for second in names[place + 1 :]:
            assert np.abs(everything[first] - everything[second]).max() > 1e-3, (first, second)


def test_a_gray_model_has_neither_channel_order_nor_caffe_mean() -> None:
    contract = named("unit", height=16, width=16, depth=1)
    made = {skew.name: skew.make for skew in skews(contract)}
    assert [name for name, make in made.items() if make is None] == ["channel order", "caffe mean"]
    assert all(make(picture()).shape == (16, 16, 1) for make in made.values() if make)


def test_antialias_is_plain_bilinear_sampling() -> None:
    # Half-pixel centres: 16 to 4 pixels samples between the 2nd and 3rd of each four, and never sees the others.
    row = np.arange(16, dtype=np.uint8)[np.newaxis, :, np.newaxis].repeat(16, axis=0).repeat(3, axis=2) * 10
    make = next(skew.make for skew in skews(Preprocess(4, 4)) if skew.name == "antialias")
    assert make is not None
    assert make(row)[0, :, 0] == pytest.approx([15, 55, 95, 135], abs=1)
    noise = np.random.default_rng(0).integers(0, 256, (16, 16, 3)).astype(np.uint8)
    assert make(noise).std() > 1.5 * Preprocess(4, 4)(noise).std()


@pytest.mark.parametrize("exif", [True, False])
def test_a_file_with_a_tag_is_the_golden_image_to_the_contract(exif: bool) -> None:
    contract, image = replace(CONTRACTS["raw"], exif=exif), picture()
    np.testing.assert_array_equal(contract(tagged(image, turned=exif)), contract(image))
    made = next(skew.make for skew in skews(contract) if skew.name == "EXIF")
    assert made is not None
    turned = np.asarray(Image.fromarray(image).rotate(90 if exif else -90, expand=True))
    np.testing.assert_array_equal(made(image), contract(turned))
