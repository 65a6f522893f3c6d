"""OpenVINO (`openvino`) on this machine's processor: a peer to compare with. It reads a `.tflite` itself.

Floats are computed as float32: left to itself OpenVINO takes bfloat16 where the processor has it, which is faster and
another answer. See `openvino_engine.py` for the child's side.
"""

from __future__ import annotations

from dataclasses import dataclass

from targets.runtimes.cpu import check_threads
from targets.runtimes.peer import PeerSession, packages_available
from targets.runtimes.session import classifier_graph
from targets.sandbox import Limits
from targets.target import Availability, Tolerance, require_available

_ENGINE = "targets.runtimes.openvino_engine:Engine"

_TOLERANCE = Tolerance(steps=16, share=1e-2)
"""Every layer may round in another way: scores of a ResNet-50 in int8 were seen 10 steps away. Integer weights beside
float activations are computed as floats here, which is another way, too."""


@dataclass(frozen=True)
class OpenVinoTarget:
    """`multiple`: see `targets.target.Target`; oneDNN's kernels for AVX2 write 8 floats at a time."""

    name: str = "openvino"
    kind: str = "cpu"
    multiple: int = 8
    timed: bool = True
    tolerance: Tolerance | None = _TOLERANCE

    def check(self) -> Availability:
        """Whether the package is there; nothing native is imported."""
        return packages_available(("openvino",), extra="openvino")

    def open(self, model: bytes, *, threads: int = 1, limits: Limits | None = None) -> PeerSession:
        """Load a model from its bytes in a child process.

        Raises:
            ArtifactError: the bytes are not a well-formed flatbuffer.
            ModelError: it does not map one image to one row of scores.
            ConfigError: a number of threads out of range.
            TargetError: not installed; it refuses the model, or dies on it.
        """
        check_threads(threads)
        graph = classifier_graph(model)
        require_available(self)
        return PeerSession(_ENGINE, "OpenVINO", model, graph, threads=threads, limits=limits)


OPENVINO = OpenVinoTarget()
