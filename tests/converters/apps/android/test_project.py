"""The Android project: its arithmetic on a JVM, its Kotlin through the compiler, its resources through aapt2."""

from __future__ import annotations

import json
import re
import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest

from converters.apps.embedding import embed
from converters.apps.golden_file import packed
from converters.apps.source import read_source
from edgeres.bundle import open_bundle
from edgeres.console import run
from targets.scaling import dequantize, quantize
from tests.converters.apps.android.conftest import FRAMEWORK, HERE, TEMPLATES, Kotlin
from tests.converters.apps.c.test_preprocessing import images
from tests.converters.apps.conftest import CONTRACTS, Made
from tests.converters.apps.hostile import HOSTILE
from tests.targets.bundles import LABELS_OF_DATA
from tests.trained import Bundles

pytestmark = pytest.mark.slow

PHONES = ("android", "ios", "react-native", "flutter")
MAIN = "app.classifier.ProgramKt"
ASSETS = "app/src/main/assets"


@pytest.mark.parametrize("contract", CONTRACTS)
def test_every_bit_is_pythons(
    contract: str, made: Made, pictures: Path, kotlin: Kotlin, program: Path, tmp_path: Path
) -> None:
    gray = contract == "gray"
    bundle = made("gray", contract) if gray else made("fifty", contract, LABELS_OF_DATA[:1] * 50)
    embed(bundle, "android", tmp_path / "app")
    preprocess = open_bundle(bundle).manifest.preprocess
    pixels = [np.asarray(image) for image in images(pictures, exif=preprocess.exif)]
    expected = np.stack([preprocess(image) for image in pixels])
    (tmp_path / "images.bin").write_bytes(packed(pixels, expected, np.empty((len(pixels), 0), np.float32)))
    found = kotlin.run(program, MAIN, str(tmp_path / "app" / ASSETS), "inputs", str(tmp_path / "images.bin"))
    np.testing.assert_array_equal(np.frombuffer(found, "<f4").reshape(expected.shape), expected)
    assert len(np.unique(expected, axis=0)) > 3


def test_hostile_labels_come_out_unchanged(made: Made, kotlin: Kotlin, program: Path, tmp_path: Path) -> None:
    bundle = made("fifty", "unit", HOSTILE)
    embed(bundle, "android", tmp_path / "app")
    found = kotlin.run(program, MAIN, str(tmp_path / "app" / ASSETS), "labels")
    texts = []
    while found:
        (length,) = struct.unpack_from(">i", found)
        texts.append(found[4 : 4 + length].decode("utf-8"))
        found = found[4 + length :]
    assert texts == [bundle.name, *HOSTILE]


def test_labels_are_in_json_alone(made: Made, tmp_path: Path) -> None:
    embed(made("fifty", "unit", HOSTILE), "android", tmp_path / "app")
    for path in (tmp_path / "app").rglob("*"):
        if path.suffix in (".kt", ".kts", ".xml", ".properties"):
            assert path.read_bytes() == (TEMPLATES / path.relative_to(tmp_path / "app")).read_bytes()


def test_integers_are_those_of_the_harness(made: Made, kotlin: Kotlin, program: Path, tmp_path: Path) -> None:
    bundle = made("fifty_int8", "symmetric", HOSTILE)
    embed(bundle, "android", tmp_path / "app")
    source = read_source(bundle)
    found = kotlin.run(program, MAIN, str(tmp_path / "app" / ASSETS), "stored")
    scale, zero_point = source.input.scales[0], source.input.zero_points[0]
    for values in source.golden.inputs:
        stored = quantize(values, "int8", scale=scale, zero_point=zero_point)
        real = dequantize(stored, scale=scale, zero_point=zero_point)
        assert found[: stored.nbytes] == stored.tobytes()
        assert found[stored.nbytes : stored.nbytes + real.nbytes] == real.tobytes()
        found = found[stored.nbytes + real.nbytes :]
    assert not found


