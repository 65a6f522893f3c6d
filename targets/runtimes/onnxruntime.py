"""ONNX Runtime (`onnxruntime`) on this machine's processor: a peer to compare with.

It reads ONNX alone. tf2onnx writes that of a `.tflite`, in a child process of its own (`onnx_writer.py`), and quantized
activations become uint8 beside int8 weights: the form that ONNX Runtime has fast kernels for on x86. See
`onnxruntime_engine.py` for the side of the child that runs it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

from targets.runtimes.cpu import check_threads
from targets.runtimes.peer import PeerSession, packages_available
from targets.runtimes.session import classifier_graph
from targets.sandbox import Limits, Sandbox
from targets.target import Availability, Tolerance, require_available

_ENGINE = "targets.runtimes.onnxruntime_engine:Engine"
_WRITER = "targets.runtimes.onnx_writer:Engine"
_PACKAGES = ("onnxruntime", "tf2onnx", "onnx", "tensorflow")
_MAX_ANSWER = 2 << 30
"""Bytes: a message of protocol buffers, which an ONNX file is, cannot be larger."""

_TOLERANCE = Tolerance(steps=16, share=1e-2)
"""Every layer may round in another way: scores of a ResNet-50 in int8 were seen 10 steps away. Integer weights beside
float activations are computed as floats here, which is another way, too."""


@dataclass(frozen=True)
class OnnxRuntimeTarget:
    """`multiple`: see `targets.target.Target`; the kernels for AVX2 lay channels out in blocks of 8."""

    name: str = "onnxruntime"
    kind: str = "cpu"
    multiple: int = 8
    timed: bool = True
    tolerance: Tolerance | None = _TOLERANCE

    def check(self) -> Availability:
        """Whether the runtime and the converter are there; nothing native is imported."""
        return packages_available(_PACKAGES, extra="onnx")

    def open(self, model: bytes, *, threads: int = 1, limits: Limits | None = None) -> OnnxSession:
        """Convert a model to ONNX in one child process and load it in another.

        Raises:
            ArtifactError: the bytes are not a well-formed flatbuffer.
            ModelError: it does not map one image to one row of scores.
            ConfigError: a number of threads out of range.
            TargetError: not installed; tf2onnx or the runtime refuses the model, or dies on it.
        """
        check_threads(threads)
        graph = classifier_graph(model)
        require_available(self)
        content = as_onnx(model)
        session = OnnxSession(_ENGINE, "ONNX Runtime", model, graph, threads=threads, content=content, limits=limits)
        session.content = content
        return session


class OnnxSession(PeerSession):
    """A model on ONNX Runtime; see `targets.target.Session`. `content`: the ONNX file."""

    content: bytes

    def _precision(self) -> dict[str, int]:
        """Of the same file optimized once more in a process of its own: writing that graph takes memory."""
        with Sandbox(_ENGINE, limits=self._limits) as sandbox:
            values, _ = sandbox.call("precision", self.content)
        return values


@lru_cache(maxsize=2)
def as_onnx(model: bytes) -> bytes:
    """A `.tflite` as an ONNX file, with uint8 where its activations are int8.

    Raises:
        TargetError: tf2onnx does not convert it.
    """
    with Sandbox(_WRITER, limits=replace(Limits(), answer_bytes=_MAX_ANSWER)) as sandbox:
        _, (content,) = sandbox.call("convert", model)
    return content


ONNXRUNTIME = OnnxRuntimeTarget()
