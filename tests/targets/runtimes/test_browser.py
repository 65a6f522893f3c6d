"""LiteRT.js in a real browser: what it computes, refuses, measures and leaves behind."""

from __future__ import annotations

import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import tf_keras as keras

from edgeres.console import run
from edgeres.errors import ConfigError, ModelError, TargetError
from edgeres.results import read_result
from targets.artifact import Artifact
from targets.exactness import exactness
from targets.forecast.outlook import forecast
from targets.profiling import profile
from targets.runtimes import devtools
from targets.runtimes.browser import BROWSER, MODULES
from targets.runtimes.browser_engine import _served
from targets.runtimes.cpu import CPU
from targets.target import Target
from tests.converters.apps.web.conftest import node_modules  # noqa: F401 - a fixture
from tests.processes import outliving
from tests.targets.conftest import Models
from tests.targets.test_profiling import QUICK

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(devtools.executable() is None, reason="Chromium is not installed"),
]

IMAGES = np.random.default_rng(5).uniform(0, 255, (6, 32, 32, 3)).astype(np.float32)
WASM, WEBGPU = BROWSER.member(""), BROWSER.member("webgpu")


@pytest.fixture(autouse=True)
def litertjs(node_modules: Path, monkeypatch: pytest.MonkeyPatch) -> Path:  # noqa: F811
    monkeypatch.setenv(MODULES, str(node_modules))
    return node_modules


@pytest.fixture(scope="module")
def float32() -> bytes:
    """A ResNet-8 of half the width with a batch of 1, random weights."""
    from converters.export import to_flatbuffer
    from edgeres.models import find_network

    keras.utils.set_random_seed(0)
    return to_flatbuffer(find_network("resnet8").build(classes=10, width=0.5))


@pytest.fixture(scope="module")
def int8(float32: bytes) -> bytes:
    """The same in int8, with the float ends that LiteRT.js needs."""
    from converters.quantization.post_training import quantize

    return quantize(float32, "int8", images=[image[None] for image in IMAGES], io="float32")


def test_it_keeps_to_the_protocol() -> None:
    targets: list[Target] = [WASM, WEBGPU]
    assert [(each.name, each.kind, each.timed) for each in targets] == [
        ("browser", "browser", True),
        ("browser:webgpu", "browser", False),
    ]
    assert str(WASM.check().version).startswith("LiteRT.js 2.")


def test_without_litertjs_it_says_how_to_get_it_and_downloads_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, float32: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(MODULES, str(tmp_path))
    (tmp_path / "m.tflite").write_bytes(float32)
    assert run(["profile", str(tmp_path / "m.tflite"), "--target", "browser"]) == 6
    told = capsys.readouterr().err
    assert "LiteRT.js is not installed" in told
    assert "npm install @litertjs/core" in told
    assert MODULES in told
    monkeypatch.setenv(devtools.NAMED, str(tmp_path / "absent"))
    assert BROWSER.check().why == "Chromium is not installed"


def test_it_is_found_in_a_folder_above(node_modules: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.delenv(MODULES)
    (tmp_path / "node_modules").symlink_to(node_modules)
    (tmp_path / "deep" / "er").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "deep" / "er")
    assert BROWSER.check().available


@pytest.mark.parametrize("threads", [1, 2])
def test_it_computes_what_xnnpack_computes_here_bit_for_bit(float32: bytes, threads: int) -> None:
    with WASM.open(float32, threads=threads) as session, CPU.open(float32) as native:
        found = session.infer(IMAGES)
        np.testing.assert_array_equal(found, native.infer(IMAGES))
        assert np.array_equal(np.concatenate([session.infer(image[None]) for image in IMAGES]), found)
    assert len(np.unique(found, axis=0)) > 1


def test_an_int8_model_with_float_ends_agrees_with_the_reference_kernels(int8: bytes) -> None:
    with CPU.open(int8) as native:
        largest = float(np.abs(native.infer(IMAGES)).max())
    found = exactness(int8, IMAGES, target=WASM)
    assert found.largest <= 8 / 256 * largest
    assert not found.flips


def test_runs_are_clocked_in_the_page_by_a_fine_clock(float32: bytes) -> None:
    with WASM.open(float32) as session:
        start = session.start()
        assert start.initialization_ms > 0
        assert start.first_ms > 0
        assert start.peak_bytes >= start.load_bytes > 0
        times = session.time(runs=40, seconds=0)
        assert len(times) == 40
        assert session.clock_ms <= 0.1
        steps = np.array(times) / session.clock_ms
        np.testing.assert_allclose(steps, np.rint(steps), atol=1e-2)  # they are steps of the page's clock
        assert Path(f"/proc/{session.process_id}").exists()


