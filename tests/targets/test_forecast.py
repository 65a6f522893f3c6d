"""Forecasts of single files; over many files they are held against what targets do in `test_forecasts_held.py`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from edgeres.console import run
from edgeres.errors import TargetError
from targets.forecast import ALL, FORECASTS
from targets.forecast.outlook import Forecast, forecast
from tests.targets.conftest import Models
from tests.targets.forge import forge


def of(model: bytes, name: str) -> Forecast:
    (found,) = forecast(model, [name])
    return found


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


@pytest.mark.parametrize(
    ("name", "layer", "reason", "fix"),
    [
        ("int16", None, "the GPU has no QUANTIZE", "convert with the recipe float16"),
        ("sparse", "wide", "the GPU has no DENSIFY", "convert with the recipe float16"),
    ],
)
def test_the_gpu_refuses_a_type_and_sparse_weights(
    name: str, layer: str | None, reason: str, fix: str, models: Models
) -> None:
    found = of(models(name), "gpu")
    assert (found.verdict, found.taken) == ("refused", 0)
    assert layer is None or found.blocked[0].layer == layer
    assert found.blocked[0].reason.startswith(reason)
    assert found.blocked[0].fix == fix


def test_products_of_a_map_and_a_constant_of_another_rank_are_wrong_on_the_gpu(models: Models) -> None:
    found = of(models("matmul"), "gpu")
    assert (found.verdict, [each.kind for each in found.blocked]) == ("wrong", ["BATCH_MATMUL"])
    assert "build the network without" in found.blocked[0].fix


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
