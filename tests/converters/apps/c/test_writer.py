from __future__ import annotations

import importlib.util
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from converters.apps.c import arena
from converters.apps.c.operators import OPERATORS, adders
from converters.apps.c.sources import input_table_source, labels_header, labels_source, stored
from converters.apps.embedding import embed
from converters.apps.source import read_source
from edgeres.console import run
from edgeres.errors import ConfigError, ModelError
from targets.flatbuffer import walk
from targets.target import Availability
from tests.converters.apps.c.conftest import Compile
from tests.converters.apps.conftest import CONTRACTS, Made
from tests.converters.apps.hostile import BREAKING, HOSTILE
from tests.targets.conftest import Models

MICRO = importlib.util.find_spec("tflite_micro") is not None
needs_micro = pytest.mark.skipif(not MICRO, reason="tflite-micro is not installed")

PRINT_LABELS = """
#include <cstdio>
#include "labels.h"
int main() {
  for (const std::string_view label : app::kLabels) {
    std::printf("%zu\\n", label.size());
    std::fwrite(label.data(), 1, label.size(), stdout);
  }
}
"""


def test_hostile_labels_come_out_of_the_compiler_as_they_went_in(compiled: Compile, tmp_path: Path) -> None:
    labels = (*HOSTILE, *BREAKING)
    (tmp_path / "contract.h").write_text(f"namespace app {{ constexpr int kClasses = {len(labels)}; }}")
    (tmp_path / "labels.h").write_text(labels_header())
    (tmp_path / "labels.cc").write_text(labels_source(labels), encoding="ascii")
    (tmp_path / "print.cc").write_text(PRINT_LABELS)
    program = compiled(tmp_path, "print.cc", "labels.cc", options=("-trigraphs", "-Wno-overlength-strings"))
    expected = b"".join(b"%d\n%s" % (len(label.encode()), label.encode()) for label in labels)
    assert subprocess.run([program], capture_output=True, check=True).stdout == expected


MICRO_API = {
    "tensorflow/lite/c/common.h": """
#pragma once
enum TfLiteStatus { kTfLiteOk = 0, kTfLiteError = 1 };
""",
    "tensorflow/lite/schema/schema_generated.h": """
#pragma once
namespace tflite { struct Model; const Model* GetModel(const void* buffer); }
""",
    "tensorflow/lite/micro/micro_mutable_op_resolver.h": """
#pragma once
#include "tensorflow/lite/c/common.h"
namespace tflite {
struct MicroOpResolver {};
template <unsigned int kOperators>
struct MicroMutableOpResolver : MicroOpResolver {
  TfLiteStatus AddAdd(); TfLiteStatus AddConv2D(); TfLiteStatus AddFullyConnected(); TfLiteStatus AddMean();
  TfLiteStatus AddSoftmax();
};
}
""",
    "tensorflow/lite/micro/micro_interpreter.h": """
#pragma once
#include <cstddef>
#include <cstdint>
#include "tensorflow/lite/c/common.h"
#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"
#include "tensorflow/lite/schema/schema_generated.h"
namespace tflite {
class MicroInterpreter {
 public:
  MicroInterpreter(const Model* model, const MicroOpResolver& resolver, uint8_t* arena, size_t arena_size);
  TfLiteStatus AllocateTensors();
  TfLiteStatus Invoke();
  template <class T> T* typed_input_tensor(int index);
  template <class T> T* typed_output_tensor(int index);
};
}
""",
}
"""What the app uses of TensorFlow Lite Micro, declared as its headers do: they are in no package."""


def test_what_calls_tensorflow_lite_micro_compiles_against_its_declarations(
    made: Made, compiled: Compile, tmp_path: Path
) -> None:
    embed(made("int8"), "c", tmp_path / "app")
    for name, text in MICRO_API.items():
        (tmp_path / "micro" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "micro" / name).write_text(text)
    options = ("-fsyntax-only", "-isystem", str(tmp_path / "micro"))
    compiled(tmp_path / "app", "main.cc", "classifier.cc", "model_data.cc", options=options)


def test_the_model_is_in_the_source_byte_by_byte(made: Made, tmp_path: Path) -> None:
    embed(made("int8"), "c", tmp_path / "app")
    text = (tmp_path / "app" / "model_data.cc").read_text()
    body = text[text.index("= {") : text.index("};")]
    assert bytes(map(int, re.findall(r"\d+", body))) == read_source(made("int8")).model
    assert "alignas(16)" in text


@pytest.mark.parametrize("contract", CONTRACTS)
def test_the_table_is_the_contract(contract: str, made: Made) -> None:
    source = read_source(made("gray_int8" if contract == "gray" else "int8", contract))
    found = np.array(re.findall(r"-?\d+(?=,)", input_table_source(source)), int).reshape(source.contract.depth, 256)
    for channel, row in enumerate(found):
        pixels = np.zeros((256, source.contract.depth), np.uint8)
        pixels[:, channel] = np.arange(256)
        expected = stored(source.contract.normalize(pixels), source.input)[:, channel]
        np.testing.assert_array_equal(row, expected)


