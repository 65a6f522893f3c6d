from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from converters.quantization.calibration import stratified
from converters.quantization.lint_images import accuracy_findings, image_findings, require_usable
from converters.quantization.statistics import Statistics, collect
from edgeres.data import Split
from edgeres.errors import DataError
from edgeres.findings import Finding
from edgeres.preprocess import Preprocess, named
from tests.trained import Bundles, Trained

Image = NDArray[np.float32]
RAW = Preprocess(32, 32)


class Named:
    """Images of which only the names are asked."""

    def name(self, index: int) -> str:
        return f"{index}.png"


def split_of(classes: list[int]) -> Split:
    return Split("calibration", Named(), np.arange(len(classes)), np.asarray(classes))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def model(bundles: Bundles) -> bytes:
    return bundles("float32").read("model.tflite")


@pytest.fixture(scope="module")
def digits(trained: Trained) -> list[Image]:
    split = stratified(trained.job.dataset.split("calibration"))
    return [RAW(content)[np.newaxis] for content, _ in split.head(20)]


def rules(found: Statistics, classes: list[int], *, labels: int = 10, available: int = 500) -> dict[str, Finding]:
    names = tuple(f"class{number}" for number in range(labels))
    return {each.rule: each for each in image_findings(found, split_of(classes), names, available)}


def test_digits_can_be_calibrated_with_but_twenty_are_few(model: bytes, digits: list[Image]) -> None:
    found = collect(model, digits)
    require_usable(found, RAW)
    told = rules(found, [*range(10)] * 2)
    assert set(told) == {"few images"}
    assert (told["few images"].layer, told["few images"].severity) == ("images", "warning")
    assert "ranges follow from 20 images" in told["few images"].consequence
    assert told["few images"].fix == "--set quantize.images=256"
    assert "add images" in rules(found, [*range(10)] * 2, available=20)["few images"].fix


def test_a_hundred_are_enough(model: bytes, digits: list[Image]) -> None:
    found = collect(model, digits)
    assert rules(replace(found, thumbnails=np.zeros((100, 4, 4, 3), np.float32)), [*range(10)] * 10) == {}


@pytest.mark.parametrize(
    ("classes", "severity", "words"),
    [
        ([0, 1, 2, 3, 4, 5] * 3, "warning", "no image of 4 of 10 classes (class6, class7, class8, class9)"),
        ([0, 1], "note", "no image of 8 of 10 classes (class2, class3, class4, class5, class6 and 3 more)"),
    ],
)
def test_missing_classes_are_named(
    model: bytes, digits: list[Image], classes: list[int], severity: str, words: str
) -> None:
    told = rules(collect(model, digits[: len(classes)]), classes)["missing classes"]
    assert words in told.consequence
    assert told.severity == severity


def test_mirrored_and_repeated_images_are_told_apart(model: bytes, digits: list[Image]) -> None:
    images = [*digits, digits[3][:, :, ::-1], digits[5], np.rot90(digits[7], axes=(1, 2))]
    told = rules(collect(model, images), [*range(10), *range(10), 3, 5, 7])
    assert "2 of 23 are mirrored or turned copies" in told["augmented images"].consequence
    assert "(first: 20.png, of 3.png)" in told["augmented images"].consequence
    assert "1 of 23 are copies of others" in told["repeated images"].consequence
    assert told["repeated images"].severity == "warning"


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (lambda one: [one] * 4, "the 4 calibration images are all the same"),
        (lambda one: [np.full_like(one, value) for value in (0, 80, 255)], "is of a single colour"),
        (lambda one: [one, one * 1.5], "calibration inputs reach from 0 to 38"),
        (lambda one: [one, one - 1], "calibration inputs reach from -1 to 255"),
    ],
)
def test_images_that_show_nothing_or_come_from_elsewhere_are_refused(
    model: bytes, digits: list[Image], images: Any, words: str
) -> None:
    found = collect(model, images(digits[0] * np.float32(255 / digits[0].max())))
    with pytest.raises(DataError, match=words) as caught:
        require_usable(found, RAW)
    assert caught.value.fix


def test_the_range_is_that_of_the_contract(model: bytes, digits: list[Image]) -> None:
    torch = named("torch", height=32, width=32)
    found = collect(model, [torch.normalize(image) for image in digits[:4]])
    require_usable(found, torch)
    with pytest.raises(DataError, match=r"calibration inputs reach from -2\.1"):
        require_usable(found, named("unit", height=32, width=32))


def test_a_network_that_guesses_is_told(model: bytes, digits: list[Image]) -> None:
    found, classes = collect(model, digits), [*range(10)] * 2
    (told,) = accuracy_findings(replace(found, scores=np.zeros_like(found.scores)), split_of(classes), None)
    assert (told.rule, told.severity) == ("no accuracy", "warning")
    assert "right on 10.0%" in told.consequence
    sure = np.eye(10, dtype=np.float32)[classes]
    assert list(accuracy_findings(replace(found, scores=sure), split_of(classes), None)) == []
