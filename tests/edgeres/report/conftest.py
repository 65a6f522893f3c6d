from __future__ import annotations

import pytest

from edgeres.report import html
from edgeres.report.sources import read_story
from edgeres.report.story import Story
from tests.edgeres.report.material import (
    BREAKOUT,
    HOSTILE,
    LAYERS,
    Material,
    data_record,
    write_detailed,
    write_images,
    write_material,
)


@pytest.fixture(scope="session")
def material(tmp_path_factory: pytest.TempPathFactory) -> Material:
    """A run, two results and four bundles; the data are on this machine, one class has a hostile name."""
    folder = tmp_path_factory.mktemp("report") / "a folder|with `odd` <signs> & more"
    source = write_images(folder / "images", (HOSTILE, "cat", "dog"), each=50)
    return write_material(folder, source=source, data=data_record(source))


@pytest.fixture(scope="session")
def absent(tmp_path_factory: pytest.TempPathFactory) -> Material:
    """The same with labels that try to break out of every element, and data that are not on this machine."""
    folder = tmp_path_factory.mktemp("absent")
    source = write_images(folder / "images", ("a", "b", "c"), each=30)
    data = data_record(source)
    elsewhere = f"folder:/nowhere/{BREAKOUT}"
    moved = type(data)(elsewhere, data.split, data.images, data.sha256, labels=(BREAKOUT, "b", "c"), truth=data.truth)
    plain = write_material(folder, source=elsewhere, data=moved, network=BREAKOUT)
    return write_detailed(folder / "detailed", plain, layers=((BREAKOUT, "CONV_2D"), *LAYERS))


@pytest.fixture(scope="session")
def story(material: Material) -> Story:
    return read_story(material.all)


@pytest.fixture(scope="session")
def detailed(tmp_path_factory: pytest.TempPathFactory, material: Material) -> Material:
    """The material with everything measured that a report can show; names within try to break out."""
    return write_detailed(tmp_path_factory.mktemp("detailed") / "results", material)


@pytest.fixture(scope="session")
def detailed_story(detailed: Material) -> Story:
    return read_story(detailed.all)


@pytest.fixture(scope="session")
def detailed_page(detailed_story: Story) -> str:
    return html.render(detailed_story)


@pytest.fixture(scope="session")
def page(story: Story) -> str:
    return html.render(story)


@pytest.fixture(scope="session")
def absent_page(absent: Material) -> str:
    return html.render(read_story(absent.all))
