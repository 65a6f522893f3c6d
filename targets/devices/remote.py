"""A target on a device where a runner serves; see `runner.py`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from edgeres.errors import TargetError
from edgeres.registry import lookup
from targets import TARGETS
from targets.devices.remote_sandbox import RemoteSandbox, Served
from targets.runtimes.cpu import CpuTarget
from targets.runtimes.external import ExternalFamily, ExternalTarget
from targets.runtimes.session import EngineSession
from targets.sandbox import Limits
from targets.target import Availability, Tolerance

USUAL = "cpu"
"""The target on a device that is named alone."""

_REFERENCE = Tolerance(steps=1, share=1e-4)
"""Another processor than this one: also the reference kernels there are held against those here."""


@dataclass(frozen=True)
class RemoteTarget:
    """A target on a device: `inner` is the one that it is there. See `targets.devices.device.DeviceTarget`."""

    name: str
    device: Served
    inner: CpuTarget | ExternalTarget
    tolerance: Tolerance | None
    kind: str = "device"
    timed: bool = True

    @property
    def multiple(self) -> int:
        """See `targets.target.Target`."""
        return self.inner.multiple

    def check(self) -> Availability:
        """Connect, and look for a runtime there."""
        return self.device.available(self.inner.path if isinstance(self.inner, ExternalTarget) else "")

    def open(self, model: bytes, *, threads: int = 1, limits: Limits | None = None) -> EngineSession:
        """Load a model from its bytes in a sandbox on the device.

        Raises:
            ArtifactError: the bytes are not a well-formed flatbuffer.
            ModelError: it does not map one image to one row of scores.
            TargetError: the device cannot be reached, refuses the model, or dies on it.
        """
        limits = limits or Limits(seconds=self.device.call_seconds)
        return self.inner.open(model, threads=threads, limits=limits, launch=partial(RemoteSandbox, self.device))


def remote_target(device: Served, name: str) -> RemoteTarget:
    """The target of that name on a device; `cpu` where it is empty.

    Raises:
        TargetError: there is none of that name, or none that runs on a device.
    """
    head, colon, argument = (name or USUAL).partition(":")
    found = lookup(TARGETS, head, noun="target", error=TargetError)
    if isinstance(found, ExternalFamily):
        found = found.member(argument)
    elif colon or not isinstance(found, CpuTarget):
        fix = f"{device.name}/cpu, /reference, /builtin, or /external:PATH"
        raise TargetError(f"'{name}' does not run on a device", fix=fix)
    tolerance = found.tolerance or _REFERENCE
    return RemoteTarget(f"{device.name}/{found.name}", device, found, tolerance)
