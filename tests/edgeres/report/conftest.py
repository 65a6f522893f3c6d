from __future__ import annotations

import pytest

from edgeres.report import html
from edgeres.report.sources import read_story
from edgeres.report.story import Story
from tests.edgeres.report.material import BREAKOUT, HOSTILE, Material, data_record, write_images, write_material


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
    return write_material(folder, source=elsewhere, data=moved, network=BREAKOUT)


@pytest.fixture(scope="session")
def story(material: Material) -> Story:
    return read_story(material.all)


@pytest.fixture(scope="session")
def page(story: Story) -> str:
    return html.render(story)


@pytest.fixture(scope="session")
def absent_page(absent: Material) -> str:
    return html.render(read_story(absent.all))
