"""Runs a float flatbuffer and shows every activation, by the kernels that run it in use, at their speed.

A runtime gives out a model's outputs alone and overwrites the rest. Its option that keeps all tensors switches the fast
kernels off (a ResNet-50 takes five times longer). So every activation is made an output in a copy of the file.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from ai_edge_litert.tools import flatbuffer_utils
from numpy.typing import NDArray

from targets.flatbuffer import walk


class Observer:
    """A float32 flatbuffer with one input and a batch of one, on `threads` threads.

    `names`: of the activation tensors, the input first, then the outputs of the operators in their order.
    """

    def __init__(self, model: bytes, *, threads: int, like: Observer | None = None) -> None:
        """`like`: an observer of the same file, whose copy of it is used here too."""
        graph = walk(model).main
        written = [index for operator in graph.operators for index in operator.outputs]
        self._shown = [index for index in (*graph.inputs, *written) if graph.tensors[index].dtype == "float32"]
        self.names = tuple(graph.tensors[index].name for index in self._shown)
        self.ranks = tuple(len(graph.tensors[index].shape) for index in self._shown)
        self._input, self._output = graph.inputs[0], graph.outputs[0]
        self._content: bytes = _all_shown(model, written) if like is None else like._content
        self._interpreter = Interpreter(model_content=self._content, num_threads=threads)
        self._interpreter.allocate_tensors()

    def run(self, image: NDArray[np.float32], see: Callable[[int, NDArray[np.float32]], None]) -> None:
        """Run an image, float32 (1, height, width, channels), and show each activation with its place in `names`.

        What is shown is the runtime's own memory: `see` must not keep it.
        """
        self._interpreter.set_tensor(self._input, image)
        self._interpreter.invoke()
        for place, index in enumerate(self._shown):
            see(place, self._interpreter.tensor(index)())

    def scores(self) -> NDArray[np.float32]:
        """The model's output in the last run: float32 (classes,)."""
        found: NDArray[np.float32] = self._interpreter.get_tensor(self._output)[0]
        return found


def _all_shown(model: bytes, written: list[int]) -> bytes:
    copied = flatbuffer_utils.read_model_from_bytearray(bytearray(model))
    copied.subgraphs[0].outputs = np.array(written, np.int32)
    copied.signatureDefs = None  # it names the outputs that were
    return bytes(flatbuffer_utils.convert_object_to_bytearray(copied))


def observers(model: bytes, count: int) -> list[Observer]:
    """Several of one thread each, which may run at the same time, with one copy of the file between them."""
    first = Observer(model, threads=1)
    return [first, *(Observer(model, threads=1, like=first) for _ in range(count - 1))]
