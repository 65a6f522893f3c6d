"""The engine in the child: a TFLite interpreter of ai-edge-litert, or of tflite-runtime where that is installed."""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgeres.errors import TargetError
from targets.runtimes.invoked import InvokedEngine
from targets.runtimes.refusal import refusal
from targets.worker import Answer

if TYPE_CHECKING:
    from targets.target import Availability

PACKAGES = ("ai_edge_litert", "tflite_runtime")
"""Where an interpreter can come from, the preferred one first."""


def installed_package() -> str | None:
    """The package that is used here, without importing it."""
    return next((name for name in PACKAGES if importlib.util.find_spec(name) is not None), None)


def available() -> Availability:
    """Which runtime would run here, by its metadata; nothing native is imported."""
    from targets.target import Availability  # only here and below: a process that runs a model would wait for them

    package = installed_package()
    if package is None:
        why = "neither ai-edge-litert nor tflite-runtime is installed"
        return Availability(available=False, why=why, fix="pip install ai-edge-litert")
    name = package.replace("_", "-")
    version, numpy = f"{name} {_version(name)}", _version("numpy")
    if package == "tflite_runtime" and not numpy.startswith("1."):
        why = f"{version} needs numpy 1, {numpy} is installed"
        return Availability(available=False, version=version, why=why, fix="pip install 'numpy<2'")
    return Availability(available=True, version=version)


def _version(distribution: str) -> str:
    from importlib import metadata

    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "of unknown version"


class Engine(InvokedEngine):
    """One model on one interpreter."""

    def __init__(self) -> None:
        package = installed_package()
        if package is None:
            raise TargetError("no TFLite runtime is installed", fix="pip install ai-edge-litert")
        with refusal(f"{package} cannot be loaded"):
            self._runtime = importlib.import_module(f"{package}.interpreter")
        self._interpreter: Any = None
        super().__init__()

    def load(
        self,
        model: bytes,
        *,
        resolver: str,
        threads: int,
        delegate: str = "",
        options: dict[str, str] | None = None,
        batch: int = 1,
    ) -> Answer:
        """Load a model and allocate its tensors for a batch; returns its signature.

        `delegate`: the path of a shared object with a delegate, which takes `options`; none where empty. `batch`: other
        than 1 only for a model whose batch is open.
        """
        delegates = []
        if delegate:
            with refusal(f"the delegate {delegate} cannot be loaded"):
                delegates = [self._runtime.load_delegate(delegate, options)]
        with self._loading(), refusal("the runtime refuses the model"):
            self._interpreter = self._runtime.Interpreter(
                model_content=model,
                num_threads=threads,
                experimental_delegates=delegates or None,
                experimental_op_resolver_type=self._runtime.OpResolverType[resolver],
            )
            if batch != 1:
                details = self._interpreter.get_input_details()[0]
                self._interpreter.resize_tensor_input(details["index"], [batch, *details["shape"][1:]])
            self._interpreter.allocate_tensors()
        self._input, self._output = (
            details[0] for details in (self._interpreter.get_input_details(), self._interpreter.get_output_details())
        )
        self._ready(tuple(self._input["shape"]), self._input["dtype"], self._interpreter.invoke)
        return {**_port("input", self._input), **_port("output", self._output)}, ()

    def plan(self) -> Answer:
        """The nodes as the interpreter lists them after delegation, and the output tensors."""
        nodes = [
            {
                "kind": node["op_name"],
                "inputs": list(map(int, node["inputs"])),
                "outputs": list(map(int, node["outputs"])),
            }
            for node in self._interpreter._get_ops_details()  # not public, but there is no other way to see the plan
        ]
        return {"nodes": nodes, "outputs": [int(self._output["index"])]}, ()

    def _set(self, image: NDArray[Any]) -> None:
        self._interpreter.set_tensor(self._input["index"], image)

    def _scores(self) -> bytes:
        return bytes(self._interpreter.get_tensor(self._output["index"]).tobytes())


def _port(noun: str, details: dict[str, Any]) -> dict[str, Any]:
    scale, zero_point = details["quantization"]
    return {
        f"{noun}_shape": [int(size) for size in details["shape"]],
        f"{noun}_dtype": np.dtype(details["dtype"]).name,
        f"{noun}_scale": float(scale),
        f"{noun}_zero_point": int(zero_point),
    }
