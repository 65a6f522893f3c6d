"""The C++ preprocessing gives what Python's gives, to the bit, for every contract, picture and size."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from converters.apps.c.sources import stored
from converters.apps.embedding import embed
from converters.apps.source import read_source
from edgeres.preprocess import open_image
from tests.converters.apps.c.conftest import Compile
from tests.converters.apps.conftest import CONTRACTS, Made

CHECK = ("preprocess_check.cc", "preprocess.cc", "golden.cc", "input_table.cc")
SIZES = ((1, 1), (1, 40), (37, 1), (2, 3), (15, 17), (16, 16), (16, 31), (640, 48), (33, 500))


def images(pictures: Path, *, exif: bool) -> list[Image.Image]:
    random = np.random.default_rng(7)
    noise = [Image.fromarray(random.integers(0, 256, (h, w, 3)).astype(np.uint8)) for h, w in SIZES]
    return [open_image(place.read_bytes(), exif=exif) for place in sorted(pictures.iterdir())] + noise


# The other presets differ in the table alone, which `test_the_table_is_the_contract` compares.
@pytest.mark.parametrize("contract", [name for name in CONTRACTS if name not in ("unit", "symmetric", "torch")])
def test_every_bit_is_pythons(contract: str, made: Made, pictures: Path, compiled: Compile, tmp_path: Path) -> None:
    bundle = made("gray_int8" if contract == "gray" else "int8", contract)
    embed(bundle, "c", tmp_path / "app")
    program = compiled(tmp_path / "app", *CHECK)
    source = read_source(bundle)
    kinds = set()
    for image in images(pictures, exif=source.contract.exif):
        pixels = np.asarray(image)
        size = (str(image.width), str(image.height))
        done = subprocess.run([program, *size], input=pixels.tobytes(), capture_output=True, check=True)
        expected = stored(source.contract(pixels), source.input)
        np.testing.assert_array_equal(np.frombuffer(done.stdout, np.int8).reshape(expected.shape), expected)
        kinds.add(done.stdout)
    assert len(kinds) > 3


def test_cmake_builds_a_check_that_tells_right_from_wrong(made: Made, compiler: str, tmp_path: Path) -> None:
    if shutil.which("cmake") is None:
        pytest.skip("cmake is not installed")
    app = tmp_path / "app"
    embed(made("int8"), "c", app)
    for command in (["cmake", "-B", "build"], ["cmake", "--build", "build"], ["ctest", "--test-dir", "build"]):
        done = subprocess.run(command, capture_output=True, text=True, cwd=app)
        assert done.returncode == 0, done.stdout + done.stderr
    assert "100% tests passed" in done.stdout
    check = [app / "build" / "preprocess_check", app / "golden.bin"]
    done = subprocess.run(check, capture_output=True, text=True)
    assert (done.returncode, done.stdout.count(": input ok\n")) == (0, 4)
    content = bytearray((app / "golden.bin").read_bytes())
    content[30] ^= 0xFF  # in the first image
    (app / "golden.bin").write_bytes(content)
    done = subprocess.run(check, capture_output=True, text=True)
    assert (done.returncode, done.stdout.count("ok"), done.stdout.count("WRONG")) == (1, 3, 1)
    for broken in (b"", content[:-1], b"EDGERES1" + b"\xff" * 12):
        (app / "golden.bin").write_bytes(broken)
        assert subprocess.run(check, capture_output=True).returncode == 2
