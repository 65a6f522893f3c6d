"""The React Native screen: its types against the packages' own, what needs no phone run in Node."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from converters.apps.embedding import embed
from converters.apps.react_native import writer
from converters.apps.source import read_source
from converters.apps.web import writer as web
from edgeres.preprocess import open_image
from targets.scaling import quantize
from tests.converters.apps.conftest import Made
from tests.converters.apps.hostile import HOSTILE
from tests.converters.apps.npm import npm_ci
from tests.converters.apps.web.conftest import node  # noqa: F401 - a fixture
from tests.edgeres.pictures import encoded

pytestmark = pytest.mark.slow

TEMPLATES = Path(writer.__file__).parent / "templates"

RUN = """
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
const require = createRequire(process.argv[1] + "/out/run.js");
const { stored, real } = require("./description.js");
const { checked, readGolden } = require("./golden.js");
const { decoded } = require("./jpeg.js");
const description = JSON.parse(readFileSync(process.argv[1] + "/assets/description.json"));
const content = readFileSync(process.argv[1] + "/assets/golden.bin");
const golden = readGolden(content.buffer.slice(content.byteOffset, content.byteOffset + content.length), description);
const off = async (by) => {
  const outputs = golden.map(({ output }) => output.with(0, output[0] + by));
  return (await checked(golden, description, async () => outputs.shift())).map(({ ok }) => ok);
};
const integers = golden.map(({ input }) => [...stored(input, description.input)]);
const back = golden.map(({ input }) => [...real(stored(input, description.input).buffer, description.input)]);
const pictures = process.argv.slice(2).map((path) => {
  const { width, height, data } = decoded(readFileSync(path), true);
  return { width, height, data: [...data] };
});
const right = await off(0.05), wrong = await off(0.2);
console.log(JSON.stringify({ labels: description.labels, right, wrong, integers, back, pictures }));
"""


@pytest.fixture(scope="module")
def node_modules(request: pytest.FixtureRequest) -> Path:
    cache = request.config.cache
    assert cache is not None
    return npm_ci(cache, Path(__file__).parent)


@pytest.fixture(scope="module")
def app(made: Made, node_modules: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An app with hostile labels, beside the packages that its types come from."""
    out = tmp_path_factory.mktemp("react-native") / "app"
    embed(made("fifty_int8", "symmetric", HOSTILE), "react-native", out)
    (out / "node_modules").symlink_to(node_modules)
    return out


def compiled(app: Path, node: str, *options: str) -> str:  # noqa: F811
    command = [node, "node_modules/typescript/bin/tsc", *options]
    return subprocess.run(command, capture_output=True, text=True, cwd=app).stdout


def test_its_types_are_those_of_the_packages(app: Path, node: str) -> None:  # noqa: F811
    assert compiled(app, node, "--noEmit") == ""
    (app / "wrong.ts").write_text(
        'import { description } from "./classifier";\nexport const n: number = description.name;\n'
    )
    said = compiled(app, node, "--noEmit")
    (app / "wrong.ts").unlink()
    assert "Type 'string' is not assignable to type 'number'" in said


def test_what_needs_no_phone_does_what_the_harness_does(
    app: Path,
    node: str,  # noqa: F811
    made: Made,
) -> None:
    options = ["--noEmit", "false", "--outDir", "out", "--module", "commonjs", "--moduleResolution", "node10"]
    files = ["description.ts", "golden.ts", "jpeg.ts", "preprocess.js"]
    flags = ["--allowJs", "--target", "es2022", "--esModuleInterop", "--skipLibCheck"]
    said = compiled(app, node, *flags, *options, *files)
    assert said == "", said
    command = [node, "--input-type=module", "--eval", RUN, str(app)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["labels"] == list(HOSTILE)
    assert (found["right"], found["wrong"]) == ([True] * 4, [False] * 4)
    source = read_source(made("fifty_int8", "symmetric", HOSTILE))
    scale, zero_point = source.input.scales[0], source.input.zero_points[0]
    stored = quantize(source.golden.inputs, "int8", scale=scale, zero_point=zero_point)
    np.testing.assert_array_equal(np.asarray(found["integers"]).reshape(stored.shape), stored)
    real = (stored.astype(np.float32) - np.float32(zero_point)) * np.float32(scale)
    np.testing.assert_array_equal(np.asarray(found["back"], np.float32).reshape(real.shape), real)


def upright(path: Path) -> np.ndarray:
    return np.asarray(open_image(path.read_bytes(), exif=True)).astype(int)


@pytest.mark.parametrize("turn", range(1, 9))
def test_each_orientation_is_pillows(turn: int, app: Path, node: str, tmp_path: Path) -> None:  # noqa: F811
    pixels = np.zeros((16, 24, 3), np.uint8)
    pixels[:8, :8], pixels[8:, 16:] = (255, 0, 0), (0, 255, 0)
    exif = Image.Exif()
    exif[0x0112] = turn
    path = tmp_path / "turned.jpg"
    path.write_bytes(encoded(Image.fromarray(pixels), "JPEG", quality=95, exif=exif.tobytes(), subsampling=0))
    program = RUN.split("const right", maxsplit=1)[0] + "console.log(JSON.stringify(pictures));"
    command = [node, "--input-type=module", "--eval", program, str(app), str(path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(done.stdout)
    expected = upright(path)
    pixels = np.asarray(found["data"]).reshape(found["height"], found["width"], 3)
    assert pixels.shape == expected.shape
    assert np.abs(pixels - expected).max() <= 6


def test_the_preprocessing_is_the_browser_pages_and_labels_are_in_json_alone(app: Path) -> None:
    page = Path(web.__file__).parent / "templates" / "preprocess.js"
    assert (app / "preprocess.js").read_bytes() == page.read_bytes()
    for path in app.glob("*.*s*"):
        if path.suffix in (".ts", ".tsx", ".js") and path.name != "preprocess.js":
            assert path.read_bytes() == (TEMPLATES / path.name).read_bytes()
