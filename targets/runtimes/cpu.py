"""The processor of this machine: XNNPACK (`cpu`), the runtime's own kernels without it (`builtin`), and the plain ones.

Everything is compared with the plain ones (`reference`).

Runs ai-edge-litert, or tflite-runtime where that is what is installed; see `interpreter.py` for the child's side.
"""

from __future__ import annotations

from dataclasses import dataclass

from edgeres.errors import ConfigError
from targets.runtimes.interpreter import available
from targets.runtimes.session import EngineSession, Launch, classifier_graph
from targets.sandbox import Limits
from targets.target import Availability, Tolerance, require_available

MAX_THREADS = 256

_ENGINE = "targets.runtimes.interpreter:Engine"


@dataclass(frozen=True)
class CpuTarget:
    """A set of kernels of the interpreter: `resolver` is its name in the runtime's `OpResolverType`.

    `multiple`: see `targets.target.Target`; XNNPACK's kernels for AVX2, the 8-bit dot product and Neon write 8 channels
    at a time, or 16.
    """

    name: str
    resolver: str
    kind: str = "cpu"
    multiple: int = 8
    timed: bool = True
    tolerance: Tolerance | None = None

    def check(self) -> Availability:
        """Which runtime would run, by its metadata; nothing native is imported."""
        return available()

    def open(
        self, model: bytes, *, threads: int = 1, limits: Limits | None = None, launch: Launch | None = None
    ) -> EngineSession:
        """Load a model from its bytes in a child process; `launch` one elsewhere, where the target is available.

        Raises:
            ArtifactError: the bytes are not a well-formed flatbuffer.
            ModelError: it does not map one image to one row of scores.
            ConfigError: a number of threads out of range.
            TargetError: no runtime is installed; it refuses the model, or dies on it.
        """
        check_threads(threads)
        graph = classifier_graph(model)
        if launch is None:
            require_available(self)
        arguments = {"resolver": self.resolver, "threads": threads}
        return EngineSession(_ENGINE, model, graph, arguments=arguments, limits=limits, launch=launch)


def check_threads(threads: int) -> None:
    """Refuse a number of threads that no machine has.

    Raises:
        ConfigError: it is not in 1 … `MAX_THREADS`.
    """
    if type(threads) is not int or not 1 <= threads <= MAX_THREADS:
        raise ConfigError(f"threads must be in 1…{MAX_THREADS}, found {threads}", fix="give another --threads")


CPU = CpuTarget(name="cpu", resolver="AUTO", tolerance=Tolerance(steps=8, share=1e-3))
BUILTIN = CpuTarget(
    name="builtin", resolver="BUILTIN_WITHOUT_DEFAULT_DELEGATES", tolerance=Tolerance(steps=8, share=1e-3)
)
REFERENCE = CpuTarget(name="reference", resolver="BUILTIN_REF")
