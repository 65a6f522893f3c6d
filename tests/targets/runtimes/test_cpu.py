from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest

from edgeres.errors import ArtifactError, ConfigError, DataError, EdgeresError, ModelError, TargetError
from targets.flatbuffer import walk
from targets.runtimes.cpu import CPU, REFERENCE
from targets.runtimes.session import EngineSession
from targets.sandbox import Limits
from targets.target import Session, Target
from tests.targets.conftest import Models
from tests.targets.forge import forge
from tests.targets.test_flatbuffer import mutated

TARGETS = pytest.mark.parametrize("target", [CPU, REFERENCE], ids=lambda target: target.name)


def images(count: int = 12) -> np.ndarray:
    return np.random.default_rng(5).uniform(0, 255, (count, 16, 16, 3)).astype(np.float32)


@pytest.fixture
def session(models: Models) -> Iterator[EngineSession]:
    with CPU.open(models("float32")) as opened:
        yield opened


def in_process(content: bytes, inputs: np.ndarray) -> np.ndarray:
    """The same model on LiteRT's reference kernels in this process."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(model_content=content, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    interpreter.allocate_tensors()
    found = []
    for image in inputs:
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image[None])
        interpreter.invoke()
        found.append(interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0])
    return np.array(found)


def test_the_targets_keep_to_the_protocol() -> None:
    targets: list[Target] = [CPU, REFERENCE]
    assert [target.name for target in targets] == ["cpu", "reference"]
    assert CPU.check().available
    assert CPU.check().version == f"ai-edge-litert {metadata.version('ai-edge-litert')}"


def test_checking_imports_no_native_runtime() -> None:
    program = """
