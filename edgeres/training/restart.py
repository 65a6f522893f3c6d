"""A worker whose peers are gone starts itself again: TensorFlow cannot leave a broken cluster within a process."""

from __future__ import annotations

import logging
import os
import sys

from edgeres.training.cluster import PeerLostError

_LOG = logging.getLogger(__name__)

_COUNT = "EDGERES_RESTARTS"
"""Where a process leaves to its successor how often it began again without a new epoch: "times after-epoch"."""

MOST = 5
"""Restarts without an epoch between them, before the failure is told."""


def restart(problem: PeerLostError) -> None:
    """Replace this process by the same command with `--resume`; return where that was done too often in vain.

    The restarted worker waits for the others as at the first start.
    """
    times, _, after = os.environ.get(_COUNT, "0 0").partition(" ")
    count = int(times) + 1 if int(after) == problem.done else 1
    if count > MOST:
        return
    _LOG.warning("%s; starting again after epoch %d", problem.message, problem.done)
    sys.stdout.flush()
    sys.stderr.flush()
    command = [sys.executable, *sys.orig_argv[1:]]
    if "--resume" not in command:
        command.append("--resume")
    os.execve(sys.executable, command, {**os.environ, _COUNT: f"{count} {problem.done}"})  # noqa: S606 - the very command # nosec B606
