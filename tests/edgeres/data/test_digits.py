from __future__ import annotations

import hashlib
import itertools
import subprocess
import sys

import numpy as np
import pytest

from edgeres.data import SPLITS, Dataset, open_dataset
from edgeres.errors import DataError


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return open_dataset("digits")


def test_the_digits_are_all_there(digits: Dataset) -> None:
    assert {name: len(digits.split(name)) for name in SPLITS} == {
        "train": 1165,
        "validation": 144,
        "test": 359,
        "calibration": 129,
    }
    assert digits.labels == tuple("0123456789")
    assert not digits.mirror


def test_pixels_are_eight_by_eight_gray_in_full_range(digits: Dataset) -> None:
    pixels = np.stack([content for content, _ in digits.split("test")])
    assert pixels.shape == (359, 8, 8, 3)
    assert pixels.dtype == np.uint8
    assert (pixels.min(), pixels.max()) == (0, 255)
    assert (pixels[..., 0] == pixels[..., 2]).all()
    assert len(np.unique(pixels)) == 17


def test_images_carry_their_class(digits: Dataset) -> None:
    """A zero is dark in its middle, a one is bright there."""
    split = digits.split("train")
    pixels = np.stack([content for content, _ in split])[:, 3:5, 3:5].mean((1, 2, 3))
    assert pixels[split.classes == 0].mean() < 60
    assert pixels[split.classes == 1].mean() > 180


def test_no_digit_is_in_two_splits(digits: Dataset) -> None:
    for a, b in itertools.combinations(digits.splits.values(), 2):
        assert not {a.where(i) for i in range(len(a))} & {b.where(i) for i in range(len(b))}


def test_the_splits_never_change(digits: Dataset) -> None:
    """Results name their data by seed and split: another hash here makes all of them incomparable."""
    digest = {name: hashlib.sha256(split.indices.tobytes()).hexdigest() for name, split in digits.splits.items()}
    assert {name: value[:12] for name, value in digest.items()} == {
        "train": "c49c98df7b56",
        "validation": "3637ab4ffc3b",
        "test": "6c200fa48eb2",
        "calibration": "cbe97d731812",
    }


def test_an_argument_is_refused() -> None:
    with pytest.raises(DataError, match="takes no argument, found 'foo'"):
        open_dataset("digits:foo")


def test_without_scikit_learn_the_error_names_the_extra() -> None:
    script = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "sklearn":
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)
sys.meta_path.insert(0, Absent())
from edgeres.console import _report
from edgeres.data import open_dataset
from edgeres.errors import EdgeresError
try:
    open_dataset("digits")
except EdgeresError as error:
    sys.exit(_report(error, False))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 3
    assert "pip install 'edgeres[digits]'" in done.stderr
