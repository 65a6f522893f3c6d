from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from converters.shortcuts import widened
from edgeres.console import run
from edgeres.errors import ConfigError, TargetError
from edgeres.results import read_result
from targets.artifact import Artifact
from targets.catalogue import find_target
from targets.exactness import exactness
from targets.flatbuffer import walk
from targets.lone_operator import difference
from targets.profiling import profile
from targets.proof import prove
from targets.runtimes.gpu import GPU, Adapter, adapter, suspects
from targets.target import Accelerator
from tests.targets.conftest import Models
from tests.targets.runtimes.vulkan import SWIFTSHADER, vulkan
from tests.targets.test_profiling import QUICK
from tests.trained import Bundles

IMAGES = np.random.default_rng(5).uniform(0, 255, (6, 16, 16, 3)).astype(np.float32)
ENGINE = "targets.runtimes.gpu_engine:Engine"


@pytest.fixture(autouse=True)
def _driver() -> Iterator[None]:
    with vulkan():
        yield


def artifact(model: bytes) -> Artifact:
    return Artifact("m", "m.tflite", "tflite", model)


@pytest.mark.parametrize("name", ["float32", "float16"])
def test_float_and_float16_are_right_and_all_of_it_runs_on_the_gpu(models: Models, name: str) -> None:
    found = exactness(models(name), IMAGES, target=GPU)
    assert found.largest < 1e-2
    assert not found.flips
    with GPU.open(models(name)) as session:
        operators = session.operators()
        proof = prove(artifact(models(name)), session, GPU)
    assert operators.nodes == operators.delegated == len(walk(models(name)).main.operators)
    assert str(operators.delegate).startswith("WebGPU on ")
    assert proof is not None
    assert (proof.passed, proof.faults, proof.device) == (True, None, GPU.runs_on())


@pytest.mark.parametrize("name", ["int8", "dynamic_int8", "int4"])
def test_the_strided_1x1_fault_is_found_and_named_with_its_layer_and_fix(models: Models, name: str) -> None:
    with GPU.open(models(name)) as session:
        proof = prove(artifact(models(name)), session, GPU)
    assert proof is not None
    assert not proof.passed
    assert proof.faults is not None
    assert proof.faults[0].startswith(
        "known fault of the WebGPU delegate: strided 1x1 convolution in int8, CONV_2D of "
    )
    assert "'projection' (by itself off by" in proof.faults[0]
    assert "export.shortcuts=3x3" in str(proof.fix)
    assert "float16" in str(proof.fix)


def test_no_operator_but_the_strided_1x1_is_wrong(models: Models) -> None:
    """What the fault is named by: each convolution by itself on the GPU beside the reference kernels."""
    graph = walk(models("int8"))
    convolutions = [place for place, each in enumerate(graph.main.operators) if each.kind == "CONV_2D"]
    (suspect,) = suspects(graph)
    wrong = [place for place in convolutions if difference(models("int8"), place, engine=ENGINE) > 2]
    assert wrong == [suspect]
    assert suspects(walk(models("float32"))) == []


def test_products_of_a_map_and_a_constant_of_another_rank_fail_the_proof(models: Models) -> None:
    with GPU.open(models("matmul")) as session:
        proof = prove(artifact(models("matmul")), session, GPU)
    assert proof is not None
    assert not proof.passed


def test_weights_behind_the_flatbuffer_come_along_with_an_operator(models: Models) -> None:
    assert difference(models("buffer_offset"), 0, engine=ENGINE) < 1e-5


def test_with_3x3_shortcuts_int8_is_right_on_the_gpu(models: Models) -> None:
    model = widened(models("int8"))
    assert exactness(model, IMAGES, target=GPU).largest <= 2
    with GPU.open(model) as session:
        proof = prove(artifact(model), session, GPU)
    assert proof is not None
    assert proof.passed