@pytest.mark.slow
def test_profile_has_its_latency_with_a_proof(int8: bytes, tmp_path: Path) -> None:
    (tmp_path / "m.tflite").write_bytes(int8)
    arguments = [
        str(tmp_path / "m.tflite"),
        "--target",
        "browser",
        "--rounds",
        "30",
        "--json",
        str(tmp_path / "m.json"),
    ]
    assert run(["profile", *arguments, "--starts", "6"]) == 0
    (row,) = read_result(tmp_path / "m.json").artifacts
    assert row.latency is not None
    assert row.startup is not None
    assert row.proof is not None
    assert row.proof.passed


def test_webgpu_that_leaves_a_part_to_the_processor_is_an_error_and_no_silent_measurement(float32: bytes) -> None:
    """It has no int16."""
    from converters.quantization.post_training import quantize

    wide = quantize(float32, "int16x8", images=[image[None] for image in IMAGES], io="float32")
    with pytest.raises(TargetError, match="in part only") as caught:
        WEBGPU.open(wide)
    assert caught.value.fix == "use --target browser"


@pytest.fixture(scope="module")
def widened_int8(float32: bytes) -> bytes:
    """The same with its shortcuts in 3x3 kernels."""
    from converters.quantization.post_training import quantize
    from converters.shortcuts import widened

    return quantize(widened(float32), "int8", images=[image[None] for image in IMAGES], io="float32")


def test_webgpu_computes_floats_and_its_fault_with_integers_fails_the_proof(
    float32: bytes, int8: bytes, widened_int8: bytes
) -> None:
    """The fault is that of strided 1x1 convolutions, a residual network's shortcuts; the forecast names it."""
    given = [
        Artifact(name, f"{name}.tflite", "tflite", model)
        for name, model in (("f", float32), ("i", int8), ("w", widened_int8))
    ]
    right, wrong, mended = profile(given, targets=["browser:webgpu"], protocol=QUICK).artifacts
    assert right.latency is None
    assert right.operators is not None
    assert "swiftshader" in str(right.operators.delegate)
    assert right.operators.delegated == right.operators.nodes
    assert right.proof is not None
    assert right.proof.passed
    assert wrong.proof is not None
    assert not wrong.proof.passed
    assert "1x1 convolution with a stride" in str(wrong.proof.faults)
    assert "export.shortcuts=3x3" in str(wrong.proof.fix)
    assert mended.proof is not None
    assert mended.proof.passed
    assert forecast(widened_int8, ["browser:webgpu"])[0].verdict == "runs"
    assert [each.verdict for each in forecast(int8, ["browser", "browser:webgpu"])] == ["runs", "wrong"]
    with WEBGPU.open(float32) as session, pytest.raises(TargetError, match="no latency here"):
        session.time(runs=1, seconds=0)
    with pytest.raises(ConfigError, match="no threads to choose"):
        WEBGPU.open(float32, threads=2)


@pytest.mark.parametrize(
    ("name", "problem", "fix"),
    [("fifty_int8", "takes no int8 input", "quantize.io=float32"), ("float32", "open batch", "batch of 1")],
)
def test_ends_that_it_does_not_take_are_refused_with_the_way_out(
    name: str, problem: str, fix: str, models: Models
) -> None:
    with pytest.raises(ModelError, match=problem) as caught:
        WASM.open(models(name))
    assert fix in str(caught.value.fix)


def test_nothing_is_left_behind(float32: bytes) -> None:
    session = WASM.open(float32)
    page, profile_folder = Path(f"/proc/{session.process_id}"), Path(session._profile.name)
    assert page.exists()
    assert profile_folder.is_dir()
    session.close()
    assert not profile_folder.exists()
    assert not outliving([session.process_id or 0])


def test_the_server_answers_nobody_who_does_not_know_its_path(node_modules: Path) -> None:  # noqa: F811
    address = _served({"model.tflite": b"secret"}, node_modules / "@litertjs")
    base = address.removesuffix("index.html")
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # urlopen keeps what other tests set
    with direct.open(base + "model.tflite") as answer:
        assert answer.read() == b"secret"
        assert answer.headers["Cross-Origin-Embedder-Policy"] == "require-corp"
    root = "/".join(base.split("/")[:3])
    for path in ("/", "/model.tflite", "/x/model.tflite", "/x/index.html"):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            direct.open(root + path)
    for path in ("modules/../../package.json", "modules/%2e%2e/x", "../index.html"):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            direct.open(base + path)


def test_an_unknown_way_is_an_error_with_the_nearest() -> None:
    with pytest.raises(TargetError, match="no target 'browser:webgp'") as caught:
        BROWSER.member("webgp")
    assert "browser:webgpu" in str(caught.value.fix)
