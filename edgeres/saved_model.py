"""SavedModel folders: the graph read and checked before anything is loaded, then its image classifier as a function.

Any SavedModel will do that has one signature from an image to scores, whoever wrote it. The Keras layers in it are not
used: they would have to be built from code.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.framework import op_def_registry  # whether an operator has side effects: no public name

from edgeres.errors import ModelError

_SERVING = "serving_default"
_FIX = "export the classifier alone with model.export(folder), from its image to a score for each class"

_VARIABLES_AND_CALLS = """
    VarHandleOp ReadVariableOp AssignVariableOp AssignAddVariableOp AssignSubVariableOp VarIsInitializedOp
    ResourceGather DestroyResourceOp DisableCopyOnRead Placeholder PlaceholderWithDefault StatefulPartitionedCall
    PartitionedCall If While Case Assert RandomUniform RandomUniformInt RandomStandardNormal TruncatedNormal
    RngReadAndSkip RngSkip
"""
_STATEFUL = frozenset(_VARIABLES_AND_CALLS.split())
"""Operators with state that an image classifier has. Any other operator with state is refused."""

_OUTSIDE_WORDS = """
    file path directory pyfunc checkpoint save restore reader record dataset lmdb sql rpc socket http remote xla custom
    table plugin library vocab proto debug abort mlir
