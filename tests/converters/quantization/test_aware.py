from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tf_keras
from numpy.typing import NDArray

from converters.export import export_float
from converters.job import Job
from converters.quantization import aware, calibration
from converters.quantization.aware import _batches, _prove_parity, rounded, run
from converters.quantization.post_training import quantize
from converters.recipe import load_recipe
from converters.steps import AwareStep, PruneStep
from edgeres.errors import ModelError
from edgeres.keras_file import read_keras_file
from edgeres.keras_io import load
from targets.flatbuffer import describe, walk
from targets.runtimes.cpu import CPU
from tests.converters.small import network, small_job
from tests.edgeres.keras_models import saved
from tests.targets.double import DoubleSession, DoubleTarget

STEP = AwareStep(step="aware", epochs=1, batch=8)
SHARE = 0.6
KERNELS = 6


def thinned(model: Any) -> Any:
    """A model whose smallest weights of each kernel are zero."""
    for layer in model.layers:
        if hasattr(layer, "kernel"):
            kernel = layer.kernel.numpy()
            kernel[np.abs(kernel) < np.quantile(np.abs(kernel), SHARE)] = 0
            layer.kernel.assign(kernel)
    return model


@pytest.fixture(scope="module")
def sparse(tmp_path_factory: pytest.TempPathFactory) -> Job:
    return small_job(tmp_path_factory.mktemp("sparse"), thinned(network()))


@pytest.fixture(scope="module")
def trained_int8(sparse: Job, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return run(STEP, sparse, sparse.file.path, tmp_path_factory.mktemp("aware") / "state")


def int8_kernels(model: bytes) -> list[NDArray[np.int8]]:
    """The weights of every convolution and dense layer as they lie in the flatbuffer, whose zero is 0."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    graph = walk(model).main
    heavy = [operator for operator in graph.operators if operator.kind in ("CONV_2D", "FULLY_CONNECTED")]
    places = {operator.inputs[1] for operator in heavy}
    plain = Interpreter(model_content=model, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    plain.allocate_tensors()
    for place in places:
        assert set(graph.tensors[place].zero_points) == {0}
        assert graph.tensors[place].dtype == "int8"
    return [plain.get_tensor(place) for place in places]


def by_training(trained_int8: bytes, sparse: Job) -> bytes:
    return trained_int8


def by_calibration(trained_int8: bytes, sparse: Job) -> bytes:
    images = calibration.inputs(sparse.dataset.split("calibration"), sparse.contract)
    return quantize(export_float(sparse.file), "int8", images=images)


@pytest.mark.parametrize("made", [by_training, by_calibration])
def test_every_weight_that_was_zero_is_zero_in_the_int8_flatbuffer(
    sparse: Job, trained_int8: bytes, made: Callable[[bytes, Job], bytes]
) -> None:
    kernels = int8_kernels(made(trained_int8, sparse))
    assert len(kernels) == KERNELS
    floats = [layer.kernel.numpy() for layer in load(sparse.file).layers if hasattr(layer, "kernel")]
    zeros = {kernel.size: np.moveaxis(kernel, -1, 0) == 0 for kernel in floats}
    assert len(zeros) == KERNELS, "a kernel is known by its size"
    for kernel in kernels:
        was_zero = zeros[kernel.size]
        assert was_zero.mean() == pytest.approx(SHARE, abs=0.02)
        assert not kernel.reshape(was_zero.shape)[was_zero].any()


def test_it_is_int8_throughout_in_and_out(trained_int8: bytes) -> None:
    found = describe(trained_int8)
    assert found.inputs[0].dtype == found.outputs[0].dtype == "int8"
    assert found.inputs[0].shape == (1, 8, 8, 3)
    assert set(found.constants) == {"int8", "int32", "float32"}
    assert found.constants["float32"] == 8, "the two numbers of Rescaling, which stays outside"
    with CPU.open(trained_int8) as session:
        assert session.operators().delegated == session.operators().nodes


@pytest.mark.parametrize(("preserve", "share"), [("sparsity", SHARE), ("none", 0)])
def test_only_what_is_preserved_is_zero_whatever_the_weights_become(sparse: Job, preserve: str, share: float) -> None:
    layer = rounded(load(sparse.file), STEP.model_copy(update={"preserve": preserve})).get_layer("quant_left")
    ((kernel, quantizer, ranges),) = layer._weight_vars
    kernel.assign(np.ones(kernel.shape))
    used = quantizer(kernel, training=False, weights=ranges).numpy()
    assert np.mean(used == 0) == pytest.approx(share, abs=0.02)


def test_a_flatbuffer_that_computes_otherwise_is_an_error(sparse: Job, trained_int8: bytes) -> None:
    other = load(sparse.file)
    last = other.get_layer("logits")
    last.set_weights([-weight for weight in last.get_weights()])
    with pytest.raises(ModelError, match="the int8 flatbuffer's outputs differ from the trained model's by"):
        _prove_parity(other, trained_int8, next(_batches(sparse, 4)))


@pytest.mark.parametrize(
    ("off", "reference", "accepted"),
    [(0.2, 0.2, True), (0.6, 0.6, False), (0.6, 0.2, True), (0.6, 0.35, False), (1.1, 0.0, False)],
)
def test_a_larger_difference_is_accepted_only_where_the_kernels_are_as_far_apart(
    off: float, reference: float, accepted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`off`: by how much XNNPACK is above the 1 that was trained; `reference`: the same of the plain kernels."""
    for name, more in (("CPU", off), ("REFERENCE", reference)):
        outputs = np.full((2, 3), 1 + more, np.float32)
        target = DoubleTarget(lambda _, outputs=outputs: DoubleSession(lambda _: outputs))
        monkeypatch.setattr(aware, name, target)
    monkeypatch.setattr(aware, "keras_outputs", lambda model, inputs: np.ones((2, 3), np.float32))
    refused = nullcontext() if accepted else pytest.raises(ModelError, match="outputs differ from the trained model's")
    with refused:
        _prove_parity(None, b"", np.zeros((2, 8, 8, 3), np.float32))


@pytest.mark.parametrize("kind", ["LayerNormalization", "PReLU"])
def test_a_layer_that_tfmot_cannot_quantize_is_an_error(kind: str, sparse: Job, tmp_path: Path) -> None:
    body = tf_keras.Sequential([tf_keras.Input((8, 8, 3)), getattr(tf_keras.layers, kind)()])
    stack = [*body.layers, tf_keras.layers.Flatten(), tf_keras.layers.Dense(3)]
    path = saved(tf_keras.Sequential([tf_keras.Input((8, 8, 3)), *stack]), tmp_path / "odd.keras")
    job = replace(sparse, file=read_keras_file(path))
    with pytest.raises(ModelError, match="tfmot cannot quantize this model while it is trained") as caught:
        run(STEP, job, path, tmp_path / "state")
    assert kind in caught.value.details[0]
    assert "the steps export and quantize" in str(caught.value.fix)


def test_the_recipe_prunes_and_trains_as_int8() -> None:
    prune, aware = load_recipe("sparse-int8").steps
    assert isinstance(prune, PruneStep)
    assert isinstance(aware, AwareStep)
    assert aware.preserve == "sparsity"


@pytest.mark.parametrize("trust", [False, True])
def test_a_model_that_is_quantized_already_is_refused(sparse: Job, tmp_path: Path, trust: bool) -> None:
    path = saved(rounded(load(sparse.file), STEP), tmp_path / "quantized.keras")
    with pytest.raises(ModelError, match="is quantized already: layer 'quant") as caught:
        read_keras_file(path, trust=trust)
    assert "give the float model" in str(caught.value.fix)
