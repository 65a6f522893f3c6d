"""The iOS project: its package compiled and run where a Swift compiler is, its files parsed, its settings read."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
import yaml

from converters.apps.embedding import embed
from converters.apps.golden_file import packed
from converters.apps.ios import writer
from converters.apps.source import read_source
from edgeres.bundle import open_bundle
from targets.scaling import dequantize, quantize
from tests.converters.apps.c.test_preprocessing import images
from tests.converters.apps.conftest import CONTRACTS, Made
from tests.converters.apps.hostile import HOSTILE
from tests.targets.bundles import LABELS_OF_DATA

pytestmark = pytest.mark.slow

TEMPLATES = Path(writer.__file__).parent / "templates"
RESOURCES = "App/Resources"


@pytest.fixture(scope="session")
def swift() -> str:
    found = shutil.which("swiftc")
    if found is None:
        pytest.skip("no Swift compiler is installed (Debian 13: swiftlang)")
    return found


@pytest.fixture(scope="session")
def program(swift: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package's files, compiled with a program that drives them; a warning is an error."""
    out = tmp_path_factory.mktemp("swift") / "program"
    sources = [*sorted(TEMPLATES.glob("Sources/Preparation/*.swift")), Path(__file__).with_name("main.swift")]
    command = [swift, "-O", "-warnings-as-errors", *map(str, sources), "-o", str(out)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


def answer(program: Path, *arguments: object) -> bytes:
    return subprocess.run([program, *map(str, arguments)], capture_output=True, check=True).stdout


@pytest.mark.parametrize("contract", CONTRACTS)
def test_every_bit_is_pythons(contract: str, made: Made, pictures: Path, program: Path, tmp_path: Path) -> None:
    gray = contract == "gray"
    bundle = made("gray", contract) if gray else made("fifty", contract, LABELS_OF_DATA[:1] * 50)
    embed(bundle, "ios", tmp_path / "app")
    preprocess = open_bundle(bundle).manifest.preprocess
    pixels = [np.asarray(image) for image in images(pictures, exif=preprocess.exif)]
    expected = np.stack([preprocess(image) for image in pixels])
    (tmp_path / "images.bin").write_bytes(packed(pixels, expected, np.empty((len(pixels), 0), np.float32)))
    found = answer(program, tmp_path / "app" / RESOURCES, "inputs", tmp_path / "images.bin")
    np.testing.assert_array_equal(np.frombuffer(found, "<f4").reshape(expected.shape), expected)
    assert len(np.unique(expected, axis=0)) > 3


def test_hostile_labels_come_out_unchanged(made: Made, program: Path, tmp_path: Path) -> None:
    bundle = made("fifty", "unit", HOSTILE)
    embed(bundle, "ios", tmp_path / "app")
    found = answer(program, tmp_path / "app" / RESOURCES, "labels")
    texts = []
    while found:
        (length,) = struct.unpack_from(">I", found)
        texts.append(found[4 : 4 + length].decode("utf-8"))
        found = found[4 + length :]
    assert texts == [bundle.name, *HOSTILE]


def test_integers_are_those_of_the_harness(made: Made, program: Path, tmp_path: Path) -> None:
    bundle = made("fifty_int8", "symmetric", HOSTILE)
    embed(bundle, "ios", tmp_path / "app")
    source = read_source(bundle)
    found = answer(program, tmp_path / "app" / RESOURCES, "stored")
    scale, zero_point = source.input.scales[0], source.input.zero_points[0]
    for values in source.golden.inputs:
        stored = quantize(values, "int8", scale=scale, zero_point=zero_point)
        real = dequantize(stored, scale=scale, zero_point=zero_point)
        assert found[: stored.nbytes] == stored.tobytes()
        assert found[stored.nbytes : stored.nbytes + real.nbytes] == real.tobytes()
        found = found[stored.nbytes + real.nbytes :]
    assert not found


def test_the_check_tells_right_from_wrong(made: Made, program: Path, tmp_path: Path) -> None:
    embed(made("fifty_int8", "raw", HOSTILE), "ios", tmp_path / "app")
    resources = tmp_path / "app" / RESOURCES
    assert answer(program, resources, "check", "0.05") == b"[true, true, true, true]\n"
    assert answer(program, resources, "check", "0.2") == b"[false, false, false, false]\n"
    assert answer(program, resources, "check", "nan") == b"[false, false, false, false]\n"
    content = bytearray((resources / "golden.bin").read_bytes())
    content[30] ^= 0xFF  # in the first image
    (resources / "golden.bin").write_bytes(content)
    assert answer(program, resources, "check", "0") == b"[false, true, true, true]\n"
    for broken in (b"", content[:-1], b"EDGERES1" + b"\xff" * 12):
        (resources / "golden.bin").write_bytes(broken)
        assert answer(program, resources, "check", "0") == b"not of this app\n"


def parses(content: bytes, folder: Path) -> bool:
    """By Swift's own parser where there is one, else by a grammar of tree-sitter."""
    if (swiftc := shutil.which("swiftc")) is not None:
        (folder / "file.swift").write_bytes(content)
        return subprocess.run([swiftc, "-frontend", "-parse", str(folder / "file.swift")]).returncode == 0
    tree_sitter, grammar = pytest.importorskip("tree_sitter"), pytest.importorskip("tree_sitter_swift")
    parser = tree_sitter.Parser(tree_sitter.Language(grammar.language()))
    return not parser.parse(content).root_node.has_error


@pytest.mark.parametrize("path", sorted(TEMPLATES.rglob("*.swift")), ids=lambda path: path.name)
def test_every_file_parses(path: Path, tmp_path: Path) -> None:
    assert parses(path.read_bytes(), tmp_path)
    assert not parses(path.read_bytes() + b"\nstruct Wrong { let a: = 1 }\n", tmp_path)


def test_the_project_names_what_is_there(made: Made, tmp_path: Path) -> None:
    app = tmp_path / "app"
    embed(made("fifty", "unit", HOSTILE), "ios", app)
    project = yaml.safe_load((app / "project.yml").read_text())
    for target in project["targets"].values():
        assert all((app / source).is_dir() for source in target["sources"])
    properties = project["targets"]["Classifier"]["info"]["properties"]
    assert properties["NSCameraUsageDescription"]  # without it, iOS ends an app that opens the camera
    pods = re.findall(r"target '(\w+)'", (app / "Podfile").read_text())
    assert pods == list(project["targets"])
    for path in app.rglob("*"):  # labels are data
        if path.suffix in (".swift", ".yml") or path.name == "Podfile":
            assert path.read_bytes() == (TEMPLATES / path.relative_to(app)).read_bytes()
