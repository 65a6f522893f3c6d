from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from edgeres.report import html
from edgeres.report.sources import read_story
from edgeres.report.story import Story
from tests.edgeres.report.material import BREAKOUT, HOSTILE, Material

_VOID = {"meta", "link", "img", "br", "input", "hr"}


class Outline(HTMLParser):
    """The elements of a page, its text without scripts and styles, and its JSON blocks."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.data: list[str] = []
        self.crossed: list[str] = []
        self._json = False
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._json = tag == "script" and dict(attrs).get("type") == "application/json"
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.crossed.append(tag)

    def handle_data(self, data: str) -> None:
        if self._json and self.open[-1] == "script":
            self.data.append(data)
        elif not {"script", "style"} & set(self.open):
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def outline(page: str) -> Outline:
    return Outline(page)


def test_every_element_is_closed_in_order(outline: Outline, absent_page: str) -> None:
    assert outline.open == outline.crossed == []
    hostile = Outline(absent_page)
    assert hostile.open == hostile.crossed == []


def test_figures_are_on_the_page_with_intervals_and_verdicts(outline: Outline) -> None:
    assert "top-1 drop 0.12 points (95 % interval −0.37 to 0.61)" in outline.text
    assert "3.33× (95 % interval 3.27 to 3.39) the speed of float" in outline.text
    for verdict in ("pass", "fail", "insufficient", "faster", "inconclusive"):
        assert any(verdict in (each.get("class") or "").split() for each in outline.all("span")), verdict
    for words in (
        "0.0804 to 0.0820",
        "13 of 15",
        "900 kB load",
        "paired bootstrap",
        "Xeon (test)",
        "waited for a CPU 42 %",
        "a" * 64,
    ):
        assert words in outline.text


def test_headings_form_an_outline(outline: Outline) -> None:
    levels = [int(tag[1]) for tag, _ in outline.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_tables_have_captions_scopes_and_a_scrolling_region(outline: Outline) -> None:
    assert len(outline.all("caption")) == len(outline.all("table"))
    assert all(each.get("scope") in ("row", "col") for each in outline.all("th"))
    regions = [each for each in outline.all("div") if each.get("class") == "scroll"]
    assert len(regions) == len(outline.all("table"))
    assert all(each["tabindex"] == "0" and each["role"] == "region" for each in regions)


def test_ids_are_unique_and_references_are_met(outline: Outline) -> None:
    ids = [each["id"] for _, each in outline.elements if "id" in each]
    assert len(ids) == len(set(ids))
    referred = [each["aria-labelledby"] for _, each in outline.elements if "aria-labelledby" in each]
    referred += [each["data-figure"] for _, each in outline.elements if "data-figure" in each]
    referred += [(each["href"] or "")[1:] for each in outline.all("a")]
    assert set(referred) <= set(ids)


def test_nothing_is_fetched(outline: Outline) -> None:
    addresses = [each[name] or "" for _, each in outline.elements for name in ("src", "href") if name in each]
    assert addresses
    assert all(address.startswith(("data:", "#")) for address in addresses)
    (policy,) = [each["content"] for each in outline.all("meta") if "http-equiv" in each]
    assert policy
    assert policy.startswith("default-src 'none'")
    assert "unsafe-inline" not in policy.partition("script-src")[2].partition(";")[0]


def test_every_image_says_what_it_shows(outline: Outline) -> None:
    images = outline.all("img")
    assert len(images) > 24
    assert all(each["alt"] and (each["src"] or "").startswith("data:image/png;base64,") for each in images)


def test_charts_are_json_that_cannot_end_its_element(outline: Outline) -> None:
    assert len(outline.data) == 4 + 3 + 5
    for block in outline.data:
        assert "<" not in block
        assert json.loads(block)["data"]


def test_hostile_names_stay_text(outline: Outline, absent_page: str) -> None:
    assert HOSTILE in outline.text
    assert not [each for _, each in outline.elements if "onerror" in each]
    hostile = Outline(absent_page)
    assert BREAKOUT in hostile.text
    assert not hostile.all("b")
    assert len([each for each in hostile.all("script") if "type" not in each]) == 2


def test_absent_data_are_said_and_golden_images_shown(absent_page: str) -> None:
    outline = Outline(absent_page)
    assert "Their pictures are not shown: the images of folder:/nowhere/" in outline.text
    assert "Right → wrong" in outline.text
    assert f"{BREAKOUT}/" in outline.text, "the names of the images that changed are listed"
    assert "not on this machine" in outline.text
    assert "Golden images" in outline.text
    assert len(outline.all("img")) == 4


def test_two_comparisons_are_told_apart(story: Story) -> None:
    accuracy = story.results[0]
    other = replace(accuracy.result, artifacts=(replace(accuracy.result.artifacts[0], sha256="9" * 64),))
    page = html.render(replace(story, results=(*story.results, replace(accuracy, result=other))))
    outline = Outline(page)
    assert outline.text.count("1. Against float") == outline.text.count("2. Against float") == 4
    assert outline.open == outline.crossed == []


@pytest.mark.parametrize("part", ["run", "accuracy", "latency", "bundles"])
def test_any_part_alone_makes_a_page(material: Material, part: str) -> None:
    given = getattr(material, part)
    outline = Outline(html.render(read_story(given if isinstance(given, tuple) else [given])))
    assert outline.open == outline.crossed == []
    assert ("Nothing was measured" in outline.text) == (part in ("run", "bundles"))


def test_many_classes_are_listed_as_pairs(story: Story) -> None:
    accuracy = story.results[0]
    data = accuracy.result.data
    assert data is not None
    labels = tuple(f"class number {index}" for index in range(60))
    wide = replace(accuracy, result=replace(accuracy.result, data=replace(data, labels=labels)))
    outline = Outline(html.render(Story((), (), (wide,))))
    assert "The most confused classes" in outline.text
    assert not [block for block in outline.data if json.loads(block)["data"][0]["type"] == "heatmap"]


@pytest.mark.parametrize("package", ["plotly", "jinja2"])
def test_a_missing_package_names_the_extra(package: str) -> None:
    script = f"""
