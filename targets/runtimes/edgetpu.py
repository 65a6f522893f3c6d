"""Coral's Edge TPU (`edgetpu`, `edgetpu:usb`, `edgetpu:pci:0`) through its delegate, libedgetpu.

It runs what Coral's compiler made of a model, which is a program for Linux on x86-64 that is not part of any package
here. What can be said of a model without it is in `targets/forecast/edgetpu.py`.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from edgeres.errors import TargetError
from targets.forecast.edgetpu import is_compiled, on_edgetpu
from targets.forecast.outlook import Model
from targets.forecast.view import nodes
from targets.runtimes.cpu import BUILTIN
from targets.runtimes.external import ExternalSession, ExternalTarget
from targets.runtimes.session import classifier_graph
from targets.sandbox import Limits
from targets.target import Availability, Tolerance, require_available

_DEVICE = re.compile(r"(usb|pci)?(:\d+)?")
_LIBRARY = "libedgetpu.so.1"
_FOLDERS = ("/usr/local/lib", "/usr/lib", "/lib")
_INSTALL = "install Coral's runtime (the Debian package libedgetpu1-std, coral.ai/software)"
_COMPILE = "run Coral's edgetpu_compiler on it, and measure the FILE_edgetpu.tflite that it writes"


@dataclass(frozen=True)
class EdgeTpuTarget:
    """`device`: as libedgetpu names one, `usb`, `pci`, `usb:0`, `:1`; empty for the first that it finds."""

    device: str = ""
    kind: str = "npu"
    multiple: int = 4
    timed: bool = True

    @property
    def name(self) -> str:
        """As it is asked for: `edgetpu:usb`."""
        return f"edgetpu:{self.device}" if self.device else "edgetpu"

    @property
    def tolerance(self) -> Tolerance | None:
        """That of any delegate."""
        return self._delegate().tolerance

    def check(self) -> Availability:
        """Whether the library is there, and a runtime that can load it."""
        return EDGETPU.check()

    def open(self, model: bytes, *, threads: int = 1, limits: Limits | None = None) -> ExternalSession:
        """Load the delegate and a compiled model in a child process.

        Raises:
            ArtifactError: the bytes are not a well-formed flatbuffer.
            ModelError: it does not map one image to one row of scores.
            TargetError: no library or device, or a model that is not compiled: says whether it could be.
        """
        graph = classifier_graph(model)
        seen = Model(graph, nodes(graph))
        if not is_compiled(seen):
            raise self._not_compiled(seen)
        require_available(self)
        return self._delegate().open(model, threads=threads, limits=limits)

    def _delegate(self) -> ExternalTarget:
        options = (("device", self.device),) if self.device else ()
        return ExternalTarget(self.name, library() or "", options, kind=self.kind)

    def _not_compiled(self, seen: Model) -> TargetError:
        found = on_edgetpu(seen, self.name)
        details = [f"layer '{each.layer}': {each.reason}" for each in found.blocked[:1]]
        if found.verdict == "refused":
            return TargetError("the Edge TPU runs nothing of this model", details=details, fix=found.blocked[0].fix)
        share = f"{found.taken} of its {found.operators} operators pass the checks that can be made without it"
        return TargetError(f"the model is not compiled for the Edge TPU; {share}", details=details, fix=_COMPILE)


@dataclass(frozen=True)
class EdgeTpuFamily:
    """All devices."""

    usage: str = "edgetpu[:DEVICE]"
    kind: str = "npu"

    def check(self) -> Availability:
        """Whether the library is there, and a runtime that can load it; nothing native is loaded."""
        if library() is None:
            return Availability(available=False, why=f"{_LIBRARY} is not installed", fix=_INSTALL)
        return BUILTIN.check()

    def member(self, argument: str) -> EdgeTpuTarget:
        """The device of that name, or the first one.

        Raises:
            TargetError: no name of a device.
        """
        if not _DEVICE.fullmatch(argument):
            raise TargetError(f"'{argument}' names no Edge TPU", fix="--target edgetpu, edgetpu:usb, edgetpu:pci:0")
        return EdgeTpuTarget(argument)


def library() -> str | None:
    """The path of libedgetpu where the system's loader would look for it; None where it is not installed."""
    named = [Path(folder) for folder in os.environ.get("LD_LIBRARY_PATH", "").split(":") if folder]
    usual = [folder for root in _FOLDERS for folder in (Path(root), *sorted(Path(root).glob("*-linux-gnu*")))]
    found = (folder / _LIBRARY for folder in (*named, *usual))
    return next((str(path) for path in found if path.is_file()), None)


EDGETPU = EdgeTpuFamily()
