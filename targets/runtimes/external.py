"""An accelerator through its delegate (`external:PATH?key=value`): a shared object with TFLite's plug-in interface.

The interface is `tflite_plugin_create_delegate` and `tflite_plugin_destroy_delegate`, as vendors ship it. Operators
that the delegate leaves run on the built-in kernels, without XNNPACK: every delegated node is the delegate's.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgeres.errors import TargetError
from targets.runtimes.cpu import BUILTIN
from targets.runtimes.session import EngineSession, Launch, classifier_graph
from targets.sandbox import Limits
from targets.target import Availability, Tolerance, parse_options, require_available

_ENGINE = "targets.runtimes.interpreter:Engine"
_USAGE = "external:PATH?key=value&key=value"

_TOLERANCE = Tolerance(steps=8, share=2e-2)
"""Accelerators compute floats in float16 or bfloat16."""


@dataclass(frozen=True)
class ExternalTarget:
    """`path`: of the shared object; `options`: what it is created with, in their order."""

    name: str
    path: str
    options: tuple[tuple[str, str], ...] = ()
    kind: str = "delegate"
    multiple: int = 1
    timed: bool = True
    tolerance: Tolerance | None = _TOLERANCE

    def check(self) -> Availability:
        """Whether there is a file and a runtime; the delegate is loaded in a child process only."""
        if not Path(self.path).is_file():
            why = f"there is no file {self.path}"
            return Availability(available=False, why=why, fix="give the path of the delegate's shared object")
        return BUILTIN.check()

    def open(
        self, model: bytes, *, threads: int = 1, limits: Limits | None = None, launch: Launch | None = None
    ) -> ExternalSession:
        """Load the delegate and a model in a child process; `launch` one elsewhere, where the target is available.

        Raises:
            ArtifactError: the bytes are not a well-formed flatbuffer.
            ModelError: it does not map one image to one row of scores.
            TargetError: the delegate is absent, refuses an option, takes no operator of the model, or dies on it.
        """
        graph = classifier_graph(model)
        if launch is None:
            require_available(self)
        arguments = {
            "resolver": BUILTIN.resolver,
            "threads": threads,
            "delegate": self.path if launch else str(Path(self.path).resolve()),
            "options": dict(self.options),
        }
        session = ExternalSession(_ENGINE, model, graph, arguments=arguments, limits=limits, launch=launch)
        try:
            session.require_delegated(self.path)
        except BaseException:
            session.close()
            raise
        return session


class ExternalSession(EngineSession):
    """A model of which a delegate runs at least a part; see `targets.target.Session`."""

    delegate = "the external delegate"

    def require_delegated(self, path: str) -> None:
        """Refuse to go on where the delegate does nothing: what is measured would be this machine's processor.

        Raises:
            TargetError: no node of the plan is the delegate's.
        """
        found = self.operators()
        if not found.delegated:
            raise TargetError(
                f"the delegate {path} takes none of the model's {found.nodes} operators: all would run on the CPU",
                fix="convert the model to the types and operators that the delegate supports, or use --target builtin",
            )


@dataclass(frozen=True)
class ExternalFamily:
    """All delegates."""

    usage: str = "external:PATH"
    kind: str = "delegate"

    def check(self) -> Availability:
        """Whether there is a runtime that can load one."""
        return BUILTIN.check()

    def member(self, argument: str) -> ExternalTarget:
        """The delegate of a path and options.

        Raises:
            TargetError: no path, or an option that is no `key=value`.
        """
        path, _, text = argument.partition("?")
        if not path:
            raise TargetError("'external' needs the path of a delegate", fix=f"--target {_USAGE}")
        return ExternalTarget(f"external:{argument}", path, parse_options(text, usage=_USAGE))


EXTERNAL = ExternalFamily()
