"""The page in a real browser: what it draws, logs, requests and measures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.edgeres.report.chromium import EXECUTABLE, Chromium, Page, running
from tests.edgeres.report.material import BREAKOUT

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(EXECUTABLE is None, reason="no Chromium on this machine"),
]


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with running(tmp_path_factory.mktemp("chromium") / "profile") as browser:
        yield browser


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, detailed_page: str, absent_page: str) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    written = {"present": folder / "present.html", "absent": folder / "absent.html"}
    written["present"].write_text(detailed_page, encoding="utf-8")
    written["absent"].write_text(absent_page, encoding="utf-8")
    return written


def _opened(chromium: Chromium, path: Path, *, width: int) -> Iterator[Page]:
    tab = chromium.page()
    tab.open(path, width=width)
    yield tab
    tab.close()


@pytest.fixture(scope="module")
def desktop(chromium: Chromium, files: dict[str, Path]) -> Iterator[Page]:
    yield from _opened(chromium, files["present"], width=1280)


@pytest.fixture(scope="module")
def phone(chromium: Chromium, files: dict[str, Path]) -> Iterator[Page]:
    yield from _opened(chromium, files["present"], width=390)


@pytest.fixture(scope="module")
def hostile(chromium: Chromium, files: dict[str, Path]) -> Iterator[Page]:
    yield from _opened(chromium, files["absent"], width=390)


@pytest.mark.parametrize(("name", "width"), [("desktop", 1280), ("phone", 390), ("hostile", 390)])
def test_no_error_no_request_no_overflow_and_nothing_hostile_runs(
    request: pytest.FixtureRequest, files: dict[str, Path], name: str, width: int
) -> None:
    tab = request.getfixturevalue(name)
    assert tab.problems == []
    file = files["absent" if name == "hostile" else "present"]
    assert [url for url in tab.requests if not url.startswith("data:")] == [file.as_uri()]
    assert tab.evaluate("document.documentElement.scrollWidth") == width
    assert tab.evaluate("document.title").endswith("edgeres report")
    assert tab.evaluate("[...document.images].filter(image => !image.naturalWidth).length") == 0


def test_every_chart_is_drawn(desktop: Page) -> None:
    assert desktop.evaluate("document.querySelectorAll('.chart').length") == 16
    undrawn = "[...document.querySelectorAll('.chart')].filter(chart => !chart.querySelector('svg.main-svg')).length"
    assert desktop.evaluate(undrawn) == 0
    assert desktop.evaluate("document.querySelectorAll('.chart .errorbar').length") > 0
    assert desktop.evaluate("document.querySelectorAll('.chart .heatmaplayer image').length") == 5


def test_hostile_names_are_drawn_as_they_are(hostile: Page) -> None:
    ticks = hostile.evaluate("[...document.querySelectorAll('.chart .ytick text')].map(tick => tick.textContent)")
    assert BREAKOUT[:15] + "…" in ticks, "a class"
    assert BREAKOUT[:25] + "…" in ticks, "a layer"
    assert hostile.evaluate("document.title").startswith(BREAKOUT)


def test_the_policy_stops_a_script_that_is_not_the_pages_own(chromium: Chromium, tmp_path: Path, page: str) -> None:
    broken = tmp_path / "broken.html"
    head = page.partition("<main>")[0]
    broken.write_text(f"{head}<main><script>document.title = 'owned'</script></main>", encoding="utf-8")
    tab = chromium.page()
    tab.open(broken)
    assert tab.evaluate("document.title") != "owned"
    assert any("Content Security Policy" in problem for problem in tab.problems)


def test_the_keyboard_reaches_the_table_first(desktop: Page) -> None:
    for kind in ("keyDown", "keyUp"):
        desktop.call("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)
    assert desktop.evaluate("document.activeElement.getAttribute('href')") == "#comparison"


def test_wide_tables_scroll_in_their_own_region(phone: Page) -> None:
    inside = "(() => { const r = document.querySelector('.scroll'); return [r.scrollWidth, r.clientWidth]; })()"
    scroll, client = phone.evaluate(inside)
    assert scroll > client
    assert client <= 390


def test_a_picture_of_the_page_has_its_charts(desktop: Page, tmp_path: Path) -> None:
    """Colours of the series are among the pixels: the charts are visible, not only present."""
    from PIL import Image

    box = desktop.evaluate(
        "(() => { const b = document.querySelector('.chart').getBoundingClientRect();"
        " return [b.x + scrollX, b.y + scrollY, b.width, b.height]; })()"
    )
    desktop.screenshot(tmp_path / "chart.png", x=box[0], y=box[1], width=box[2], height=box[3])
    with Image.open(tmp_path / "chart.png") as image:
        colors = {color for _, color in image.convert("RGB").getcolors(1 << 24) or ()}
    assert (0x1D, 0x85, 0x63) in colors, "the whiskers of the third bundle (--series-3)"


def test_charts_follow_light_and_dark(desktop: Page) -> None:
    color = "getComputedStyle(document.querySelector('.chart .xtick text')).fill"
    light = desktop.evaluate(color)
    desktop.prefer("dark")
    desktop.evaluate("new Promise(done => setTimeout(done, 300))")
    dark = desktop.evaluate(color)
    assert light != dark
    assert dark == desktop.evaluate("getComputedStyle(document.body).color")


def test_open_tables_of_numbers_fit_a_phone(phone: Page) -> None:
    phone.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true; })")
    try:
        assert phone.evaluate("document.documentElement.scrollWidth") == 390
    finally:
        phone.evaluate("document.querySelectorAll('details').forEach(each => { each.open = false; })")


def test_the_keyboard_opens_the_numbers_of_a_chart_and_shows_where_it_is(desktop: Page) -> None:
    desktop.evaluate("document.querySelector('.numbers summary').focus({ focusVisible: true })")
    shown = "getComputedStyle(document.activeElement).outlineStyle"
    assert desktop.evaluate("document.activeElement.matches(':focus-visible')")
    assert desktop.evaluate(shown) == "solid"
    for kind in ("keyDown", "keyUp"):
        desktop.call("Input.dispatchKeyEvent", type=kind, key=" ", code="Space", text=" ", windowsVirtualKeyCode=32)
    assert desktop.evaluate("document.activeElement.parentElement.open")
    desktop.evaluate("document.activeElement.parentElement.open = false")
