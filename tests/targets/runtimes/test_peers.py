"""OpenVINO and ONNX Runtime, which run what LiteRT runs, as peers to compare with."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgeres.console import run
from edgeres.errors import ConfigError, TargetError
from edgeres.results import read_result
from targets.artifact import Artifact
from targets.exactness import exactness
from targets.profiling import profile
from targets.runtimes.cpu import REFERENCE
from targets.runtimes.onnxruntime import ONNXRUNTIME, OnnxRuntimeTarget, as_onnx
from targets.runtimes.openvino import OPENVINO, OpenVinoTarget
from targets.target import Target
from tests.targets.conftest import Models
from tests.targets.test_profiling import QUICK

Peer = OpenVinoTarget | OnnxRuntimeTarget

IMAGES = np.random.default_rng(5).uniform(0, 255, (12, 16, 16, 3)).astype(np.float32)


def runs_here(target: Target) -> pytest.MarkDecorator:
    found = target.check()
    return pytest.mark.skipif(not found.available, reason=f"{found.why}: {found.fix}")


PEERS = pytest.mark.parametrize(
    "target",
    [pytest.param(each, marks=runs_here(each), id=each.name) for each in (OPENVINO, ONNXRUNTIME)],
)


@pytest.mark.parametrize(("target", "package"), [(OPENVINO, "openvino"), (ONNXRUNTIME, "onnxruntime")])
def test_without_a_package_it_says_what_to_install(
    target: Peer, package: str, monkeypatch: pytest.MonkeyPatch, models: Models
) -> None:
    monkeypatch.setitem(sys.modules, package, None)  # what `find_spec` takes for a package that is not there
    with pytest.raises(TargetError, match=f"the package {package} is not installed") as caught:
        target.open(models("int8"))
    assert f"edgeres[{'onnx' if target is ONNXRUNTIME else 'openvino'}]" in str(caught.value.fix)


def test_checking_imports_nothing_native() -> None:
    program = """
import sys
from targets.runtimes.openvino import OPENVINO
from targets.runtimes.onnxruntime import ONNXRUNTIME
OPENVINO.check(), ONNXRUNTIME.check()
print([name for name in sys.modules if name in ("openvino", "onnx", "onnxruntime", "tf2onnx", "tensorflow")])
"""
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"


@PEERS
@pytest.mark.parametrize(
    ("name", "largest"),
    [("float32", 1e-6), ("float16", 1e-6), ("buffer_offset", 1e-6), ("int8", 10), ("fifty_int8", 10)],
)
def test_it_computes_what_the_reference_kernels_compute(
    target: Peer, name: str, largest: float, models: Models
) -> None:
    found = exactness(models(name), IMAGES, target=target)
    assert found.largest <= largest
    assert not found.flips


@PEERS
def test_images_come_out_in_their_order_and_the_batch_is_fixed_to_one(target: Peer, models: Models) -> None:
    with target.open(models("float32")) as session:
        assert session.signature.input_shape == (1, 16, 16, 3)
        found = session.infer(IMAGES)
        assert np.array_equal(np.concatenate([session.infer(image[None]) for image in IMAGES]), found)
    assert len(np.unique(found, axis=0)) > 1


@PEERS
def test_the_precision_that_ran_is_stated(target: Peer, models: Models) -> None:
    """Four convolutions and two dense layers must be integers in an int8 model, and nothing may be in a float one."""
    stated = {}
    for name in ("float32", "int8"):
        with target.open(models(name)) as session:
            operators = session.operators()
        assert (operators.nodes, operators.delegated) == (9, 9)
        stated[name] = operators.precision
    assert stated["float32"] is not None
    assert set(stated["float32"]) == {"float32"}
    assert stated["int8"] is not None
    assert stated["int8"]["int8"] >= 6


@PEERS
def test_a_model_that_it_does_not_know_is_a_target_error(target: Peer, models: Models) -> None:
    with pytest.raises(TargetError, match=r"refuses the model|does not convert the model") as caught:
        target.open(models("int4"))
    assert caught.value.fix
    with pytest.raises(ConfigError, match="threads"):
        target.open(models("float32"), threads=0)


@PEERS
def test_threads_are_honoured(target: Peer, models: Models) -> None:
    def working(count: int) -> int:
        """How many threads of the process run while the model does."""
        with target.open(models("float32"), threads=count) as session:
            session.time(runs=20, seconds=0)
            tasks = Path(f"/proc/{session.process_id}/task")
            before = {task.name: (task / "schedstat").read_text().split()[2] for task in tasks.iterdir()}
            session.time(runs=500, seconds=0)
            after = {task.name: (task / "schedstat").read_text().split()[2] for task in tasks.iterdir()}
        return sum(after[name] != before[name] for name in before)

    assert working(1) == 1
    assert working(2) == 2


@PEERS
def test_profile_measures_it_with_a_proof_and_the_file_says_in_which_precision(
    target: Peer, models: Models, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (row,) = profile(
        [Artifact("m", "m.tflite", "tflite", models("int8"))], targets=[target.name], protocol=QUICK
    ).artifacts
    assert row.latency is not None
    assert row.proof is not None
    assert row.proof.passed
    assert row.memory is not None
    assert row.memory.peak_bytes >= row.memory.load_bytes > 0
    (tmp_path / "m.tflite").write_bytes(models("float32"))
    arguments = [str(tmp_path / "m.tflite"), "--target", target.name, "--json", str(tmp_path / "m.json")]
    assert run(["profile", *arguments, "--rounds", "30"]) == 0
    assert "computed in float32:" in capsys.readouterr().out
    (read,) = read_result(tmp_path / "m.json").artifacts
    assert read.operators is not None
    assert set(read.operators.precision or {}) == {"float32"}


@runs_here(ONNXRUNTIME)
def test_activations_are_unsigned_and_weights_signed_in_the_onnx_file(models: Models) -> None:
    """U8S8 is the form that ONNX Runtime has fast kernels for; S8S8 was seen to be 2.2 times slower."""
    onnx = pytest.importorskip("onnx")
    graph = onnx.load_from_string(as_onnx(models("int8"))).graph
    constants = {each.name: each for each in graph.initializer}
    types = {"activation": set(), "weight": set()}
    for node in graph.node:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            role = "weight" if node.input[0] in constants else "activation"
            types[role].add(onnx.TensorProto.DataType.Name(constants[node.input[2]].data_type))
    assert types == {"activation": {"UINT8"}, "weight": {"INT8", "INT32"}}


@runs_here(ONNXRUNTIME)
def test_its_int8_scores_are_those_of_the_reference_kernels_bit_for_bit(models: Models) -> None:
    with ONNXRUNTIME.open(models("int8")) as session, REFERENCE.open(models("int8")) as reference:
        assert np.array_equal(session.infer(IMAGES), reference.infer(IMAGES))