@pytest.mark.slow
def test_a_trained_network_is_wrong_in_its_scores_and_repaired(bundles: Bundles) -> None:
    model = bundles("int8").read("model.tflite")
    images = np.random.default_rng(5).uniform(-1, 3, (30, 32, 32, 3)).astype(np.float32)
    wrong, right = (exactness(each, images, target=GPU) for each in (model, widened(model)))
    assert wrong.largest > 4 >= 2 * right.largest


def test_the_first_line_says_so_and_the_json_keeps_it(
    models: Models, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "m.tflite").write_bytes(models("int8"))
    arguments = ["profile", str(tmp_path / "m.tflite"), "--target", "gpu", "--json", str(tmp_path / "r.json")]
    assert run([*arguments, "--rounds", "30"]) == 0
    first = capsys.readouterr().out.splitlines()[0]
    assert first.startswith("NOT PROVED: m on gpu differs")
    assert "known fault of the WebGPU delegate" in first
    (row,) = read_result(tmp_path / "r.json").artifacts
    assert row.proof is not None
    assert row.proof.device == GPU.runs_on()
    assert row.proof.faults


def test_a_software_adapter_has_no_time(models: Models) -> None:
    found = adapter()
    assert isinstance(found, Adapter)
    (row,) = profile([artifact(models("float32"))], targets=["gpu"], protocol=QUICK).artifacts
    assert (row.latency is None) == found.software == (not GPU.timed)
    assert ("functional only" in GPU.runs_on()) == found.software
    assert row.memory is not None
    with GPU.open(models("float32")) as session:
        assert len(session.time(runs=3, seconds=0)) >= 3
        assert session.memory().peak_bytes > 0


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("int16", r"does not run QUANTIZE as the layer '.*' has it: Tensor type\(INT16\) is not supported"),
        ("sparse", r"does not run DENSIFY as the layer 'wide' has it: Operation is not supported"),
    ],
)
def test_what_the_gpu_does_not_run_is_an_error_with_its_layer_and_no_silent_fallback(
    models: Models, name: str, problem: str
) -> None:
    with pytest.raises(TargetError, match=problem) as caught:
        GPU.open(models(name))
    assert "float16" in str(caught.value.fix)


def test_threads_are_refused(models: Models) -> None:
    with pytest.raises(ConfigError, match="a GPU has no --threads"):
        GPU.open(models("float32"), threads=2)


def test_it_is_a_target_that_names_its_device() -> None:
    assert find_target("gpu") is GPU
    assert isinstance(GPU, Accelerator)
    assert "recipe float16" in str(GPU.check().fix)  # what to convert with, before anything is measured


def test_a_driver_that_is_not_there_is_the_reason(monkeypatch: pytest.MonkeyPatch, models: Models) -> None:
    monkeypatch.setenv("VK_DRIVER_FILES", "/absent/icd.json")
    found = GPU.check()
    assert not found.available
    assert "/absent/icd.json" in str(found.why)
    assert str(SWIFTSHADER) in str(found.fix)
    assert not GPU.timed
    with pytest.raises(TargetError, match="there is no Vulkan driver file"):
        GPU.open(models("float32"))


def test_a_driver_that_does_not_load_is_no_adapter(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "icd.json").write_text("{}")
    monkeypatch.setenv("VK_DRIVER_FILES", str(tmp_path / "icd.json"))
    found = GPU.check()
    assert not found.available
    assert "no Vulkan adapter" in str(found.why)
    assert "Vulkan driver" in str(found.fix)


def test_without_the_runtime_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)  # what `find_spec` takes for a package that is not there
    found = GPU.check()
    assert (found.available, found.fix) == (False, "pip install ai-edge-litert")


def test_checking_loads_nothing_native_here() -> None:
    program = """
import sys
from targets.runtimes.gpu import GPU
GPU.check()
print([name for name in sys.modules if name.startswith(("ai_edge_litert", "tensorflow"))])
print([line for line in open("/proc/self/maps") if "LiteRt" in line or "vulkan" in line])
"""
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n[]\n"