def test_the_check_tells_right_from_wrong(made: Made, kotlin: Kotlin, program: Path, tmp_path: Path) -> None:
    embed(made("fifty_int8", "raw", HOSTILE), "android", tmp_path / "app")
    assets = str(tmp_path / "app" / ASSETS)
    assert kotlin.run(program, MAIN, assets, "check", "0.05").decode() == "[true, true, true, true]\n"
    assert kotlin.run(program, MAIN, assets, "check", "0.2").decode() == "[false, false, false, false]\n"
    assert kotlin.run(program, MAIN, assets, "check", "NaN").decode() == "[false, false, false, false]\n"
    golden = tmp_path / "app" / ASSETS / "golden.bin"
    content = bytearray(golden.read_bytes())
    content[30] ^= 0xFF  # in the first image
    golden.write_bytes(content)
    assert kotlin.run(program, MAIN, assets, "check", "0").decode() == "[false, true, true, true]\n"


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The resources and the manifest as Android's own tools link them, with the R class."""
    if shutil.which("aapt2") is None or not FRAMEWORK.exists():
        pytest.skip("Android's resource tools are not installed (aapt, android-framework-res)")
    out = tmp_path_factory.mktemp("aapt")
    main = TEMPLATES / "app/src/main"
    # Gradle puts the name of the package into the manifest.
    manifest = (main / "AndroidManifest.xml").read_text().replace("<manifest ", '<manifest package="app.classifier" ')
    (out / "AndroidManifest.xml").write_text(manifest)
    compiling = ["aapt2", "compile", "--dir", str(main / "res"), "-o", str(out / "res.zip")]
    # The framework is that of Android 10, which does not know <uses-native-library> of 12.
    linking = ["aapt2", "link", "--warn-manifest-validation", "-I", str(FRAMEWORK), "--java", str(out / "java")]
    linking += ["--manifest", str(out / "AndroidManifest.xml"), "--min-sdk-version", "24", "--target-sdk-version", "29"]
    linking += ["-o", str(out / "app.apk"), str(out / "res.zip")]
    for command in (compiling, linking):
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert all("<uses-native-library>" in line for line in done.stderr.splitlines()), done.stderr
    return out


def test_manifest_and_resources_are_what_android_expects(package: Path) -> None:
    command = ["aapt2", "dump", "badging", str(package / "app.apk")]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert re.findall("uses-permission: name='(.*)'", said) == ["android.permission.CAMERA"]
    assert "launchable-activity: name='app.classifier.MainActivity'" in said
    assert "application-label:'Classifier'" in said
    assert "application-icon-160:'res/mipmap-anydpi-v26/ic_launcher.xml'" in said
    assert "uses-feature: name='android.hardware.camera'" not in said  # else a device without one could not install it


def test_all_of_the_kotlin_compiles_against_the_declared_interfaces(
    kotlin: Kotlin, package: Path, tmp_path: Path
) -> None:
    sources = TEMPLATES / "app/src"
    folders = [HERE / "declarations", package / "java", sources / "main/java", sources / "androidTest/java"]
    said = kotlin.compile(tmp_path / "classes", *folders)
    assert not said, said
    broken = tmp_path / "Broken.kt"
    broken.write_text("package app.classifier\nval broken: Int = R.string.absent\n")
    assert "unresolved reference 'absent'" in kotlin.compile(tmp_path / "classes", *folders, broken)


def test_each_string_and_view_that_the_code_names_exists(package: Path) -> None:
    known = (package / "java/app/classifier/R.java").read_text()
    code = "".join(path.read_text() for path in TEMPLATES.rglob("*.kt"))
    for name in re.findall(r"R\.\w+\.(\w+)", code):
        assert f" {name}=" in known


def test_an_open_batch_is_refused(made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["embed", str(made("float32")), "--platform", "android", "--out", str(tmp_path / "app")]) == 5
    assert "has an open batch, an app for phones needs 1" in capsys.readouterr().err


@pytest.mark.parametrize("platform", PHONES)
def test_what_a_phone_cannot_take_is_refused(
    platform: str, bundles: Bundles, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["embed", str(bundles("int16x8").path), "--platform", platform, "--out", str(tmp_path / "app")]) == 5
    error = capsys.readouterr().err
    assert "takes int16, an app for phones needs float32 or 8 bits" in error
    assert "fix: convert with --set quantize.io=float32" in error


def test_what_differs_lies_in_the_assets(made: Made, tmp_path: Path) -> None:
    embed(made("fifty_int8", "torch", HOSTILE), "android", tmp_path / "app")
    app = json.loads((tmp_path / "app" / ASSETS / "app.json").read_text())
    assert app["input"]["dtype"] == app["output"]["dtype"] == "int8"
    assert app["preprocess"]["mean"] == list(CONTRACTS["torch"].mean)
