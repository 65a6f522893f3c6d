"""Forecasts, held against what XNNPACK, TFLite Micro, Vela, OpenVINO and ONNX Runtime then do."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from filelock import FileLock

from converters import export
from converters.quantization import post_training
from edgeres.console import run
from edgeres.errors import EdgeresError, TargetError
from edgeres.records import decode
from edgeres.storage import sha256_bytes
from targets.flatbuffer import walk
from targets.forecast import ALL, FORECASTS
from targets.forecast.outlook import Forecast, forecast
from targets.layer_names import layer_names
from targets.operators import Plan, coverage
from targets.runtimes import plain
from targets.runtimes.cpu import CPU
from targets.runtimes.ethosu import ETHOSU
from targets.runtimes.micro import MICRO
from targets.runtimes.npu import OPENVINO as NPU_OPENVINO
from targets.runtimes.onnxruntime import ONNXRUNTIME
from targets.runtimes.openvino import OPENVINO
from targets.sandbox import Sandbox
from tests.targets import forecast_models as source
from tests.targets.conftest import Models
from tests.targets.forge import forge


@pytest.fixture(scope="module")
def networks(request: pytest.FixtureRequest) -> dict[str, bytes]:
    """The files that `forecast_models.py` writes, by name; made again only when it or a converter changes."""
    made_of = b"".join(Path(module.__file__).read_bytes() for module in (source, export, post_training, plain))
    made_of += "".join(metadata.version(name) for name in ("tensorflow", "tf-keras", "litert-quantizer")).encode()
    cache = request.config.cache
    assert cache is not None
    folder = cache.mkdir("forecast-models") / sha256_bytes(made_of)[:16]
    with FileLock(f"{folder}.lock"):
        if not (folder / "complete").exists():
            folder.mkdir(exist_ok=True)
            command = [sys.executable, "-m", "tests.targets.forecast_models", str(folder)]
            made = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2])
            assert made.returncode == 0, made.stderr[-4000:]
            (folder / "complete").touch()
    return {path.stem: path.read_bytes() for path in sorted(folder.glob("*.tflite"))}


def of(model: bytes, name: str) -> Forecast:
    (found,) = forecast(model, [name])
    return found


@contextmanager
def reopened(engine: str) -> Iterator[list[Sandbox]]:
    """A sandbox that is opened again after it died: the only element of the list."""
    held = [Sandbox(engine)]
    try:
        yield held
    finally:
        held[0].close()


def again(held: list[Sandbox], engine: str) -> None:
    held[0].close()
    held[0] = Sandbox(engine)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_what_xnnpack_leaves_is_what_was_forecast(networks: dict[str, bytes]) -> None:
    wrong, left = {}, Counter[str]()
    with Sandbox("targets.runtimes.interpreter:Engine") as sandbox:
        for name, model in networks.items():
            graph = walk(model)
            sandbox.call("load", model, arguments={"resolver": CPU.resolver, "threads": 1})
            values, _ = sandbox.call("plan")
            plan = decode(Plan, values, where="the plan", error=TargetError)
            did = coverage(plan, count=len(graph.main.operators), delegate="XNNPACK", kinds=graph.kinds).left
            expected = Counter(each.kind for each in of(model, "cpu").blocked)
            left.update(expected)
            if did != dict(expected):
                wrong[name] = (did, dict(expected))
    assert not wrong
    assert len(networks) > 300
    assert len(left) > 30  # it was asked about operators that XNNPACK lacks


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.skipif(not MICRO.check().available, reason=str(MICRO.check().why))
def test_tflite_micro_runs_what_was_forecast_and_blames_a_forecast_layer(networks: dict[str, bytes]) -> None:
    wrong, engine, refused = {}, "targets.runtimes.micro_engine:Engine", 0
    with reopened(engine) as held:
        for name, model in networks.items():
            expected = of(model, "micro")
            try:
                held[0].call("load", model, arguments={"arena_bytes": walk(model).arena_bytes})
            except TargetError as error:
                refused += 1
                words = " ".join(error.details)
                if expected.verdict != "refused" or not any(each.kind in words for each in expected.blocked):
                    wrong[name] = (error.message, words, expected.blocked[:1])
                if "process" in error.message:
                    again(held, engine)
            else:
                if expected.verdict != "runs":
                    wrong[name] = ("runs", "", expected.blocked[:1])
    assert not wrong
    assert 0 < refused < len(networks)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.skipif(not ETHOSU.check().available, reason=str(ETHOSU.check().why))
def test_vela_leaves_the_layers_that_were_forecast(networks: dict[str, bytes]) -> None:
    wrong, engine, verdicts = {}, "targets.runtimes.ethosu_engine:Engine", Counter[str]()
    with reopened(engine) as held:
        for name, model in networks.items():
            if "int4" in name and name != "resnet8.int4":
                continue  # each ends a process
            expected = of(model, "ethosu:u55-256")
            verdicts[expected.verdict] += 1
            main = walk(model).main
            try:
                with tempfile.TemporaryDirectory() as folder:
                    arguments = {"accelerator": "ethos-u55-256", "folder": folder}
                    values, _ = held[0].call("compile", model, arguments=arguments)
            except EdgeresError as error:
                again(held, engine)
                if expected.verdict != "refused":
                    wrong[name] = (error.message, expected.blocked[:1])
                continue
            names = {row["Name"] for row in values["layers"] if row["NNG Operator"] == "Passthrough"}
            did = [
                (layer, operator.kind)
                for layer, operator in zip(layer_names(main), main.operators, strict=True)
                if names & {main.tensors[index].name for index in operator.outputs}
            ]
            if did != [(each.layer, each.kind) for each in expected.blocked]:
                wrong[name] = (did, [(each.layer, each.reason) for each in expected.blocked])
    assert not wrong
    assert set(verdicts) == {"runs", "in part", "refused"}


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.skipif(not NPU_OPENVINO.check().available, reason=str(NPU_OPENVINO.check().why))
def test_intels_plugin_refuses_what_was_forecast_and_names_a_forecast_layer(networks: dict[str, bytes]) -> None:
    wrong, verdicts = {}, Counter[str]()
    for name, model in networks.items():
        network, way = name.split(".")
        if network != "resnet8" and way not in ("float32", "int8"):
            continue  # it looks at operators, not at their numbers
        expected = of(model, "npu:openvino")
        verdicts[expected.verdict] += 1
        try:
            NPU_OPENVINO.open(model).close()
        except TargetError as error:
            named = [each for each in expected.blocked if f"{each.kind} as the layer '{each.layer}'" in error.message]
            types = {"int16", "int4"} & {word for each in expected.blocked for word in each.reason.split()}
            if expected.verdict != "refused" or not (named or types):
                wrong[name] = (error.message, expected.blocked[:1])
        else:
            if expected.verdict != "runs":
                wrong[name] = ("runs", expected.blocked[:1])
    assert not wrong
    assert set(verdicts) == {"runs", "refused"}


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    "target",
    [
        pytest.param(
            each, id=each.name, marks=pytest.mark.skipif(not each.check().available, reason=str(each.check().fix))
        )
        for each in (OPENVINO, ONNXRUNTIME)
    ],
)
@pytest.mark.parametrize("way", ["float32", *source.MODES])
def test_peers_take_a_network_of_the_zoo_as_forecast(target: Any, way: str, networks: dict[str, bytes]) -> None:
    expected = of(networks[f"resnet8.{way}"], target.name)
    try:
        target.open(networks[f"resnet8.{way}"]).close()
    except TargetError:
        assert expected.verdict == "refused"
    else:
        assert expected.verdict == "runs"


def test_the_first_layer_that_blocks_is_named_with_its_reason_and_its_remedy(models: Models) -> None:
    found = of(models("dynamic_int8"), "micro")
    assert (found.verdict, found.taken, found.operators) == ("refused", 0, 9)
    first = found.blocked[0]
    assert (first.layer, first.kind) == ("stem", "CONV_2D")
    assert first.reason == "TFLite Micro has no CONV_2D with integer weights beside float activations"
    assert first.fix == "convert with the recipe int8 or float32"
    assert of(models("int8"), "micro").verdict == "runs"


def test_the_strided_shortcut_of_a_residual_network_is_wrong_on_the_gpu_in_integers(models: Models) -> None:
    for name in ("int8", "dynamic_int8"):
        found = of(models(name), "gpu")
        assert found.verdict == "wrong"
        assert [each.layer for each in found.blocked] == ["projection"]
        assert "float16" in found.blocked[0].fix
    assert of(models("float32"), "gpu").verdict == of(models("float16"), "gpu").verdict == "runs"


def test_a_browser_takes_neither_integer_ends_nor_an_open_batch(models: Models) -> None:
    found = of(models("fifty_int8"), "browser")
    assert [(each.layer, each.fix) for each in found.blocked] == [
        (noun, "convert with --set quantize.io=float32") for noun in ("input", "output")
    ]
    assert "open batch" in of(models("float32"), "browser").blocked[0].reason
    assert of(models("fifty"), "browser:webgpu").verdict == "runs"


def test_the_edge_tpu_takes_8_bits_one_subgraph_and_fixed_sizes(models: Models) -> None:
    assert [each.layer for each in of(models("fifty"), "edgetpu").blocked] == ["input", "output"]
    assert of(models("fifty_int8"), "edgetpu").verdict == "runs"
    assert "open size" in of(models("int8"), "edgetpu").blocked[0].reason


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_edge_tpu_takes_what_comes_before_the_first_operator_that_it_lacks(networks: dict[str, bytes]) -> None:
    found = of(networks["gelu.int8"], "edgetpu")
    assert (found.verdict, found.taken, found.blocked[0].layer) == ("in part", 1, "odd")
    assert of(networks["resnet8.int8"], "edgetpu").verdict == "runs"


@pytest.mark.parametrize(
    "name",
    [
        "sparse",
        "int4",
        "int16",
        "while_loop",
        "two_inputs",
        "two_outputs",
        "map_to_map",
        "open_size",
        "logarithm",
        "gray",
    ],
)
def test_any_file_that_passes_the_walk_has_its_forecasts(name: str, models: Models) -> None:
    assert [each.target for each in forecast(models(name))] == list(ALL)


@pytest.mark.parametrize("kind", ["CONV_2D", "ADD", "MUL", "AVERAGE_POOL_2D", "MAX_POOL_2D", "HARD_SWISH", "QUANTIZE"])
def test_operators_that_make_no_sense_have_forecasts_and_no_traceback(kind: str, models: Models) -> None:
    """Every operator is given another kind: shapes, inputs, scales and options do not fit it."""

    def change(model: Any) -> None:
        for code in model.operatorCodes:
            code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, kind)

    def flatten(model: Any) -> None:
        change(model)
        for tensor in model.subgraphs[0].tensors:
            tensor.shape = np.array([int(np.prod(tensor.shape))], np.int32)
            tensor.shapeSignature = tensor.quantization = None

    for way in (change, flatten):
        assert [each.target for each in forecast(forge(models("int8"), way))] == list(ALL)


def test_several_targets_are_forecast_at_once_in_a_table_and_in_json(
    models: Models, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "m.tflite").write_bytes(models("dynamic_int8"))
    arguments = ["inspect", str(tmp_path / "m.tflite"), "--json", str(tmp_path / "m.json")]
    assert run([*arguments, "--targets", "micro"]) == 0
    told = capsys.readouterr().out
    assert "stem: TFLite Micro has no CONV_2D with integer weights beside float activations" in told
    assert run([*arguments, "--targets", "all"]) == 0
    read = json.loads((tmp_path / "m.json").read_text())["forecasts"]
    assert [each["target"] for each in read] == list(ALL)
    assert run([*arguments, "--targets", "cpu, ethosu:u85-512"]) == 0
    read = json.loads((tmp_path / "m.json").read_text())["forecasts"]
    assert [(each["target"], each["verdict"]) for each in read] == [("cpu", "runs"), ("ethosu:u85-512", "refused")]
    assert run(arguments) == 0
    assert "forecasts" not in json.loads((tmp_path / "m.json").read_text())


@pytest.mark.parametrize("name", ["micra", "ethosu:u56", "browser:webgl", "edgetpu2", "npu:openvin"])
def test_a_name_without_a_forecast_is_an_error_with_the_nearest(
    name: str, models: Models, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "m.tflite").write_bytes(models("int8"))
    assert run(["inspect", str(tmp_path / "m.tflite"), "--targets", name]) == 6
    assert "did you mean" in capsys.readouterr().err


def test_of_a_closed_plugin_nothing_is_forecast(models: Models) -> None:
    with pytest.raises(TargetError, match="is not known") as caught:
        of(models("int8"), "npu:qualcomm:SM8750")
    assert "edgeres profile MODEL --target npu:qualcomm:SM8750" in str(caught.value.fix)


def test_a_keras_file_is_forecast_as_its_float32_flatbuffer(tmp_path: Path) -> None:
    model = Path(__file__).parents[1] / "assets" / "resnet8-cifar10" / "model.keras"
    assert run(["inspect", str(model), "--targets", "micro,edgetpu", "--json", str(tmp_path / "m.json")]) == 0
    read = json.loads((tmp_path / "m.json").read_text())["forecasts"]
    assert [(each["target"], each["verdict"]) for each in read] == [("micro", "runs"), ("edgetpu", "refused")]


def test_forecasting_needs_none_of_the_runtimes(models: Models, tmp_path: Path) -> None:
    (tmp_path / "m.tflite").write_bytes(models("int8"))
    program = """
import pathlib, sys
from targets.forecast.outlook import forecast
forecast(pathlib.Path(sys.argv[1]).read_bytes())
names = ("tensorflow", "ai_edge_litert", "ethosu", "tflite_micro", "openvino", "onnxruntime")
print([name for name in sys.modules if name.partition(".")[0] in names])
"""
    command = [sys.executable, "-c", program, str(tmp_path / "m.tflite")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "[]\n"


def test_every_target_of_the_table_has_a_forecast_or_none_can_be_made() -> None:
    from targets import TARGETS

    assert set(TARGETS) - set(FORECASTS) == {"external"}
