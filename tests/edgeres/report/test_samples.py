from __future__ import annotations

import base64
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgeres.errors import DataError
from edgeres.report.samples import CAP, THUMBNAIL, Samples, data_uri, first_images, golden_samples, reopened
from edgeres.report.story import Story
from tests.edgeres.report.material import HOSTILE, data_record, write_images


def _decoded(uri: str) -> Image.Image:
    header, _, content = uri.partition(",")
    picture = Image.open(io.BytesIO(base64.b64decode(content)))
    assert header == f"data:image/{(picture.format or '').lower()};base64"
    return picture


def _first(story: Story) -> Samples:
    (comparison,) = story.comparisons
    return first_images(comparison, reopened(comparison.data))


def test_the_images_are_those_that_were_measured(story: Story) -> None:
    first = _first(story)
    assert len(first.items) == CAP
    assert {item.truth for item in first.items} == {HOSTILE, "cat", "dog"}
    for item in first.items:
        assert item.where.startswith(f"{item.truth}/")
        assert _decoded(item.image).size == (32, 32)


def test_guesses_are_grouped_and_marked(story: Story) -> None:
    first = _first(story)
    wrong = first.items[0]  # position 0: every artifact's recipe of errors starts here
    assert wrong.unanimous
    assert [guess.right for guess in wrong.guesses] == [False]
    right = first.items[1]
    assert [(guess.label, guess.right) for guess in right.guesses] == [(right.truth, True)]
    assert right.guesses[0].artifacts == ("float", "float16", "dynamic-int8", "int8", "pruned-int8")


def test_data_that_are_not_here_are_said_to_be_absent(story: Story) -> None:
    (comparison,) = story.comparisons
    assert comparison.data is not None
    for source in ("folder:/nowhere", "nosuch:thing", ""):
        with pytest.raises(DataError, match="not on this machine"):
            reopened(replace(comparison.data, source=source))


def test_other_images_under_the_same_name_are_not_shown(story: Story, tmp_path: Path) -> None:
    (comparison,) = story.comparisons
    assert comparison.data is not None
    other = write_images(tmp_path / "other", (HOSTILE, "cat", "dog"), each=20)
    with pytest.raises(DataError, match="other images"):
        reopened(replace(comparison.data, source=other))
    renamed = write_images(tmp_path / "renamed", ("bird", "cat", "dog"), each=50)
    assert data_record(renamed).truth == comparison.data.truth
    with pytest.raises(DataError, match="other images"):
        reopened(replace(comparison.data, source=renamed))


def test_without_truth_there_is_nothing_to_trust() -> None:
    with pytest.raises(DataError, match="do not say"):
        reopened(None)


def test_golden_images_shared_by_bundles_are_shown_once(story: Story) -> None:
    shown = golden_samples(story.bundles)
    assert len(shown) == 4
    assert shown[0].truth is None
    assert shown[0].guesses[0].right is None
    assert len(shown[0].guesses[0].artifacts) == 2 * len(story.bundles)


def test_large_images_are_embedded_small() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (300, 600, 3), np.uint8)
    picture = _decoded(data_uri(noise))
    assert picture.size == (THUMBNAIL, THUMBNAIL // 2)
    assert picture.format == "JPEG"
    assert len(data_uri(noise)) < 12_000


def test_small_images_are_embedded_pixel_for_pixel() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    picture = _decoded(data_uri(pixels))
    assert picture.format == "PNG"
    assert np.array_equal(np.asarray(picture), pixels)


def test_an_image_that_is_none_is_refused() -> None:
    with pytest.raises(DataError):
        data_uri(b"no image")
