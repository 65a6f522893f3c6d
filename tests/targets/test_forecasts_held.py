"""Forecasts over all files of `forecast_models.py`, held against what the targets then do."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from edgeres.errors import EdgeresError, TargetError
from edgeres.records import decode
from targets.artifact import Artifact
from targets.flatbuffer import walk
from targets.forecast.outlook import Forecast, forecast
from targets.layer_names import layer_names
from targets.operators import Plan, coverage
from targets.proof import prove
from targets.runtimes.cpu import CPU
from targets.runtimes.ethosu import ETHOSU
from targets.runtimes.gpu import GPU
from targets.runtimes.micro import MICRO
from targets.runtimes.npu import OPENVINO as NPU_OPENVINO
from targets.runtimes.onnxruntime import ONNXRUNTIME
from targets.runtimes.openvino import OPENVINO
from targets.sandbox import Sandbox
from tests.targets import forecast_models as source
from tests.targets.runtimes.vulkan import vulkan


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
@pytest.mark.parametrize("configuration", ["u55-256", "u65-256", "u85-256"])
def test_vela_leaves_the_layers_that_were_forecast(networks: dict[str, bytes], configuration: str) -> None:
    wrong, engine, verdicts = {}, "targets.runtimes.ethosu_engine:Engine", Counter[str]()
    with reopened(engine) as held:
        for name, model in networks.items():
            expected = of(model, f"ethosu:{configuration}")
            verdicts[expected.verdict] += 1
            main = walk(model).main
            try:
                with tempfile.TemporaryDirectory() as folder:
                    arguments = {"accelerator": f"ethos-{configuration}", "folder": folder, "options": {}}
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


EVERY = 6
"""Of the files that a GPU runs, for a GPU in software is slow; 1 for all of them."""

UNNAMED = ("Didn't find op for builtin opcode", "process ended itself with exit code 1")
"""How the runtime refuses an operator of which it names no place, and how it ends itself at one."""


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_gpu_refuses_and_gets_wrong_what_was_forecast(networks: dict[str, bytes]) -> None:
    """On SwiftShader where there is no GPU. Its float16 adds up in deep networks of random weights: not a fault."""
    wrong, verdicts = {}, Counter[str]()
    with vulkan():
        for place, (name, model) in enumerate(networks.items()):
            expected = of(model, "gpu")
            verdicts[expected.verdict] += 1
            if expected.verdict == "runs" and place % EVERY:
                continue
            try:
                with GPU.open(model) as session:
                    proof = prove(Artifact(name, name, "tflite", model), session, GPU)
            except TargetError as error:
                did, words = "refused", error.message
                named = [each for each in expected.blocked if f"{each.kind} as the layer '{each.layer}'" in words]
                if not named and not any(each in words for each in UNNAMED):
                    wrong[name] = (words, expected.blocked[:1])
            else:
                assert proof is not None
                did, words = "runs", f"off by {proof.largest} of {proof.accepted}"
                if proof.faults or proof.largest > 2 * proof.accepted:
                    did = "wrong"
            if did != expected.verdict:
                wrong[name] = (did, words, expected.verdict, expected.blocked[:1])
    assert not wrong
    assert set(verdicts) == {"runs", "wrong", "refused"}


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


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_edge_tpu_takes_what_comes_before_the_first_operator_that_it_lacks(networks: dict[str, bytes]) -> None:
    found = of(networks["gelu.int8"], "edgetpu")
    assert (found.verdict, found.taken, found.blocked[0].layer) == ("in part", 1, "odd")
    assert of(networks["resnet8.int8"], "edgetpu").verdict == "runs"
