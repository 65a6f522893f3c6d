"""The lock that keeps two latency measurements of edgeres on one machine apart, whoever makes them."""

from __future__ import annotations

import fcntl
import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOCK = "edgeres-latency.lock"

_log = logging.getLogger(__name__)


@contextmanager
def machine_lock(folder: Path | None = None) -> Iterator[None]:
    """Hold the lock, which ends with the process, however that ends; waits for it.

    Where the file cannot be opened, goes on without it and says so.
    """
    path = Path(LOCK)
    try:
        path = (folder or Path(tempfile.gettempdir())) / LOCK
        handle = open_lock(path)
    except OSError as problem:
        _log.warning("measuring without the lock %s: %s", path, problem.strerror)
        yield
        return
    try:
        if not take(handle):
            _log.warning("another latency measurement is running on this machine; waiting for it to end")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def take(handle: int) -> bool:
    """Take the lock, where nobody holds it."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def open_lock(path: Path) -> int:
    """Open the lock file for reading, which suffices to lock it and works on a file of another user.

    Raises:
        OSError: it cannot be opened.
    """
    try:
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return os.open(path, os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW, 0o644)
