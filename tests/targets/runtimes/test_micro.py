from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edgeres.errors import ConfigError, ModelError, TargetError
from targets.exactness import exactness
from targets.flatbuffer import walk
from targets.forecast.outlook import forecast
from targets.runtimes.micro import MICRO, MicroSession
from targets.target import Target
from tests.targets.conftest import Models
from tests.targets.forge import forge

pytestmark = pytest.mark.skipif(not MICRO.check().available, reason=str(MICRO.check().why))

IMAGES = np.random.default_rng(5).uniform(0, 255, (12, 16, 16, 3)).astype(np.float32)

ALONE = """
import pathlib, sys
import numpy as np
from tflite_micro import runtime
interpreter = runtime.Interpreter.from_bytes(pathlib.Path(sys.argv[1]).read_bytes(), arena_size=int(sys.argv[2]))
details = interpreter.get_input_details(0)
interpreter.set_input(np.zeros(details["shape"], details["dtype"]), 0)
interpreter.invoke()
interpreter.print_allocations()
"""


def alone(model: Path, arena_bytes: int) -> subprocess.CompletedProcess[str]:
    """The same model in a program that has only the package."""
    command = [sys.executable, "-c", ALONE, str(model), str(arena_bytes)]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture
def session(models: Models) -> Iterator[MicroSession]:
    with MICRO.open(models("int8")) as opened:
        yield opened


def test_it_keeps_to_the_protocol() -> None:
    target: Target = MICRO
    assert (target.name, target.kind, target.timed) == ("micro", "microcontroller", False)
    assert str(target.check().version).startswith("tflite-micro 0.dev")


def test_checking_imports_nothing_native() -> None:
    program = """
import sys
from targets.runtimes.micro import MICRO
MICRO.check()
print([name for name in sys.modules if name.startswith(("tflite_micro", "ai_edge_litert", "tensorflow"))])
"""
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, models: Models) -> None:
    monkeypatch.setitem(sys.modules, "tflite_micro", None)  # what `find_spec` takes for a package that is not there
    with pytest.raises(TargetError, match="tflite-micro is not installed") as caught:
        MICRO.open(models("int8"))
    assert "edgeres[micro]" in str(caught.value.fix)


@pytest.mark.parametrize(("name", "tolerance"), [("int8", 0), ("float32", 1e-6), ("int16", 1e-3)])
def test_it_computes_what_the_reference_kernels_compute(models: Models, name: str, tolerance: float) -> None:
    found = exactness(models(name), IMAGES, target=MICRO)
    assert found.largest <= tolerance
    assert not found.flips


def test_images_come_out_in_their_order(session: MicroSession) -> None:
    single = np.concatenate([session.infer(image[None]) for image in IMAGES])
    assert np.array_equal(session.infer(IMAGES), single)
    assert len(np.unique(single, axis=0)) > 1
    with pytest.raises(ModelError, match="takes images of 16x16x3"):
        session.infer(np.zeros((1, 8, 8, 3), np.float32))


@pytest.mark.parametrize("name", ["int8", "float32"])
def test_the_smallest_arena_is_enough_and_one_step_less_is_not(models: Models, model_folder: Path, name: str) -> None:
    with MICRO.open(models(name)) as session:
        found = session.memory()
        assert session.infer(IMAGES[:1]).shape == (1, 4)  # the search leaves the session as it was
    assert found.load_bytes == found.peak_bytes >= found.arena_bytes == walk(models(name)).arena_bytes
    enough = alone(model_folder / f"{name}.tflite", found.peak_bytes)
    assert enough.returncode == 0, enough.stderr
    total = re.search(r"Arena allocation total (\d+) bytes", enough.stderr)
    assert total is not None
    assert 0 <= found.peak_bytes - int(total[1]) < 16  # what its own allocator counts
    assert alone(model_folder / f"{name}.tflite", found.peak_bytes - 16).returncode != 0


def test_an_int8_model_takes_less_than_half_the_arena_of_its_float_one(models: Models) -> None:
    sizes = {}
    for name in ("int8", "float32"):
        with MICRO.open(models(name)) as session:
            sizes[name] = session.memory().peak_bytes
    assert 2 * sizes["int8"] < sizes["float32"]


@pytest.mark.parametrize(
    ("name", "kind", "layer"),
    [
        ("sparse", "DENSIFY", "wide"),
        ("dynamic_int8", "CONV_2D", "stem"),
        ("float16", "DEQUANTIZE", "projection"),
    ],
)
def test_an_operator_that_it_does_not_run_is_named_with_its_layer(
    models: Models, name: str, kind: str, layer: str
) -> None:
    with pytest.raises(TargetError, match=f"does not run {kind} as the layer '{layer}' has it") as caught:
        MICRO.open(models(name))
    assert kind in "\n".join(caught.value.details)
    assert caught.value.fix


def test_weights_where_it_does_not_look_are_refused(models: Models) -> None:
    with pytest.raises(ModelError, match="bytes of weights that lie behind the flatbuffer") as caught:
        MICRO.open(models("buffer_offset"))
    assert "convert the model again" in str(caught.value.fix)
    (found,) = forecast(models("buffer_offset"), ["micro"])
    assert (found.verdict, found.blocked[0].reason) == ("refused", caught.value.message)


def test_an_operator_that_no_runtime_knows_is_a_target_error(models: Models) -> None:
    forged = forge(models("int8"), lambda model: setattr(model.operatorCodes[0], "builtinCode", 250))
    with pytest.raises(TargetError, match="TFLite Micro does not run"):
        MICRO.open(forged)


def test_it_has_no_latency_and_says_so(session: MicroSession) -> None:
    with pytest.raises(TargetError, match="has no latency here") as caught:
        session.time(runs=1, seconds=0)
    assert "ethosu" in str(caught.value.fix)


def test_several_threads_are_refused(models: Models) -> None:
    with pytest.raises(ConfigError, match="runs on one thread, found 2"):
        MICRO.open(models("int8"), threads=2)


def test_every_operator_stays_with_the_interpreter(session: MicroSession) -> None:
    found = session.operators()
    assert (found.nodes, found.delegated, found.delegate) == (9, 0, None)
    assert found.kinds == found.left == {"CONV_2D": 4, "FULLY_CONNECTED": 2, "ADD": 1, "MEAN": 1, "SOFTMAX": 1}