"""
_OUTSIDE = tuple(_OUTSIDE_WORDS.split())
"""In the names of operators that reach out of the graph although TensorFlow calls them stateless."""

_SAVER = frozenset({"SaveV2", "RestoreV2", "MergeV2Checkpoints", "ShardedFilename", "StringJoin", "RegexFullMatch"})
"""What the function that TensorFlow adds for writing checkpoints consists of; nothing here calls it."""


class Classifier:
    """A loaded SavedModel, called as a Keras model is: float32 (n, height, width, channels) to float32 (n, classes)."""

    def __init__(self, path: Path) -> None:
        self._loaded = tf.saved_model.load(str(path))
        self._serve = self._loaded.signatures[_SERVING]
        (self._input,) = self._serve.structured_input_signature[1]
        (self._output,) = self._serve.structured_outputs
        self.input_shape = _shape(self._serve.structured_input_signature[1][self._input].shape)
        self.output_shape = _shape(self._serve.structured_outputs[self._output].shape)
        self.weights = tuple(self._serve.variables)

    @property
    def parameters(self) -> int:
        """Values in all variables."""
        return sum(int(np.prod(weight.shape)) for weight in self.weights)

    def __call__(self, images: Any, training: bool = False) -> Any:  # noqa: ARG002 - as Keras models are called
        """Scores of images; a signature for one image a call is called as often as needed."""
        if self.input_shape[0] == 1:
            return tf.concat([self._scores(images[place : place + 1]) for place in range(len(images))], axis=0)
        return self._scores(images)

    def _scores(self, images: Any) -> Any:
        return self._serve(**{self._input: images})[self._output]

    def write(self, folder: str) -> None:
        """Save it as a SavedModel from `image`, a batch of one, to `scores`."""
        module = tf.Module()
        module.inner = self._loaded
        spec = tf.TensorSpec((1, *self.input_shape[1:]), tf.float32, name="image")
        serve = tf.function(lambda image: {"scores": self._scores(image)}, input_signature=[spec])
        tf.saved_model.save(module, folder, signatures={_SERVING: serve})


def read(path: Path, *, trust: bool) -> tuple[dict[str, Any], str]:
    """The signature ({"batch_shape": …}, as in a Keras configuration) and the version of TensorFlow that wrote it.

    Raises:
        ModelError: not a readable SavedModel, no signature from one image to scores, or an operator that reaches out.
    """
    saved = saved_model_pb2.SavedModel()
    try:
        saved.ParseFromString((path / "saved_model.pb").read_bytes())
    except Exception as problem:  # protobuf has an error of its own
        raise ModelError(f"{path} is not a readable SavedModel: {problem}", fix="save it again") from problem
    if len(saved.meta_graphs) != 1 or not saved.meta_graphs[0].object_graph_def.nodes:
        raise ModelError(f"{path}: expected a SavedModel of TensorFlow 2 with one graph", fix=_FIX)
    graph = saved.meta_graphs[0]
    if not trust:
        _check_operators(graph, path)
    version = f"TensorFlow {graph.meta_info_def.tensorflow_version}"
    return {"batch_shape": _signature(graph, path), "operators": _counts(graph)}, version


def _signature(graph: Any, path: Path) -> list[int | None]:
    """The shape of the one input of the serving signature, (N, height, width, channels)."""
    signature = graph.signature_def.get(_SERVING)
    if signature is None or len(signature.inputs) != 1 or len(signature.outputs) != 1:
        found = {name: (len(one.inputs), len(one.outputs)) for name, one in graph.signature_def.items()}
        raise ModelError(
            f"{path}: expected the signature '{_SERVING}' with one input and one output",
            details=(f"found (inputs, outputs): {found}",),
            fix=_FIX,
        )
    (image,), (scores,) = signature.inputs.values(), signature.outputs.values()
    if image.dtype != tf.float32.as_datatype_enum or scores.dtype != tf.float32.as_datatype_enum:
        raise ModelError(f"{path}: expected a float32 image and float32 scores", fix=_FIX)
    return [None if size.size < 0 else size.size for size in image.tensor_shape.dim]


def _check_operators(graph: Any, path: Path) -> None:
    savers = _saver_functions(graph)
    for function, node in _nodes(graph):
        if node.op in _SAVER and (function in savers or (not function and _is_saver_node(graph, node))):
            continue
        reason = _objection(node.op, functions={each.signature.name for each in graph.graph_def.library.function})
        if reason is not None:
            place = f"function '{function}'" if function else "the graph"
            raise ModelError(
                f"{path}: refused before loading: {place}: {reason}",
                fix="export the classifier alone; "
                "or, if you trust whoever made it as you trust a program, give --trust",
            )


def _objection(operator: str, *, functions: set[str]) -> str | None:
    """Why an operator may not run, or None."""
    if operator in _STATEFUL or operator in functions:
        return None
    known = op_def_registry.get(operator)
    if known is None:
        return f"the operator {operator} is unknown to TensorFlow {tf.__version__}"
    if known.is_stateful:
        return f"the operator {operator} has side effects"
    if any(word in operator.lower() for word in _OUTSIDE):
        return f"the operator {operator} reaches files, processes or Python"
    return None


def _nodes(graph: Any) -> Iterator[tuple[str, Any]]:
    """Every node with the name of the function it is in; "" is the main graph."""
    for node in graph.graph_def.node:
        yield "", node
    for function in graph.graph_def.library.function:
        for node in function.node_def:
            yield function.signature.name, node


def _is_saver_node(graph: Any, node: Any) -> bool:
    saver = graph.saver_def
    return node.name in {_bare(saver.save_tensor_name), _bare(saver.restore_op_name), _bare(saver.filename_tensor_name)}


def _saver_functions(graph: Any) -> set[str]:
    """Functions that only the saver's nodes of the main graph call."""
    called: dict[bool, set[str]] = {True: set(), False: set()}
    for function, node in _nodes(graph):
        called[not function and _is_saver_node(graph, node)].update(_callees(node))
    return called[True] - called[False] - set(graph.object_graph_def.concrete_functions)


def _callees(node: Any) -> Iterator[str]:
    for value in node.attr.values():
        if value.HasField("func"):
            yield value.func.name
        for function in value.list.func:
            yield function.name


def _bare(tensor: str) -> str:
    return tensor.partition(":")[0]


def _counts(graph: Any) -> dict[str, int]:
    """Operators of all functions but the saver's, by how often each is there."""
    savers, found = _saver_functions(graph), dict[str, int]()
    for function, node in _nodes(graph):
        if function and function not in savers:
            found[node.op] = found.get(node.op, 0) + 1
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def _shape(shape: Any) -> tuple[int | None, ...]:
    return tuple(shape.as_list()) if shape.rank is not None else ()
