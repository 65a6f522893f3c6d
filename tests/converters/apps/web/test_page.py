"""The page in a real browser: what it computes, shows, requests and keeps."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from converters.apps.embedding import embed
from edgeres.bundle import Bundle, open_bundle
from edgeres.console import run
from edgeres.data import open_dataset
from targets.flatbuffer import walk
from targets.runtimes.cpu import CPU
from tests.converters.apps.conftest import Made
from tests.converters.apps.hostile import HOSTILE
from tests.converters.apps.web.conftest import served
from tests.edgeres.pictures import encoded
from tests.edgeres.report.chromium import EXECUTABLE, Chromium, Page, running
from tests.trained import Trained

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(EXECUTABLE is None, reason="Chromium is not installed"),
]

NO_GPU = ("No available adapters", "No GPU adapter found")
"""What LiteRT.js and the browser say on a machine without a graphics adapter."""


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with running(tmp_path_factory.mktemp("chromium") / "profile") as browser:
        yield browser


@pytest.fixture(scope="module")
def int8(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A trained network, int8 inside, with the float32 ends that LiteRT.js needs."""
    out = tmp_path_factory.mktemp("float-ends") / "bundle"
    arguments = [str(trained.model), "--data", "digits", "--set", "quantize.io=float32", "--out", str(out)]
    assert run(["convert", *arguments]) == 0
    return open_bundle(out)


def opened(chromium: Chromium, address: str, *, width: int = 390, dark: bool = False) -> Page:
    page = chromium.page()
    page.open(address, width=width, height=844, dark=dark)
    wait(page, "document.documentElement.dataset.ready === 'yes'")
    return page


def wait(page: Page, condition: str) -> None:
    deadline = time.monotonic() + 60
    while not page.evaluate(condition):
        status = page.evaluate("document.getElementById('status').textContent")
        assert time.monotonic() < deadline, (status, page.problems)
        time.sleep(0.05)


def problems(page: Page) -> list[str]:
    return [problem for problem in page.problems if not any(known in problem for known in NO_GPU)]


def scores_of(page: Page, contents: list[bytes]) -> np.ndarray:
    """What the page computes of files: float32 (n, classes)."""
    pictures = json.dumps([base64.b64encode(content).decode() for content in contents])
    found = page.evaluate(f"""(async () => {{
        const {{ classify, decoded }} = await import("./classifier.js");
        const all = [];
        for (const picture of {pictures}) {{
            const bytes = Uint8Array.from(atob(picture), (character) => character.charCodeAt(0));
            all.push([...(await classify(await decoded(new Blob([bytes])))).scores]);
        }}
        return all;
    }})()""")
    return np.asarray(found, np.float32)


def harness(bundle: Bundle, contents: list[Any]) -> np.ndarray:
    with CPU.open(bundle.read("model.tflite")) as session:
        return session.infer(np.stack([bundle.manifest.preprocess(content) for content in contents]))


def choose(page: Page, path: Path) -> None:
    """Give the page a file as a person does; wait for its answer."""
    page.call("DOM.enable")
    root = page.call("DOM.getDocument")["root"]["nodeId"]
    field = page.call("DOM.querySelector", nodeId=root, selector="#file")["nodeId"]
    page.evaluate("document.getElementById('status').textContent = ''")
    page.call("DOM.setFileInputFiles", nodeId=field, files=[str(path)])
    wait(page, "!['', 'Looking…'].includes(document.getElementById('status').textContent)")


def shown(page: Page) -> list[str]:
    labels: list[str] = page.evaluate("[...document.querySelectorAll('.label')].map((each) => each.textContent)")
    return labels


def test_an_int8_network_gives_the_harness_answers_and_goes_on_without_a_network(
    int8: Bundle, chromium: Chromium, node_modules: Path, tmp_path: Path
) -> None:
    embed(int8.path, "web", tmp_path / "app")
    split = open_dataset("digits").split("test")
    files = [encoded(Image.fromarray(split.picture(place))) for place in range(60)]
    expected = harness(int8, files)
    step = min(tensor.scales[0] for tensor in walk(int8.read("model.tflite")).main.tensors[-2:] if tensor.scales)
    with served(tmp_path / "app", node_modules) as address:
        page = opened(chromium, f"{address}?check")
        assert page.evaluate("document.documentElement.dataset.check") == "ok"
        assert page.evaluate("document.querySelectorAll('#check tbody tr').length") == 4
        found = scores_of(page, files)
        np.testing.assert_array_equal(found.argmax(axis=1), expected.argmax(axis=1))
        assert np.abs(found - expected).max() <= 1.001 * step
        wait(page, "document.documentElement.dataset.kept === 'yes'")
        assert problems(page) == []
        assert {request for request in page.requests if not request.startswith((address, "blob:"))} == set()
        page.close()
    page = opened(chromium, address)  # nobody serves it any more
    np.testing.assert_array_equal(scores_of(page, files[:5]), found[:5])
    page.close()


