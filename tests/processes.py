"""Commands that are ended from outside while they run, and what they leave behind."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

CLI = Path(__file__).parents[1] / "cli.py"
GIVEN_UP_SECONDS = 600.0
GRACE_S = 2.0
"""The kernel takes a moment to end what was tied to a killed process."""

_PR_SET_CHILD_SUBREAPER = 36
_PF_EXITING = 0x4


@dataclass(frozen=True)
class Ended:
    """How a command ended: `code` as Python gives it (negative: the signal); `in_time`: before anything was sent.

    `seconds` from the signal (or the start, where none was sent) to its end; `left`: processes that outlived it.
    """

    code: int
    in_time: bool
    seconds: float
    said: str
    left: int


def adopt_orphans() -> None:
    """Have the kernel give this process whatever its descendants leave running, so that it can be counted.

    A shell starts what it puts into the background with Ctrl-C ignored, which every child would inherit.
    """
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def leave_orphans() -> None:
    """Have them given to the system again: one that nobody waits for stays as a zombie."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 0)


def run(
    arguments: list[str], *, environment: dict[str, str], after: float | None = None, number: int = signal.SIGKILL
) -> Ended:
    """Run a command line; `after` so many seconds send it a signal: SIGKILL to it alone, any other as a terminal."""
    others = set(children(os.getpid()))
    process = subprocess.Popen(
        [sys.executable, str(CLI), *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, **environment},
        start_new_session=True,
    )
    began, in_time = time.monotonic(), True
    try:
        process.wait(GIVEN_UP_SECONDS if after is None else after)
    except subprocess.TimeoutExpired:
        in_time, began = _exiting(process.pid), time.monotonic()
        if number == signal.SIGKILL:
            process.kill()
        else:
            os.killpg(process.pid, number)
    _, said = process.communicate(timeout=GIVEN_UP_SECONDS)
    seconds = time.monotonic() - began
    return Ended(
        process.returncode, in_time, seconds, said.decode(errors="replace"), len(left_running({*others, process.pid}))
    )


def _exiting(pid: int) -> bool:
    """Whether a process has left already: the kernel takes its memory apart, for which it needs a moment."""
    with suppress(OSError):
        flags = int(_stat(pid)[6])
        return bool(flags & _PF_EXITING)
    return True


def left_running(known: set[int]) -> list[int]:
    """Children of this process other than those, after `GRACE_S`."""
    return _after_grace(lambda: set(children(os.getpid())) - known)


def outliving(pids: Collection[int]) -> list[int]:
    """Those of processes that were to end which run after `GRACE_S`."""
    return _after_grace(lambda: set(pids))


def _after_grace(pids: Callable[[], set[int]]) -> list[int]:
    deadline = time.monotonic() + GRACE_S
    while (left := alive(pids())) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


def children(pid: int) -> list[int]:
    """The direct children of a process."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            found += map(int, task.read_text().split())
    return found


def alive(pids: set[int]) -> list[int]:
    """Those that are no zombies; zombies that are ours are reaped."""
    found = []
    for pid in pids:
        with suppress(OSError):
            if _stat(pid)[0] != "Z":
                found.append(pid)
            else:
                os.waitpid(pid, os.WNOHANG)
    return found


def _stat(pid: int) -> list[str]:
    """What the kernel says of a process, from its state on (proc(5))."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