def test_only_operators_of_the_model_are_registered(made: Made, tmp_path: Path) -> None:
    embed(made("int8"), "c", tmp_path / "app")
    text = (tmp_path / "app" / "operators.h").read_text()
    found = re.findall(r"resolver->(\w+)\(", text)
    assert found == ["AddAdd", "AddConv2D", "AddFullyConnected", "AddMean", "AddSoftmax"]
    assert "MicroMutableOpResolver<5>" in text


def test_names_of_operators_are_those_of_the_resolver(models: Models) -> None:
    graph = replace(walk(models("int8")), kinds=dict.fromkeys(OPERATORS, 1))
    known = set(adders(graph))
    assert {"AddConv2D", "AddDepthwiseConv2D", "AddMaxPool2D", "AddL2Normalization", "AddSplitV", "AddRelu6"} <= known
    assert {"AddPadV2", "AddBatchMatMul", "AddCumSum", "AddReverseV2", "AddSpaceToBatchNd", "AddArgMax"} <= known


def test_an_operator_that_is_not_there_is_named(models: Models) -> None:
    graph = replace(walk(models("int8")), kinds={"CONV_2D": 3, "RFFT2D": 1, "UNIQUE": 1})
    with pytest.raises(ModelError, match="lacks RFFT2D, UNIQUE"):
        adders(graph)


@pytest.mark.parametrize("model", ["float32", "dynamic_int8", "float16"])
def test_a_float_bundle_is_refused(model: str, made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["embed", str(made(model)), "--platform", "c", "--out", str(tmp_path / "app")]) == 5
    error = capsys.readouterr().err
    assert "the model takes float32" in error
    assert "fix: convert with --recipe int8" in error
    assert not (tmp_path / "app").exists()


def test_a_model_larger_than_the_flash_is_refused(made: Made, tmp_path: Path) -> None:
    size = len(read_source(made("int8")).model)
    with pytest.raises(ConfigError, match=f"{size:,} bytes, the flash {size - 1:,}"):
        embed(made("int8"), "c", tmp_path / "app", flash_bytes=size - 1)
    assert not (tmp_path / "app").exists()
    embed(made("int8"), "c", tmp_path / "app", flash_bytes=size)


@needs_micro
@pytest.mark.parametrize("model", ["int8", "fifty_int8", "gray_int8"])
def test_the_arena_is_the_least_that_works_and_the_estimate_is_enough(model: str, models: Models) -> None:
    graph = walk(models(model))
    found = arena.arena_of(models(model), graph)
    assert "on a 64-bit machine" in found.how
    assert graph.arena_bytes < found.size_bytes <= arena.estimate(graph) < 2 * graph.arena_bytes + 10_000


@needs_micro
def test_a_model_that_it_does_not_run_is_an_error(models: Models) -> None:
    with pytest.raises(ModelError, match="TFLite Micro does not run"):
        arena.arena_of(models("sparse"), walk(models("sparse")))


@needs_micro
def test_the_golden_outputs_are_those_of_tensorflow_lite_micro(made: Made) -> None:
    import tflite_micro

    source = read_source(made("int8"))
    interpreter = tflite_micro.runtime.Interpreter.from_bytes(source.model)
    for inputs, outputs in zip(source.golden.inputs, source.golden.outputs, strict=True):
        interpreter.set_input(stored(inputs, source.input)[np.newaxis], 0)
        interpreter.invoke()
        difference = interpreter.get_output(0)[0].astype(int) - stored(outputs, source.output)
        assert np.abs(difference).max() <= 1


def test_without_the_package_the_arena_is_an_estimate_that_says_so(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = Availability(available=False, why="not installed")
    monkeypatch.setattr(type(arena.MICRO), "check", lambda _: absent)
    embed(made("int8"), "c", tmp_path / "app")
    graph = read_source(made("int8")).graph
    assert f"kArenaBytes = {arena.estimate(graph)};" in (tmp_path / "app" / "contract.h").read_text()
    assert "Estimated from the graph" in (tmp_path / "app" / "README.md").read_text()


def test_the_golden_file_is_little_endian_and_complete(made: Made, tmp_path: Path) -> None:
    embed(made("int8"), "c", tmp_path / "app")
    content = (tmp_path / "app" / "golden.bin").read_bytes()
    assert content[:8] == b"EDGERES1"
    assert np.frombuffer(content, "<i4", 3, offset=8).tolist() == [4, 20, 24]
    assert len(content) == 12 + 4 * (8 + 20 * 24 * 3 + 16 * 16 * 3 + 4)
