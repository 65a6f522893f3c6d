from __future__ import annotations

import io
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from edgeres.errors import ConfigError, DataError
from edgeres.preprocess import PRESETS, Preprocess, from_option, named, open_image, resized
from edgeres.records import decode, encode
from tests.edgeres.pictures import encoded, gradient, huge_png

ORIENTATION = 0x0112


def pixels_of(content: bytes, **options: Any) -> np.ndarray:
    return np.asarray(open_image(content, **options)).astype(int)


# Decoding


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM", "WEBP"])
def test_lossless_formats_decode_exactly(kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    np.testing.assert_array_equal(pixels_of(encoded(gradient(), kind, **options)), np.asarray(gradient()))


@pytest.mark.parametrize("kind", ["JPEG", "GIF"])
def test_lossy_formats_decode_closely(kind: str) -> None:
    assert np.abs(pixels_of(encoded(gradient(), kind)) - np.asarray(gradient())).mean() < 8


@pytest.mark.parametrize(
    ("orientation", "undone"),
    [
        (1, None),
        (2, Image.Transpose.FLIP_LEFT_RIGHT),
        (3, Image.Transpose.ROTATE_180),
        (4, Image.Transpose.FLIP_TOP_BOTTOM),
        (5, Image.Transpose.TRANSPOSE),
        (6, Image.Transpose.ROTATE_90),
        (7, Image.Transpose.TRANSVERSE),
        (8, Image.Transpose.ROTATE_270),
    ],
)
def test_the_exif_orientation_is_applied(orientation: int, undone: Image.Transpose | None) -> None:
    stored = gradient() if undone is None else gradient().transpose(undone)
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    content = encoded(stored, "PNG", exif=exif.tobytes())
    np.testing.assert_array_equal(pixels_of(content), np.asarray(gradient()))
    np.testing.assert_array_equal(pixels_of(content, exif=False), np.asarray(stored))


def test_a_16_bit_png_keeps_its_upper_byte() -> None:
    values = np.array([[0, 255, 256, 0x7FFF, 0xFFFF]], np.uint16)
    found = pixels_of(encoded(Image.fromarray(values)))
    assert found[0, :, 0].tolist() == [0, 0, 1, 127, 255]
    assert (found == found[..., :1]).all()


def test_a_16_bit_pgm_keeps_its_upper_byte() -> None:
    content = b"P5 2 1 65535\n" + bytes([0x12, 0x34, 0xFF, 0xFF])
    assert pixels_of(content)[0, :, 0].tolist() == [0x12, 0xFF]


def test_a_palette_is_looked_up() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putdata([1, 0])
    assert pixels_of(encoded(image)).tolist() == [[[200, 100, 50], [10, 20, 30]]]


def test_gray_fills_three_channels() -> None:
    assert pixels_of(encoded(Image.new("L", (1, 1), 77))).tolist() == [[[77, 77, 77]]]
    assert pixels_of(encoded(Image.new("1", (1, 1), 1))).tolist() == [[[255, 255, 255]]]


def test_transparency_is_laid_on_black() -> None:
    image = Image.new("RGBA", (3, 1))
    image.putdata([(255, 200, 100, 255), (255, 200, 100, 0), (200, 100, 50, 128)])
    opaque, clear, half = pixels_of(encoded(image))[0].tolist()
    assert opaque == [255, 200, 100]
    assert clear == [0, 0, 0]
    assert np.abs(np.subtract(half, [100, 50, 25])).max() <= 1


def test_a_transparent_palette_colour_is_laid_on_black() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([255, 255, 255, 9, 8, 7])
    image.putdata([0, 1])
    assert pixels_of(encoded(image, "PNG", transparency=0)).tolist() == [[[0, 0, 0], [9, 8, 7]]]


def test_gray_with_alpha_is_laid_on_black() -> None:
    assert pixels_of(encoded(Image.new("LA", (1, 1), (200, 0)))).tolist() == [[[0, 0, 0]]]


def test_a_cmyk_jpeg_becomes_rgb() -> None:
    image = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    assert np.abs(pixels_of(encoded(image, "JPEG", quality=100))[8, 8] - [255, 0, 0]).max() <= 3


def test_an_animation_gives_its_first_frame() -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    content = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert pixels_of(content)[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize(
    "content",
    [b"", b"just some text, named .jpg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"%PDF-1.4", b"\x00" * 1000],
)
def test_what_is_no_image_is_refused(content: bytes) -> None:
    with pytest.raises(DataError, match=r"not an image \(accepted: JPEG, PNG"):
        Preprocess(8, 8)(content)


def test_other_formats_never_reach_their_parser() -> None:
    for kind in ("ICO", "PDF", "TGA", "EPS"):
        buffer = io.BytesIO()
        gradient(32, 32).save(buffer, kind)
        with pytest.raises(DataError, match="not an image"):
            open_image(buffer.getvalue())


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM"])
def test_a_truncated_image_is_refused(kind: str) -> None:
    content = encoded(gradient(64, 64), kind)
    with pytest.raises(DataError, match=r"corrupt|not an image"):
        Preprocess(8, 8)(content[: len(content) * 2 // 3])


def test_a_huge_image_is_refused_from_its_header() -> None:
    with pytest.raises(DataError, match="8001x8000 pixels, more than the 64,000,000 accepted"):
        open_image(huge_png(8001, 8000))
    with pytest.raises(DataError, match="corrupt"):  # small enough to be tried, and found empty
        open_image(huge_png(4000, 4000))


def test_a_bomb_is_refused_before_it_takes_memory() -> None:
    """As many pixels as are accepted, in a file that no photograph would fit into."""
    whole = encoded(Image.new("RGB", (8000, 8000)), "PNG")
    for content in (huge_png(8000, 8000), whole):
        tracemalloc.start()
        with pytest.raises(DataError, match="bytes that unpack to 8000x8000 pixels are no photograph"):
            open_image(content)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
        tracemalloc.stop()
    assert open_image(encoded(Image.new("RGB", (4000, 4000)), "PNG")).size == (4000, 4000)


def test_a_header_beyond_pillows_own_limit_is_refused() -> None:
    with pytest.raises(DataError, match="more than the 64,000,000 pixels accepted"):
        open_image(huge_png(100_000, 100_000))


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "GIF", "WEBP", "PPM"])
def test_damaged_bytes_decode_or_are_refused(kind: str) -> None:
    """Nothing but a DataError leaves the decoder, whatever the bytes."""
    content, dice = encoded(gradient(16, 16), kind), np.random.default_rng(0)
    refused = 0
    for _ in range(200):
        damaged = bytearray(content)
        for place in dice.integers(0, min(len(damaged), 150), 3):
            damaged[place] = dice.integers(0, 256)
        try:
            assert Preprocess(8, 8).geometry(bytes(damaged)).shape == (8, 8, 3)
        except DataError:
            refused += 1
    assert 0 < refused < 200 or kind == "PNG"  # every chunk of a PNG has a checksum


# Geometry


def test_stretch_reaches_the_size_whatever_the_shape() -> None:
    found = Preprocess(10, 30).geometry(encoded(gradient(24, 40)))
    assert found.shape == (10, 30, 3)
    assert found.dtype == np.uint8
    assert found[0, 0, 0] < 10
    assert found[-1, -1, 0] > 245


def test_the_right_size_is_left_alone() -> None:
    content = encoded(gradient(24, 40))
    for resize in ("stretch", "crop", "pad"):
        found = Preprocess(24, 40, resize=resize, kernel="lanczos").geometry(content)  # type: ignore[arg-type]
        np.testing.assert_array_equal(found, np.asarray(gradient(24, 40)))


def test_crop_takes_the_middle() -> None:
    found = Preprocess(8, 8, resize="crop", kernel="nearest").geometry(encoded(gradient(8, 20)))
    np.testing.assert_array_equal(found, np.asarray(gradient(8, 20))[:, 6:14])


def test_crop_fraction_widens_the_view_that_is_cropped() -> None:
    found = Preprocess(8, 8, resize="crop", crop_fraction=0.5, kernel="nearest").geometry(encoded(gradient(16, 16)))
    np.testing.assert_array_equal(found, np.asarray(gradient(16, 16))[4:12, 4:12])


@pytest.mark.parametrize("kernel", ["bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize(("height", "width"), [(480, 640), (333, 257), (300, 900)])
def test_crop_is_resizing_and_then_cropping(kernel: Any, height: int, width: int) -> None:
    image = gradient(height, width)
    found = Preprocess(224, 224, resize="crop", crop_fraction=0.875, kernel=kernel).geometry(encoded(image))
    scale = 256 / min(height, width)
    whole = image.resize((round(width * scale), round(height * scale)), Image.Resampling[kernel.upper()])
    left, top = (whole.width - 224) // 2, (whole.height - 224) // 2
    expected = np.asarray(whole.crop((left, top, left + 224, top + 224))).astype(int)
    assert np.abs(found - expected).max() <= 1


def test_pad_keeps_the_shape_and_lays_black_borders() -> None:
    found = Preprocess(20, 20, resize="pad").geometry(encoded(Image.new("RGB", (40, 20), (255, 255, 255))))
    assert (found[:5] == 0).all()
    assert (found[5:15] == 255).all()
    assert (found[15:] == 0).all()


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(st.integers(1, 70), st.integers(1, 70)),
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.sampled_from(["stretch", "crop", "pad"]),
    st.sampled_from(["nearest", "bilinear", "bicubic", "lanczos"]),
    st.floats(0.05, 1),
)
def test_every_geometry_reaches_the_size(size: Any, shape: Any, resize: Any, kernel: Any, fraction: float) -> None:
    contract = Preprocess(*shape, resize=resize, kernel=kernel, crop_fraction=fraction)
    white = np.full((*size, 3), 255, np.uint8)
    found = contract.geometry(white)
    assert found.shape == contract.shape
    if resize != "pad":
        assert found.min() >= 254, "something but the image is inside"


@pytest.mark.parametrize("resize", ["stretch", "crop", "pad"])
@pytest.mark.parametrize(("width", "height"), [(1, 50_000), (50_000, 1)])
def test_a_line_of_pixels_is_no_memory_bomb(resize: Any, width: int, height: int) -> None:
    """Growing the short side to 224 first would need 224 · 11,200,000 pixels."""
    content = encoded(Image.new("RGB", (width, height), "white"))
    assert Preprocess(224, 224, resize=resize).geometry(content).max() == 255


def test_channel_orders() -> None:
    pixel = encoded(Image.new("RGB", (2, 2), (250, 100, 10)))
    assert Preprocess(2, 2).geometry(pixel)[0, 0].tolist() == [250, 100, 10]
    assert Preprocess(2, 2, channels="bgr").geometry(pixel)[0, 0].tolist() == [10, 100, 250]
    gray = Preprocess(2, 2, channels="gray").geometry(pixel)
    assert gray.shape == (2, 2, 1)
    assert abs(int(gray[0, 0, 0]) - (250 * 299 + 100 * 587 + 10 * 114) / 1000) <= 1


def test_pixels_that_are_held_decoded_take_the_same_way() -> None:
    pixels = np.asarray(gradient(24, 40))
    for contract in (
        Preprocess(24, 40),
        Preprocess(24, 40, channels="bgr"),
        Preprocess(24, 40, channels="gray"),
        Preprocess(12, 12, resize="crop", kernel="bicubic"),
        Preprocess(50, 50, resize="pad"),
    ):
        np.testing.assert_array_equal(contract.geometry(pixels), contract.geometry(encoded(gradient(24, 40))))


def test_the_callers_pixels_are_not_changed() -> None:
    pixels = np.asarray(gradient(8, 8)).copy()
    Preprocess(8, 8, scale=0.5, mean=(1.0,), std=(2.0,))(pixels)
    np.testing.assert_array_equal(pixels, np.asarray(gradient(8, 8)))


# Numbers


@pytest.mark.parametrize(
    ("preset", "expected"),
    [
        ("raw", [255, 128, 0]),
        ("unit", [1, 128 / 255, 0]),
        ("symmetric", [1, 128 / 127.5 - 1, -1]),
        ("torch", [(1 - 0.485) / 0.229, (128 / 255 - 0.456) / 0.224, -0.406 / 0.225]),
        ("caffe", [0 - 103.939, 128 - 116.779, 255 - 123.68]),
    ],
)
def test_every_presets_numbers(preset: str, expected: list[float]) -> None:
    found = named(preset, height=3, width=2)(encoded(Image.new("RGB", (2, 3), (255, 128, 0))))
    assert found.shape == (3, 2, 3)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[1, 1], expected, rtol=0, atol=2e-5)


def test_every_preset_has_its_numbers_tested() -> None:
    assert set(PRESETS) == {"raw", "unit", "symmetric", "torch", "caffe"}


def test_gray_presets() -> None:
    found = named("unit", height=2, width=2, depth=1)(encoded(Image.new("L", (2, 2), 51)))
    assert found.shape == (2, 2, 1)
    np.testing.assert_allclose(found, 0.2, atol=1e-6)
    with pytest.raises(ConfigError, match="'torch' is for three channels"):
        named("torch", height=2, width=2, depth=1)


def test_normalize_takes_any_batch() -> None:
    contract = named("torch", height=4, width=4)
    pixels = np.random.default_rng(0).integers(0, 256, (5, 4, 4, 3), np.uint8)
    found = contract.normalize(pixels)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found[3], contract.normalize(pixels[3]))
    np.testing.assert_allclose(found, contract.normalize(pixels.astype(np.float64)), atol=1e-6)


# The contract itself


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"height": 0}, "height and width must be in 1…8192, found 0x8"),
        ({"width": 9000}, "found 8x9000"),
        ({"crop_fraction": 0.0}, "crop_fraction"),
        ({"crop_fraction": 1.5}, "crop_fraction"),
        ({"mean": (1.0, 2.0)}, "mean must have 1 or 3 numbers, found 2"),
        ({"channels": "gray", "std": (1.0, 1.0, 1.0)}, "std must have 1 or 1 numbers, found 3"),
        ({"std": (1.0, 0.0, 1.0)}, "not zero"),
        ({"scale": 0.0}, "not zero"),
        ({"scale": float("nan")}, "finite"),
        ({"mean": (float("inf"),)}, "finite"),
    ],
)
def test_a_contract_that_makes_no_sense_is_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Preprocess(**{"height": 8, "width": 8, **options})