import sys
class Absent:
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] == {package!r}:
            raise ModuleNotFoundError("absent", name={package!r})
sys.meta_path.insert(0, Absent())
from edgeres.errors import MissingExtraError
try:
    import edgeres.report.html
except MissingExtraError as error:
    sys.stdout.write(str(error))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert f"'{package}'" in done.stdout
    assert "edgeres[report]" in done.stdout


def test_json_inside_a_script_element_holds_no_markup() -> None:
    label = "</script><!-- & \u2028\u2029"
    inline = str(html.inline_json(json.dumps(label, ensure_ascii=False)))
    assert not set("<>&\u2028\u2029") & set(inline)
    assert json.loads(inline) == label


def test_everything_measured_is_on_the_page(detailed_page: str) -> None:
    outline = Outline(detailed_page)
    assert outline.open == outline.crossed == []
    assert len(outline.data) == 4 + 3 + 3 + 1 + 5
    for words in (
        "int8 runs 3.33× (3.27 to 3.39) as fast as float",
        "0.1029 to 0.1083",
        "First inference",
        "20.0 to 25.0",
        "Time of each layer",
        "Activations of each layer",
        "Drop of each class",
        "Changed by conversion",
        "leads by",
        "edgeres report RESULT.json --recompute",
    ):
        assert words in outline.text, words


def test_every_chart_has_its_numbers_in_text(detailed_page: str) -> None:
    """But for the confusion matrices, whose pairs have a table."""
    outline = Outline(detailed_page)
    charts = [each for each in outline.all("div") if each.get("class") == "chart"]
    assert all(each["role"] == "img" and each["aria-label"] for each in charts)
    with_numbers = [each for each in charts if "its numbers follow" in (each["aria-label"] or "")]
    assert len(with_numbers) == len([each for each in outline.all("details") if each.get("class") == "numbers"])
    others = [each["aria-label"] for each in charts if each not in with_numbers]
    assert all((label or "").startswith("Confusion matrix of ") for label in others)
    assert len(others) == 5


def test_links_lead_only_to_sections_that_are_there(detailed_page: str, page: str) -> None:
    assert "#layers" in [each.get("href") for each in Outline(detailed_page).all("a")]
    assert "#layers" not in [each.get("href") for each in Outline(page).all("a")]


def test_ten_thousand_images_make_a_page_of_moderate_size(detailed_story: Story) -> None:
    accuracy = detailed_story.results[0]
    data = accuracy.result.data
    assert data is not None
    assert data.truth is not None
    times = 10_000 // data.images + 1

    def longer(values: tuple[int, ...]) -> tuple[int, ...]:
        return (values * times)[:10_000]

    rows = tuple(
        replace(row, accuracy=replace(row.accuracy, images=10_000, predictions=longer(row.accuracy.predictions or ())))
        for row in accuracy.result.artifacts
        if row.accuracy
    )
    many = replace(data, images=10_000, truth=longer(data.truth))
    result = replace(accuracy.result, artifacts=rows, data=many)
    story = replace(detailed_story, results=(replace(accuracy, result=result), detailed_story.results[1]))
    assert len(html.render(story).encode()) < 6_000_000
