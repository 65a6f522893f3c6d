"""A crew: the sessions of one artifact, side by side; a batch is run by whichever is free."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from functools import partial
from itertools import chain
from queue import SimpleQueue

import numpy as np
from numpy.typing import NDArray

from edgeres.errors import EdgeresError
from targets.artifact import Artifact
from targets.catalogue import open_session
from targets.devices.remote import RemoteTarget
from targets.environment import physical_memory, usable_cores
from targets.target import Session, Target

_ON_THESE_CORES = ("cpu", "microcontroller")
"""Kinds of target whose sessions are processes that compute on this machine's cores, and know nothing of each other."""

_LEAST_IMAGES = 16
"""A further session takes longer to start than so few images take it."""

PROCESSES = 3
"""Two processes of one model differ for as long as they live, at times by several percent: of three, one may."""

_MEMORY_SHARE, _MODEL_COPIES = 4, 4
"""All sessions together may take a quarter of the memory; one is taken to need four times its model."""


def sessions_each(target: Target, artifacts: Sequence[Artifact], *, images: int) -> int:
    """How many sessions of each artifact keep the machine of a target busy.

    Twice as many in all as there are cores, for the models are not equally slow; no more of one than one for each core
    and one more, which runs while another waits for its next batch, than have images to run, or than a part of memory
    holds. An accelerator runs one; a device with a processor of its own as many as its cores and memory say.
    """
    cores, memory_bytes = _place(target)
    if not cores:
        return 1
    models = len(artifacts)
    memory = sessions_that_fit(sum(len(artifact.model) for artifact in artifacts), memory_bytes)
    return max(1, min(cores + 1, -(-2 * cores // models), images // _LEAST_IMAGES, memory))


def processes_each(target: Target, artifacts: Sequence[Artifact]) -> int:
    """How many processes of each artifact take turns when it is timed, see `targets.latency.measure`.

    A device and an accelerator have one; on this machine it is as many as a part of memory holds, `PROCESSES` at most.
    """
    if target.kind not in _ON_THESE_CORES or not target.timed:
        return 1
    return min(PROCESSES, sessions_that_fit(sum(len(artifact.model) for artifact in artifacts), physical_memory()))


def open_in_turns(
    artifacts: Sequence[Artifact], target: Target, stack: ExitStack, *, threads: int = 1
) -> list[tuple[Session, ...]]:
    """Sets of sessions, one of each artifact, that take turns; `stack` closes them.

    Raises:
        EdgeresError: see `open_sessions`.
    """
    each = open_sessions(artifacts, target, processes_each(target, artifacts), stack, threads=threads)
    return list(zip(*each, strict=True))


def open_sessions(
    artifacts: Sequence[Artifact], target: Target, count: int, stack: ExitStack, *, threads: int = 1
) -> list[list[Session]]:
    """`count` sessions of each artifact, which `stack` closes. On this machine's cores some start at a time.

    Raises:
        EdgeresError: see `targets.catalogue.open_session`; of the first artifact that cannot be opened.
    """
    if target.kind not in _ON_THESE_CORES:
        return [
            [stack.enter_context(open_session(each, target, threads=threads)) for _ in range(count)]
            for each in artifacts
        ]
    # The kernel ties a sandbox to the thread that opened it: the threads end after the sessions.
    pool = ThreadPoolExecutor(usable_cores() + 1, thread_name_prefix="open")
    stack.push(lambda kind, *_: pool.shutdown(wait=not _interrupted(kind)))
    start = partial(open_session, target=target, threads=threads)
    opening = [[pool.submit(start, artifact) for _ in range(count)] for artifact in artifacts]
    for each in chain.from_iterable(opening):
        stack.push(partial(_close, each))
    return [[each.result() for each in sessions] for sessions in opening]


def _close(opening: Future[Session], kind: type[BaseException] | None, *_: object) -> None:
    """Close a session once it is open, also where another could not be; none is opened any more for that.

    An interruption does not wait for one that is being opened: the process ends, and the kernel ends its children.
    """
    if opening.cancel() or (_interrupted(kind) and not opening.done()):
        return
    with suppress(EdgeresError):
        opening.result().close()


def _interrupted(kind: type[BaseException] | None) -> bool:
    return kind is not None and not issubclass(kind, Exception)


def sessions_that_fit(model_bytes: int, memory_bytes: int) -> int:
    """How many sessions of models that have so many bytes together a part of memory holds; one in any case."""
    return max(1, memory_bytes // _MEMORY_SHARE // max(1, _MODEL_COPIES * model_bytes))  # a file may be empty


def _place(target: Target) -> tuple[int, int]:
    """The cores on which sessions of a target run side by side, and the bytes of memory; no cores where they do not."""
    if target.kind in _ON_THESE_CORES:
        return usable_cores(), physical_memory()
    if isinstance(target, RemoteTarget):
        found = target.device.machine.describe()
        return int(found.get("cores", 1)), int(found.get("memory_bytes", 0))
    return 0, 0


class Crew:
    """Runs batches on sessions of the same model, one batch a session at a time. The caller closes the sessions."""

    def __init__(self, sessions: Sequence[Session]) -> None:
        self._free: SimpleQueue[Session] = SimpleQueue()
        for session in sessions:
            self._free.put(session)
        self._threads = ThreadPoolExecutor(len(sessions), thread_name_prefix="infer")

    def infer(self, inputs: NDArray[np.float32]) -> Future[NDArray[np.float32]]:
        """What `Session.infer` will have said of a batch."""
        return self._threads.submit(self._infer, inputs)

    def _infer(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        session = self._free.get()
        try:
            return session.infer(inputs)
        finally:
            self._free.put(session)

    def stop(self) -> None:
        """Begin no other batch.

        Does not wait: after an interruption a thread may sit in a slow session until its caller closes it.
        """
        self._threads.shutdown(wait=False, cancel_futures=True)