def test_a_contract_survives_json() -> None:
    contract = Preprocess(32, 48, "bgr", "crop", 0.875, "bicubic", False, 1 / 255, (0.1, 0.2, 0.3), (0.4,))
    assert decode(Preprocess, encode(contract), where="x") == contract


def test_resized_changes_the_size_alone() -> None:
    contract = named("caffe", height=8, width=8)
    assert resized(contract, height=9, width=7) == named("caffe", height=9, width=7)


def test_an_option_is_a_preset_or_a_file(tmp_path: Path) -> None:
    assert from_option("torch", height=8, width=8) == named("torch", height=8, width=8)
    path = tmp_path / "p.yaml"
    path.write_text("scale: 0.5\nmean: [1, 2, 3]\nresize: crop\n")
    expected = Preprocess(8, 9, resize="crop", scale=0.5, mean=(1.0, 2.0, 3.0))
    assert from_option(str(path), height=8, width=9) == expected


@pytest.mark.parametrize(
    ("text", "says", "fix"),
    [
        ("sclae: 1", "unknown key 'sclae'", "did you mean 'scale'?"),
        ("height: 9", r"makes inputs of \(9, 8, 3\), the model takes \(8, 8, 3\)", "leave height"),
        ("channels: gray", r"makes inputs of \(8, 8, 1\)", "give other channels"),
        ("- 1", "expected a mapping", "see"),
        ("", "expected a mapping", "see"),
        ("a: [", "cannot read the preprocessing file", None),
        ("scale: 0", "scale and std must be finite", None),
        ("resize: squash", "expected one of 'stretch', 'crop', 'pad', found 'squash'", None),
        ("!!python/object/apply:os.system ['true']", "cannot read the preprocessing file", None),
    ],
)
def test_a_file_that_does_not_fit_is_refused(tmp_path: Path, text: str, says: str, fix: str | None) -> None:
    (tmp_path / "p.yml").write_text(text)
    with pytest.raises(ConfigError, match=says) as caught:
        from_option(str(tmp_path / "p.yml"), height=8, width=8)
    assert fix is None or (caught.value.fix or "").startswith(fix)