import sys
from targets.runtimes.cpu import CPU
CPU.check()
print([name for name in sys.modules if name.startswith(("ai_edge_litert", "tflite_runtime", "tensorflow"))])
"""
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"


@TARGETS
def test_a_float_model_computes_what_it_computes_elsewhere(models: Models, target: Target) -> None:
    with target.open(models("float32")) as session:
        found = session.infer(images())
        assert session.signature.input_shape == (1, 16, 16, 3)
        assert session.signature.output_shape == (1, 4)
    assert found.dtype == np.float32
    assert np.allclose(found, in_process(models("float32"), images()), atol=1e-5)
    assert len(np.unique(found, axis=0)) == 12


@TARGETS
@pytest.mark.parametrize(
    ("name", "tolerance"), [("float16", 0.01), ("dynamic_int8", 0.05), ("int8", 0.08), ("int16", 0.05)]
)
def test_smaller_models_stay_close_to_float(models: Models, target: Target, name: str, tolerance: float) -> None:
    with target.open(models(name)) as session:
        found = session.infer(images())
    assert np.abs(found - in_process(models("float32"), images())).max() < tolerance


def test_int8_inputs_and_outputs_follow_the_model_s_scales(models: Models) -> None:
    graph = walk(models("int8"))
    with REFERENCE.open(models("int8")) as session:
        found, own = session.infer(images()), session.signature
    assert (own.input_dtype, own.output_dtype) == ("int8", "int8")
    assert own.input_scale == pytest.approx(graph.inputs[0].scales[0])
    steps = found / np.float32(own.output_scale)
    assert np.allclose(steps, np.rint(steps), atol=1e-3)


def test_a_batch_is_the_same_as_its_images_one_by_one(session: Session) -> None:
    single = np.concatenate([session.infer(image[None]) for image in images(5)])
    assert np.array_equal(session.infer(images(5)), single)


def test_a_long_batch_keeps_its_order(session: Session) -> None:
    many = np.tile(images(7), (90, 1, 1, 1))
    assert np.array_equal(session.infer(many), np.tile(session.infer(images(7)), (90, 1)))


def test_no_image_gives_no_scores(session: Session) -> None:
    assert session.infer(images(0)).shape == (0, 4)


@pytest.mark.parametrize("shape", [(2, 32, 32, 3), (16, 16, 3), (1, 16, 16, 1)])
def test_images_of_another_size_are_refused(session: Session, shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match="takes images of 16x16x3, found an array of"):
        session.infer(np.zeros(shape, np.float32))
    assert session.infer(images(1)).shape == (1, 4)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_inputs_that_are_not_finite_are_refused(session: Session, value: float) -> None:
    broken = images(3)
    broken[1, 2, 3, 0] = value
    with pytest.raises(DataError, match="not finite"):
        session.infer(broken)


def test_outputs_that_are_not_finite_are_refused(models: Models) -> None:
    with CPU.open(models("logarithm")) as session, pytest.raises(ModelError, match="outputs are not finite"):
        session.infer(-images(2))


def test_times_are_measured_as_often_and_as_long_as_asked(session: Session) -> None:
    session.infer(images(1))
    assert len(session.time(runs=5, seconds=0)) >= 5
    long = session.time(runs=1, seconds=0.05)
    assert sum(long) <= 60_000
    assert len(long) > 1
    assert all(time_ms > 0 for time_ms in long)


def test_timing_needs_no_input_first(session: Session) -> None:
    assert len(session.time(runs=3, seconds=0)) >= 3


@pytest.mark.parametrize(("name", "dtype"), [("float32", "float32"), ("int8", "int8")])
def test_xnnpack_takes_every_operator_and_the_reference_none(models: Models, name: str, dtype: str) -> None:
    kinds = {"CONV_2D": 4, "FULLY_CONNECTED": 2, "ADD": 1, "MEAN": 1, "SOFTMAX": 1}
    with REFERENCE.open(models(name)) as session:
        assert session.signature.input_dtype == dtype
        found = session.operators()
        assert (found.nodes, found.delegated, found.delegate) == (9, 0, None)
        assert found.kinds == found.left == kinds
    with CPU.open(models(name)) as session:
        found = session.operators()
        assert found.kinds == kinds
        assert found.delegate == "XNNPACK"
        assert found.left is not None
        assert found.delegated + sum(found.left.values()) == found.nodes == 9
        assert found.delegated >= 7  # which of the last operators it takes differs between versions


def test_an_operator_that_xnnpack_lacks_is_named(models: Models) -> None:
    with CPU.open(models("sparse")) as session:
        found = session.operators()
    assert found.kinds is not None
    assert found.kinds["DENSIFY"] == 1
    assert found.nodes == 10


def test_memory_holds_at_least_the_parameters(models: Models) -> None:
    with CPU.open(models("float32")) as session:
        found = session.memory()
    assert found.peak_bytes >= found.load_bytes > 0
    assert found.arena_bytes == walk(models("float32")).arena_bytes
    assert found.peak_bytes < 100 << 20


@pytest.mark.parametrize("threads", [0, -1, 257])
def test_a_number_of_threads_out_of_range_is_refused(models: Models, threads: int) -> None:
    with pytest.raises(ConfigError, match="threads must be in 1…256"):
        CPU.open(models("float32"), threads=threads)


def test_several_threads_compute_the_same(models: Models, session: Session) -> None:
    with CPU.open(models("float32"), threads=2) as other:
        assert np.allclose(other.infer(images()), session.infer(images()), atol=1e-6)


def test_malformed_bytes_start_no_process(models: Models) -> None:
    with pytest.raises(ArtifactError, match="not a well-formed"):
        CPU.open(models("float32")[:500])


@pytest.mark.parametrize("name", ["two_inputs", "two_outputs", "batch_of_8", "map_to_map"])
def test_a_model_that_is_no_classifier_is_refused(models: Models, name: str) -> None:
    with pytest.raises(ModelError):
        CPU.open(models(name))


@TARGETS
def test_an_operator_that_no_runtime_knows_is_a_target_error(models: Models, target: Target) -> None:
    forged = forge(models("float32"), lambda model: setattr(model.operatorCodes[0], "builtinCode", 250))
    with pytest.raises(TargetError, match="the runtime refuses the model") as caught:
        target.open(forged)
    assert caught.value.fix


def test_killing_the_process_is_a_target_error_and_close_still_works(session: EngineSession) -> None:
    os.kill(session.process_id, signal.SIGKILL)
    with pytest.raises(TargetError, match="ended by SIGKILL"):
        session.infer(images())
    session.close()
    assert not Path(f"/proc/{session.process_id}").exists()


def test_a_limit_of_memory_that_is_too_small_is_a_target_error(models: Models) -> None:
    with pytest.raises(TargetError):
        CPU.open(models("float32"), limits=Limits(memory_bytes=60 << 20))


def test_two_sessions_are_two_processes(models: Models, session: EngineSession) -> None:
    with REFERENCE.open(models("int8")) as other:
        assert other.process_id != session.process_id
        assert other.infer(images(1)).shape == session.infer(images(1)).shape


def test_interrupting_a_program_that_measures_leaves_no_process(model_folder: Path) -> None:
    program = f"""
import pathlib
from targets.runtimes.cpu import CPU
with CPU.open(pathlib.Path({str(model_folder / "float32.tflite")!r}).read_bytes()) as session:
    session.time(runs=1, seconds=0)
    print(session.process_id, flush=True)
    session.time(runs=1, seconds=600)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        time.sleep(0.3)
        parent.send_signal(signal.SIGINT)
        parent.wait(30)
    assert not Path(f"/proc/{child}").exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["float32", "int8"])
def test_mutated_files_end_in_scores_or_in_a_typed_error(models: Models, name: str) -> None:
    content, ends = models(name), {"scores": 0, "error": 0}
    for seed in range(60):
        ends[end_of(mutated(content, seed))] += 1
    assert ends["scores"]
    assert ends["error"]


def end_of(content: bytes) -> str:
    try:
        with CPU.open(content, limits=Limits(seconds=60)) as session:
            session.infer(images(1))
            session.operators()
    except EdgeresError:
        return "error"
    return "scores"
