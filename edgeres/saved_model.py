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

from edgeres.errors import ModelError
from edgeres.saved_operators import OPERATORS, SAVER

_SERVING = "serving_default"
_FIX = "export the classifier alone with model.export(folder), from its image to a score for each class"
_IMAGES = (tf.float32, tf.uint8)


class Classifier:
    """A loaded SavedModel, called as a Keras model is: float32 (n, height, width, channels) to float32 (n, classes).

    One that takes bytes is given its pixels rounded to whole numbers in 0…255.
    """

    def __init__(self, path: Path, *, signature: str = _SERVING) -> None:
        self._loaded = tf.saved_model.load(str(path))
        self._serve = self._loaded.signatures[signature]
        (self._input,) = self._serve.structured_input_signature[1]
        (self._output,) = self._serve.structured_outputs
        image = self._serve.structured_input_signature[1][self._input]
        self._bytes = image.dtype == tf.uint8
        self.input_shape = _shape(image.shape)
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
        if self._bytes:
            images = tf.cast(tf.clip_by_value(tf.round(images), 0.0, 255.0), tf.uint8)
        return self._serve(**{self._input: images})[self._output]

    def write(self, folder: str) -> None:
        """Save it as a SavedModel from `image`, a batch of one, to `scores`."""
        module = tf.Module()
        module.inner = self._loaded
        spec = tf.TensorSpec((1, *self.input_shape[1:]), tf.float32, name="image")
        serve = tf.function(lambda image: {"scores": self._scores(image)}, input_signature=[spec])
        tf.saved_model.save(module, folder, signatures={_SERVING: serve})


def read(path: Path, *, trust: bool) -> tuple[dict[str, Any], str]:
    """{"signature", "batch_shape" (as in a Keras configuration), "operators"}, and the TensorFlow that wrote it.

    Raises:
        ModelError: not a readable SavedModel, no signature from one image to scores, or an operator that is not listed.
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
    name = _signature(graph, path)
    (image,) = graph.signature_def[name].inputs.values()
    version = f"TensorFlow {graph.meta_info_def.tensorflow_version}"
    return {"signature": name, "batch_shape": _sizes(image), "operators": _counts(graph)}, version


def _signature(graph: Any, path: Path) -> str:
    """The name of the signature from an image to scores: the usual one, or the only one that is."""
    found = {name: one for name, one in sorted(graph.signature_def.items()) if one.inputs}  # without the initializer
    fitting = [name for name, one in found.items() if _fits(one)]
    if _SERVING in fitting:
        return _SERVING
    if len(fitting) != 1:
        shown = [f"found '{name}': {_tensors(one.inputs)} -> {_tensors(one.outputs)}" for name, one in found.items()]
        raise ModelError(
            f"{path}: expected one signature from an image (N, height, width, channels), float32 or uint8, "
            "to float32 scores (N, classes)",
            details=shown or ["it has no signatures"],
            fix=f"call one of them '{_SERVING}'" if fitting else _FIX,
        )
    return str(fitting[0])


def _fits(signature: Any) -> bool:
    images, scores = list(signature.inputs.values()), list(signature.outputs.values())
    if len(images) != 1 or len(scores) != 1:
        return False
    kinds = (
        images[0].dtype in [kind.as_datatype_enum for kind in _IMAGES],
        scores[0].dtype == tf.float32.as_datatype_enum,
    )
    return all(kinds) and (len(_sizes(images[0])), len(_sizes(scores[0]))) == (4, 2)


def _sizes(tensor: Any) -> list[int | None]:
    return [None if size.size < 0 else size.size for size in tensor.tensor_shape.dim]


def _tensors(tensors: Any) -> str:
    """`image (1, 8, 8, 3) float32` of each."""
    shown = []
    for name, tensor in sorted(tensors.items()):
        sizes = ", ".join("N" if size is None else str(size) for size in _sizes(tensor))
        shown.append(f"{name} ({sizes}) {tf.dtypes.as_dtype(tensor.dtype).name}")
    return ", ".join(shown) or "nothing"


def _check_operators(graph: Any, path: Path) -> None:
    savers = _saver_functions(graph)
    functions = {each.signature.name for each in graph.graph_def.library.function}
    for function, node in _nodes(graph):
        absent = {name for value in node.attr.values() for name in _named(value)} - functions - {""}
        if absent:  # it could be the name that TensorFlow will give the saver's function, or another program's
            raise ModelError(
                f"{path}: refused before loading: it calls functions that are not in it: {', '.join(sorted(absent))}",
                fix=_FIX,
            )
        if node.op in OPERATORS or node.op in functions:
            continue
        if node.op in SAVER and (function in savers or (not function and _is_saver_node(graph, node))):
            continue
        place = f"function '{function}'" if function else "the graph"
        raise ModelError(
            f"{path}: refused before loading: {place}: the operator {node.op} is not among those of image classifiers "
            "that may run unchecked",
            fix="export the classifier alone; or, if you trust whoever made it as you trust a program, give --trust",
        )


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
    """Functions that only the saver's nodes of the main graph call, so that nothing runs them once it is loaded."""
    called: dict[bool, set[str]] = {True: set(), False: set()}
    for function, node in _nodes(graph):
        called[not function and _is_saver_node(graph, node)].update(_callees(node))
    return called[True] - called[False] - set(_exposed(graph))


def _exposed(graph: Any) -> Iterator[str]:
    """Functions that something other than a node can reach.

    Objects name them, and are looked up without regard to `concrete_functions`; gradients do; and a function that
    `api_implements` what another one does may be run in its place.
    """
    yield from graph.object_graph_def.concrete_functions
    for each in graph.object_graph_def.nodes:
        yield from each.function.concrete_functions
        yield each.bare_concrete_function.concrete_function_name
    library = graph.graph_def.library
    for gradient in (*library.gradient, *library.registered_gradients):
        yield gradient.gradient_func
    for function in library.function:
        if "api_implements" in function.attr:
            yield function.signature.name
        for value in (*function.attr.values(), *(each.default_value for each in function.signature.attr)):
            yield from _named(value)


def _callees(node: Any) -> Iterator[str]:
    """Functions that a node calls; an operator that is the name of a function calls it."""
    yield node.op
    for value in node.attr.values():
        yield from _named(value)


def _named(value: Any) -> Iterator[str]:
    """Functions that an attribute names; also those that one of them is told to call."""
    for function in (value.func, *value.list.func):
        yield function.name
        for inner in function.attr.values():
            yield from _named(inner)


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