def test_an_unknown_preset_is_answered_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="unknown preprocessing 'torhc'") as caught:
        from_option("torhc", height=8, width=8)
    assert caught.value.fix == "did you mean 'torch'?"
    with pytest.raises(ConfigError, match="cannot read"):
        from_option(str(tmp_path / "absent.yaml"), height=8, width=8)


def test_damage_that_pillow_reports_as_an_overflow_is_a_corrupt_image() -> None:
    strip_offset, as_long8 = b"\x11\x01\x04\x00", b"\x11\x01\x10\x00"  # 8 bytes of white pixels become the offset
    content = encoded(Image.new("1", (16, 16), 1), "TIFF").replace(strip_offset, as_long8)
    with pytest.raises(DataError, match="corrupt"):
        open_image(content)


@pytest.mark.parametrize("resize", ["stretch", "crop", "pad"])
@pytest.mark.parametrize("crop_fraction", [1.0, 0.5])
def test_decoded_pixels_of_the_inputs_size_become_what_their_file_becomes(resize: Any, crop_fraction: float) -> None:
    contract = Preprocess(24, 40, resize=resize, crop_fraction=crop_fraction)
    found = contract.geometry(np.asarray(gradient()))
    np.testing.assert_array_equal(found, contract.geometry(encoded(gradient())))