@pytest.mark.parametrize("contract", ["torch", "pad"])  # with EXIF and without
def test_every_kind_of_picture_becomes_what_it_becomes_in_python(
    contract: str, made: Made, pictures: Path, chromium: Chromium, node_modules: Path, tmp_path: Path
) -> None:
    bundle = open_bundle(made("fifty", contract, HOSTILE))
    embed(bundle.path, "web", tmp_path / "app")
    names = sorted(place.name for place in pictures.iterdir())
    with served(tmp_path / "app", node_modules) as address:
        page = opened(chromium, address)
        contents = json.dumps([base64.b64encode((pictures / name).read_bytes()).decode() for name in names])
        inputs = page.evaluate(f"""(async () => {{
            const {{ decoded, load }} = await import("./classifier.js");
            const {{ prepared }} = await import("./preprocess.js");
            const {{ app }} = await load();
            const all = [];
            for (const picture of {contents}) {{
                const bytes = Uint8Array.from(atob(picture), (character) => character.charCodeAt(0));
                all.push([...prepared(await decoded(new Blob([bytes])), app.preprocess)]);
            }}
            return all;
        }})()""")
        page.close()
    preprocess = bundle.manifest.preprocess
    one = 1.001 * preprocess.scale / np.asarray(preprocess.std)
    for name, values in zip(names, inputs, strict=True):
        expected = preprocess((pictures / name).read_bytes())
        off = np.abs(np.asarray(values, np.float32).reshape(expected.shape) - expected)
        assert (off <= one).all(), (name, (off / one).max())


def test_hostile_labels_are_shown_as_text_and_nothing_moves(
    made: Made, pictures: Path, chromium: Chromium, node_modules: Path, tmp_path: Path
) -> None:
    embed(made("fifty", "unit", HOSTILE), "web", tmp_path / "app")
    seen: set[str] = set()
    with served(tmp_path / "app", node_modules) as address:
        page = opened(chromium, address)
        for path in sorted(pictures.iterdir()):
            choose(page, path)
            labels = shown(page)
            assert len(labels) == 5
            assert set(labels) <= set(HOSTILE)
            seen.update(labels)
        assert len(seen) > 10
        every = json.dumps(list(HOSTILE))
        same = "(async () => (await (await import('./classifier.js')).load()).app.labels)() "
        assert page.evaluate(same) == json.loads(every)
        assert page.evaluate("document.title") == made("fifty", "unit", HOSTILE).name
        assert page.evaluate("document.scripts.length") <= 4
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert problems(page) == []
        page.close()


def test_what_is_no_picture_is_said_in_a_sentence(
    made: Made, chromium: Chromium, node_modules: Path, tmp_path: Path
) -> None:
    embed(made("fifty", "unit", HOSTILE), "web", tmp_path / "app")
    (tmp_path / "text.png").write_text("I am a text")
    with served(tmp_path / "app", node_modules) as address:
        page = opened(chromium, address)
        choose(page, tmp_path / "text.png")
        assert page.evaluate("document.getElementById('status').textContent") == (
            "This browser cannot read that file as a picture."
        )
        assert shown(page) == []
        page.close()


def test_the_camera_is_watched_until_it_is_stopped(
    made: Made, chromium: Chromium, node_modules: Path, tmp_path: Path
) -> None:
    embed(made("fifty", "unit", HOSTILE), "web", tmp_path / "app")
    with served(tmp_path / "app", node_modules) as address:
        page = opened(chromium, address, width=1280, dark=True)
        page.evaluate("document.getElementById('camera').click()")
        wait(page, "document.querySelectorAll('.label').length === 5")
        latency = page.evaluate("document.getElementById('latency').textContent")
        wait(page, f"document.getElementById('latency').textContent !== {latency!r}")
        page.evaluate("document.getElementById('camera').click()")
        wait(page, "document.getElementById('video').hidden")
        assert page.evaluate("document.getElementById('camera').textContent") == "Use the camera"
        assert problems(page) == []
        page.close()
