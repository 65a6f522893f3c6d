"""The protocols of this package: a Target says what can run here, a Session runs one model on it.

Beside them a Compiler, which makes a file for a device ahead of any run, and a Family of targets that are named alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from edgeres.errors import TargetError
from edgeres.results import CompilerEstimate, Memory, Operators, Start


@dataclass(frozen=True)
class Availability:
    """Whether a target can run here: `why` not and how to `fix` it, or the runtime's `version`.

    Of one that can run, `why` says what it cannot do all the same.
    """

    available: bool
    version: str | None = None
    why: str | None = None
    fix: str | None = None


@dataclass(frozen=True)
class Tolerance:
    """How far a target's scores may be from those of the reference kernels.

    `steps`: quantization steps, where the scores are integers or are made of them at the very end. `share`: of the
    largest score, where they are float throughout.
    """

    steps: float
    share: float


@dataclass(frozen=True)
class Signature:
    """A model's single input and output, as the runtime reports them.

    `input_shape`: (1, height, width, channels). `output_shape`: (1, classes). dtypes are numpy names.
    Quantized values stand for (value − zero_point) · scale; a float tensor has scale 0.
    """

    input_shape: tuple[int, ...]
    input_dtype: str
    input_scale: float
    input_zero_point: int
    output_shape: tuple[int, ...]
    output_dtype: str
    output_scale: float
    output_zero_point: int


class Session(Protocol):
    """One model loaded on one target, in a process of its own. Close it, or use it in a `with`."""

    signature: Signature

    @property
    def process_id(self) -> int | None:
        """Of the process on this machine that runs the model; None where there is none."""

    def infer(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run a batch, one image at a time: float32 (n, height, width, channels) to float32 (n, classes).

        Inputs are quantized and outputs dequantized by the model's own scales.
        """

    def time(self, *, runs: int, seconds: float) -> list[float]:
        """Invoke at least `runs` times and for at least `seconds`; the milliseconds of each invocation.

        Raises:
            TargetError: the target is not `timed`.
        """

    def start(self) -> Start:
        """What it took to load the model, and its first run, which this is: ask before anything else."""

    def operators(self) -> Operators:
        """What ran where, read from the plan that ran."""

    def memory(self) -> Memory:
        """Resident memory since before the model was loaded."""

    def close(self) -> None:
        """End the process."""

    def __enter__(self) -> Session: ...

    def __exit__(self, *exception: object) -> None: ...


class Target(Protocol):
    """A place where a flatbuffer can run."""

    @property
    def name(self) -> str:
        """As it is asked for: `--target NAME`."""

    @property
    def kind(self) -> str:
        """What targets are grouped by: cpu, gpu, npu, microcontroller, device, …"""

    @property
    def multiple(self) -> int:
        """How many channels its kernels compute at a time; a layer of another width leaves a part of them idle."""

    @property
    def timed(self) -> bool:
        """Whether a time measured here is the target's: an interpreter of another machine's code has none."""

    @property
    def tolerance(self) -> Tolerance | None:
        """What its results are checked with in every measurement; None for the kernels that others are checked with."""

    def check(self) -> Availability:
        """Whether it can run here; never raises, imports nothing that can crash this process."""

    def open(self, model: bytes, *, threads: int = 1) -> Session:
        """Load a model from its bytes, after the structural walk, in a child process.

        Raises:
            ArtifactError: the bytes are not a well-formed flatbuffer.
            TargetError: the target is unavailable, refuses the model, or dies on it.
        """


@dataclass(frozen=True)
class Compilation:
    """What a compiler made of a model: the file for the device, and what it says of a run, if anything; nothing ran.

    `compiler`: with its version. `options`: what it was given beside the model.
    """

    file: bytes
    compiler: str
    options: dict[str, Any]
    operators: Operators
    memory: Memory | None = None
    estimate: CompilerEstimate | None = None


@runtime_checkable
class Compiler(Target, Protocol):
    """A target for which a model is compiled to a file, ahead of any run."""

    @property
    def here(self) -> bool:
        """Whether the file runs here; else the target says what a run would take, and opening it is an error."""

    def compile(self, model: bytes) -> Compilation:
        """Compile a model from its bytes, after the structural walk, in a child process.

        Raises:
            ArtifactError: the bytes are not a well-formed flatbuffer.
            TargetError: the target is unavailable, takes no operator of the model, or its compiler dies on it.
        """


@dataclass(frozen=True)
class Fault:
    """What a target computes wrong in a model, for a reason that is known: a sentence, and how to avoid it."""

    text: str
    fix: str


@runtime_checkable
class Faulty(Target, Protocol):
    """A target that is known to compute something wrong: it tells what."""

    def faults(self, model: bytes) -> tuple[Fault, ...]:
        """The known faults that a model meets, as far as there are any.

        Raises:
            EdgeresError: see `Target.open`.
        """


@runtime_checkable
class Accelerator(Target, Protocol):
    """A target that runs on another device than it seems to: it tells which."""

    def runs_on(self) -> str:
        """What really runs a model here, as its runtime names it.

        Raises:
            TargetError: it cannot run here.
        """


@runtime_checkable
class Family(Protocol):
    """Targets that differ by what follows a colon: `ethosu:u55-256`, `external:PATH`."""

    @property
    def usage(self) -> str:
        """As its members are asked for: `ethosu:CONFIG`."""

    @property
    def kind(self) -> str:
        """See `Target.kind`."""

    def check(self) -> Availability:
        """Whether its members can run here, as far as that does not depend on what follows the colon."""

    def member(self, argument: str) -> Target:
        """The target that what follows the colon stands for.

        Raises:
            TargetError: there is none of that name; says which there are.
        """


def parse_options(text: str, *, usage: str) -> tuple[tuple[str, str], ...]:
    """What follows `?` in a target's name, `key=value&key=value`, in its order.

    Raises:
        TargetError: an option that is no `key=value`.
    """
    options = []
    for option in filter(None, text.split("&")):
        key, sign, value = option.partition("=")
        if not key or not sign:
            raise TargetError(f"expected an option key=value, found '{option}'", fix=f"--target {usage}")
        options.append((key, value))
    return tuple(options)


def require_available(target: Target) -> None:
    """Refuse a target that cannot run here.

    Raises:
        TargetError: says why, and what to do.
    """
    found = target.check()
    if not found.available:
        place = "there" if target.kind == "device" else "here"
        raise TargetError(f"the target '{target.name}' cannot run {place}: {found.why}", fix=found.fix)
