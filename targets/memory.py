"""Memory: what loading and running a model adds to the resident memory of the process that does nothing else.

Read in the child, from Linux's `/proc`. Counts the model's bytes themselves, which a device may map from a file.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgeres.results import Memory

_PROCESSES = Path("/proc")
_RESET_PEAK = "5"


@dataclass(frozen=True)
class Resident:
    """Resident bytes of this process: now, and at most since it began or since `reset_peak`."""

    now_bytes: int
    peak_bytes: int


def resident(process: int | None = None) -> Resident:
    """What a process holds, this one unless told otherwise; zeros where `/proc` cannot be read."""
    try:
        lines = _file(process, "status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return Resident(0, 0)
    fields = {name: value.split() for name, _, value in (line.partition(":") for line in lines)}
    now, peak = (int(fields.get(name, ["0"])[0]) * 1024 for name in ("VmRSS", "VmHWM"))
    return Resident(now, max(now, peak))


def reset_peak(process: int | None = None) -> None:
    """Let the peak of a process begin anew, this one's unless told otherwise.

    Where the kernel refuses, it stays that since the process began.
    """
    with suppress(OSError):
        _file(process, "clear_refs").write_text(_RESET_PEAK, encoding="ascii")


def _file(process: int | None, name: str) -> Path:
    return _PROCESSES / ("self" if process is None else str(process)) / name


@dataclass(frozen=True)
class Growth:
    """Resident bytes of a process before a model was loaded, once it was, and at most until it had run."""

    before: int
    loaded: int
    peak: int

    def record(self, *, arena_bytes: int) -> Memory:
        """What the model added; `arena_bytes` is that of the structural walk."""
        from edgeres.results import Memory  # only here: every process that runs a model would wait for it

        load = max(0, self.loaded - self.before)
        return Memory(load_bytes=load, peak_bytes=max(load, self.peak - self.before), arena_bytes=arena_bytes)
