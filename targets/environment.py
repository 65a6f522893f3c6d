"""What a measurement depends on besides the model: processor, clocks, load, system and versions.

Holds no host name, no user name and no path, so that a result can be published.
"""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

from edgeres import __version__

_CPUINFO = Path("/proc/cpuinfo")
_GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
_BOARD = Path("/proc/device-tree/model")
_RELEASES = (Path("/etc/os-release"), Path("/usr/lib/os-release"))  # platform reads them from Python 3.10 on

INSTRUCTIONS = (
    "sse4_1 avx avx2 fma f16c avx512f avx512bw avx512vl avx512_vnni avx512_bf16 avx_vnni amx_int8 amx_bf16 "
    "neon asimd asimdhp asimddp fphp i8mm bf16 sve sve2 sme"
)
"""Instruction sets that kernels choose by, as Linux names them."""

PACKAGES = (
    "ai-edge-litert",
    "tflite-runtime",
    "tflite-micro",
    "ethos-u-vela",
    "ai-edge-litert-sdk-intel",
    "openvino",
    "numpy",
    "pillow",
    "tensorflow",
    "tf-keras",
    "keras",
    "litert-quantizer",
)
"""Packages whose version changes what is measured, where they are installed."""


def describe() -> dict[str, Any]:
    """The machine and the software, as JSON values; what cannot be found is left out.

    `load` is the system's load average of the last minute, `cores` those that this process may use.
    """
    cpu = _cpuinfo(_read(_CPUINFO))
    found = {
        "cpu": cpu["model"] or _read(_BOARD).strip("\0 \n") or platform.machine(),
        "machine": platform.machine(),
        "cores": usable_cores(),
        "instructions": cpu["instructions"],
        "governor": _read(_GOVERNOR).strip(),
        "load": _load(),
        "memory_bytes": physical_memory(),
        "os": _system(),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "versions": {"edgeres": __version__, **_versions()},
    }
    return {name: value for name, value in found.items() if value not in (None, "", [])}


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _cpuinfo(text: str) -> dict[str, Any]:
    """The processor's name and its instruction sets, from the first of each that `/proc/cpuinfo` has."""
    fields: dict[str, str] = {}
    for line in text.splitlines():
        name, _, value = line.partition(":")
        fields.setdefault(name.strip().lower(), value.strip())
    flags = set((fields.get("flags") or fields.get("features") or "").split())
    model = fields.get("model name") or fields.get("model") or fields.get("hardware") or ""
    return {"model": model, "instructions": [name for name in INSTRUCTIONS.split() if name in flags]}


def physical_memory() -> int:
    """The bytes of memory that this machine has."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def usable_cores() -> int:
    """How many cores this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


def _load() -> float | None:
    with suppress(OSError):
        return round(os.getloadavg()[0], 2)
    return None


def _system() -> str:
    """The distribution's name with its version, from the first release file that there is; else the kernel's."""
    for path in _RELEASES:
        names = [line.partition("=")[2] for line in _read(path).splitlines() if line.startswith("PRETTY_NAME=")]
        if names:
            return names[-1].strip().strip("\"'")
    return platform.system()


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found
