"""The targets by name: which there are, which of them can run here, and a session of an artifact on one of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeres.errors import EdgeresError, TargetError
from edgeres.registry import lookup, resolve
from edgeres.results import Memory, Operators, Start
from targets import TARGETS
from targets.artifact import Artifact
from targets.devices import DEVICES
from targets.devices.device import Scheme
from targets.devices.opened import device_named
from targets.target import Availability, Family, Session, Target, require_available
from targets.uncompiled import reference_model


def find_target(name: str) -> Target:
    """The target of that name; of a family, what follows the colon says which: `ethosu:u55-256`.

    On a device: `DEVICE/TARGET` with a name of the inventory, or `ssh://USER@HOST/TARGET`.

    Raises:
        TargetError: unknown name, with the nearest match.
        ConfigError: a device that the inventory does not have, or whose URL or options do not fit.
    """
    if (placed := split_device(name)) is not None:
        return device_named(placed[0]).target(placed[1])
    head, colon, argument = name.partition(":")
    found: Target | Family = lookup(TARGETS, head, noun="target", error=TargetError)
    if isinstance(found, Family):
        return found.member(argument)
    if colon:
        raise TargetError(f"the target '{head}' takes nothing behind a colon, found '{name}'", fix=f"--target {head}")
    return found


def split_device(name: str) -> tuple[str, str] | None:
    """The device and the target on it that a target's name stands for; None where it has no device."""
    scheme, mark, rest = name.partition("://")
    if mark and scheme.isalpha():
        address, _, target = rest.partition("/")
        return f"{scheme}://{address}", target
    if "/" in name.partition(":")[0]:
        device, _, target = name.partition("/")
        return device, target
    return None


def available_target(name: str) -> Target:
    """The target of that name, where it can run here.

    Raises:
        TargetError: unknown, or unavailable: says why, and what to do.
    """
    target = find_target(name)
    require_available(target)
    return target


def describe_targets() -> list[dict[str, Any]]:
    """Every target, family and kind of device: name, kind, available, why, fix, version; None for nothing to say."""
    rows = []
    for name, reference in TARGETS.items():
        target: Target | Family = resolve(reference)
        rows.append(_row(target.usage if isinstance(target, Family) else name, target.kind, target.check()))
    for reference in DEVICES.values():
        scheme: Scheme = resolve(reference)
        rows.append(_row(scheme.usage, "device", scheme.check()))
    return rows


def _row(name: str, kind: str, found: Availability) -> dict[str, Any]:
    return {
        "name": name,
        "kind": kind,
        "available": found.available,
        "why": found.why,
        "fix": found.fix,
        "version": found.version,
    }


class ArtifactSession:
    """A session whose errors say which artifact they are about; see `targets.target.Session`."""

    def __init__(self, session: Session, path: str) -> None:
        self.signature = session.signature
        self._session, self._path = session, path

    @property
    def process_id(self) -> int | None:
        """Of the process on this machine that runs the model; None where there is none."""
        return self._session.process_id

    def infer(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run a batch: float32 (n, height, width, channels) to float32 (n, classes)."""
        with about(self._path):
            return self._session.infer(inputs)

    def time(self, *, runs: int, seconds: float) -> list[float]:
        """Invoke at least `runs` times and for at least `seconds`; the milliseconds of each invocation."""
        with about(self._path):
            return self._session.time(runs=runs, seconds=seconds)

    def start(self) -> Start:
        """What it took to load the model, and its first run, which this is."""
        with about(self._path):
            return self._session.start()

    def operators(self) -> Operators:
        """What ran where."""
        with about(self._path):
            return self._session.operators()

    def memory(self) -> Memory:
        """Resident memory since before the model was loaded."""
        with about(self._path):
            return self._session.memory()

    def close(self) -> None:
        """End the process."""
        self._session.close()

    def __enter__(self) -> ArtifactSession:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


@contextmanager
def about(path: str) -> Iterator[None]:
    """Put the artifact's path before the message of an error raised inside."""
    try:
        yield
    except EdgeresError as error:
        raise type(error)(f"{path}: {error.message}", details=error.details, fix=error.fix) from error


def open_session(artifact: Artifact, target: Target, *, threads: int = 1) -> Session:
    """Load an artifact on a target; every error names the artifact.

    Raises:
        ArtifactError: the bytes are not a well-formed flatbuffer.
        ModelError: the model is no image classifier.
        TargetError: the target refuses the model, or dies on it.
    """
    with about(artifact.path):
        session = ArtifactSession(target.open(artifact.model, threads=threads), artifact.path)
        try:
            if target.tolerance is not None:
                reference_model(artifact)  # or its proof would fail, after minutes
        except BaseException:
            session.close()
            raise
        return session
