"""What is on an Android device besides the model: a private folder that goes by itself, and the state of the device."""

from __future__ import annotations

import re
import secrets
import select
import subprocess
from contextlib import suppress
from typing import Any

from edgeres.errors import EdgeresError, TargetError
from targets.devices.adb import Adb, TimedOut
from targets.devices.deadline import Deadline
from targets.devices.inventory import shown

ROOT = "/data/local/tmp"
_FOLDER = re.compile(r"/data/local/tmp/edgeres\.[A-Za-z0-9]{6}")
_TIDY_SECONDS = 2.0
_END_SECONDS = 2.5
"""Tidying up, and all of the end: an error is told within its time limit and five seconds."""

_GUARD = f"""umask 077
d=$(mktemp -d {ROOT}/edgeres.XXXXXX) || {{ echo "%s failed"; exit 1; }}
gone() {{
  trap '' 0 1 2 13 15
  kill -9 $(cat "$d"/*.pid 2>/dev/null) 2>/dev/null
  [ -e "$d/fixed" ] && cmd power set-fixed-performance-mode-enabled false
  rm -rf "$d"
}}
trap gone 0
trap 'exit 1' 1 2 13 15
echo "%s $d"
cat >/dev/null
"""
"""Lives as long as its input is open: when this program ends, or the cable is pulled, the device cleans up itself."""

_PROPERTIES = {
    "ro.soc.manufacturer": "soc_manufacturer",
    "ro.soc.model": "soc_model",
    "ro.board.platform": "platform",
    "ro.product.manufacturer": "manufacturer",
    "ro.product.model": "model",
    "ro.build.version.release": "release",
    "ro.build.version.sdk": "api",
    "ro.product.cpu.abi": "abi",
}

_WHOLE = r"([0-9]{1,19})"
"""A number in a device's text, of 64 bits at most: Python refuses to read thousands of digits."""

_THERMAL = ("none", "light", "moderate", "severe", "critical", "emergency", "shutdown")
"""Android's names of its thermal states, by number."""

_PARTS = {
    "kernel": "uname -r",
    "cores": "nproc",
    "memory": "cat /proc/meminfo",
    "governor": "cat /sys/devices/system/cpu/cpu0/cpufreq/scaling_governor",
    "load": "cat /proc/loadavg",
    "free": f"df -k {ROOT}",
    "thermal": "dumpsys thermalservice",
    "battery": "dumpsys battery",
    "power": "dumpsys power",
}


class Workspace:
    """A private folder on the device. Whatever ends first, this program, the connection or a `with`: it is removed."""

    def __init__(self, adb: Adb, *, name: str, deadline: Deadline) -> None:
        """Make it.

        Raises:
            TargetError: it cannot be made, or not in time.
        """
        self._adb, word = adb, secrets.token_hex(8)
        self._closed = False
        self._guard = adb.open(_GUARD.replace("%s", word))
        line = self._line(word, deadline)
        self.folder = line.partition(" ")[2]
        if not _FOLDER.fullmatch(self.folder):
            self._end(_END_SECONDS)
            if not deadline.left:
                text = f"{name}: the device's shell has not answered within {deadline.seconds:g} s"
                raise TimedOut(text, fix="see whether the device hangs; plug it in again")
            problem = f"{name}: no private folder can be made in {ROOT} on the device"
            raise TargetError(problem, fix=f"free some storage there; see: adb -s {adb.serial} shell df {ROOT}")

    def _line(self, word: str, deadline: Deadline) -> str:
        """The line with our word, for which it is waited."""
        output, found = self._guard.stdout, b""
        if output is None:
            raise RuntimeError("the guard was started without a pipe")
        waiting = select.poll()  # not `select`, which knows no descriptor above 1,023
        waiting.register(output, select.POLLIN)
        while deadline.left:
            if waiting.poll(100):
                piece = output.buffer.raw.read(4096)  # type: ignore[attr-defined]
                found += piece or b""
                if not piece or (word.encode() in found and found.endswith(b"\n")):
                    break
        lines = found.decode("utf-8", "replace").replace("\r", "").splitlines()
        return next((line for line in lines if line.startswith(word)), "")

    @property
    def alive(self) -> bool:
        """Whether the connection that it lives on still is."""
        return self._guard.poll() is None

    def tidy(self, script: str) -> None:
        """Run a script that tidies up in it, where the device answers; where not, its end does so too."""
        if self.alive and self._adb.answers:
            with suppress(EdgeresError):
                self._adb.script(script, deadline=Deadline(_TIDY_SECONDS))

    def close(self) -> None:
        """Remove it, where the device can be reached."""
        if self._closed:
            return
        self._closed = True
        deadline = Deadline(_END_SECONDS)
        self._end(_END_SECONDS / 2)
        if _FOLDER.fullmatch(self.folder):
            with suppress(EdgeresError):
                self._adb.script(f"rm -rf {self.folder}", deadline=deadline)

    def _end(self, seconds: float) -> None:
        with suppress(OSError):
            if self._guard.stdin is not None:
                self._guard.stdin.close()
        try:
            self._guard.wait(seconds)
        except subprocess.TimeoutExpired:
            self._guard.kill()
            self._guard.wait()
        if self._guard.stdout is not None:
            self._guard.stdout.close()


def read_state(adb: Adb) -> dict[str, str]:
    """The texts of all properties and parts that can be read; empty where one cannot.

    Raises:
        TargetError: the device does not answer.
    """
    word = secrets.token_hex(8)
    commands = {**{name: f"getprop {name}" for name in _PROPERTIES}, **_PARTS}
    script = "\n".join(f"echo '{word} {name}'; {command} 2>/dev/null" for name, command in commands.items())
    pieces = adb.script(script).text.split(f"{word} ")[1:]
    found = {}
    for piece in pieces:
        name, _, text = piece.partition("\n")
        found[_PROPERTIES.get(name.strip(), name.strip())] = text.strip()
    return {name: shown(text) if name in _PROPERTIES.values() else text for name, text in found.items()}


def environment(state: dict[str, str]) -> dict[str, Any]:
    """The device, in the words of `targets.environment.describe`; and what its times depend on besides."""
    soc = " ".join(filter(None, (state.get("soc_manufacturer"), state.get("soc_model"))))
    maker = " ".join(filter(None, (state.get("manufacturer"), state.get("model"))))
    found = {
        "cpu": soc or state.get("platform") or None,
        "model": maker or None,
        "machine": state.get("abi"),
        "cores": _number(state.get("cores")),
        "governor": (state.get("governor") or "").strip(),
        "load": _first_float(state.get("load")),
        "memory_bytes": _memory(state.get("memory", "")),
        "os": f"Android {state.get('release')} (API {state.get('api')})",
        "kernel": f"Linux {state.get('kernel')}" if state.get("kernel") else None,
        **conditions(state),
    }
    return {name: value for name, value in found.items() if value not in (None, "", {})}


def conditions(state: dict[str, str]) -> dict[str, Any]:
    """Heat, battery and screen: what a phone's times depend on, and what changes while it is measured."""
    return {
        "thermal": thermal_name(state.get("thermal", "")),
        "battery": battery(state.get("battery", "")),
        "screen": screen(state.get("power", "")),
    }


def thermal_status(text: str) -> int | None:
    """Android's thermal status, 0 where nothing is throttled; None where it does not say."""
    found = re.search(rf"Thermal Status: {_WHOLE}\b", text)
    return int(found[1]) if found else None


def thermal_name(text: str) -> str | None:
    """The thermal status in Android's word."""
    status = thermal_status(text)
    return None if status is None else _THERMAL[min(status, len(_THERMAL) - 1)]


def battery(text: str) -> dict[str, Any] | None:
    """Level in percent, temperature in degrees Celsius, and whether it is charged."""
    level = re.search(rf"^\s*level: {_WHOLE}\b", text, re.M)
    heat = re.search(rf"^\s*temperature: (-?){_WHOLE}\b", text, re.M)
    if level is None:
        return None
    charged = re.search(r"^\s*(?:AC|USB|Wireless|Dock) powered: true", text, re.M) is not None
    return {"percent": int(level[1]), "celsius": int(heat[1] + heat[2]) / 10 if heat else None, "charging": charged}


def screen(text: str) -> str | None:
    """Whether the screen is on: a phone that sleeps slows its cores down."""
    found = re.search(r"mWakefulness=(\w+)", text)
    return None if found is None else ("on" if found[1] == "Awake" else "off")


def free_bytes(text: str) -> int | None:
    """From `df -k`: what is free of the folder for temporary files."""
    lines = [line.split() for line in text.splitlines()]
    found = _number(lines[-1][3]) if lines and len(lines[-1]) > 3 else None
    return None if found is None else found * 1024


def hold_performance(adb: Adb, workspace: Workspace) -> bool:
    """Hold the clocks at a level that lasts, where the device can; the folder's guard lets go of it at the end."""
    mark = f"{workspace.folder}/fixed"
    done = adb.script(f": >{mark}; cmd power set-fixed-performance-mode-enabled true")
    if done.code or any(word in done.text for word in ("Failed", "Unknown", "No shell command", "Exception")):
        adb.script(f"rm -f {mark}")
        return False
    return True


def release_performance(workspace: Workspace) -> None:
    """Let go of the clocks."""
    workspace.tidy(f"cmd power set-fixed-performance-mode-enabled false; rm -f {workspace.folder}/fixed")


def loop_ms(adb: Adb) -> float:
    """Milliseconds of a loop of fixed length in the device's shell, by the device's clock.

    Raises:
        ConnectionLost, TargetError: the device does not answer, or has no clock of nanoseconds.
    """
    done = adb.script("date +%s%N; i=0; while [ $i -lt 4000 ]; do i=$((i+1)); done; date +%s%N")
    times = [number for line in done.text.split() if (number := _number(line)) is not None]
    if len(times) != 2 or times[1] <= times[0]:
        raise TargetError("the device's clock does not count nanoseconds", details=done.lines)
    return (times[1] - times[0]) / 1e6


def clock_s(text: str) -> float | None:
    """Seconds since the device started, from `/proc/uptime`; None where it cannot be read."""
    return _first_float(text)


def waited_s(text: str) -> float | None:
    """Seconds in which some task waited for a CPU, from `/proc/pressure/cpu`; None where it does not count them."""
    found = re.search(rf"^some .*total={_WHOLE}\b", text, re.M)
    return int(found[1]) / 1e6 if found else None


def _number(text: str | None) -> int | None:
    found = re.fullmatch(rf"\s*{_WHOLE}\s*", text or "")
    return int(found[1]) if found else None


def _first_float(text: str | None) -> float | None:
    found = re.match(r"\s*([0-9]{1,15}(?:\.[0-9]{1,15})?)(?:\s|$)", text or "")
    return float(found[1]) if found else None


def _memory(text: str) -> int | None:
    found = re.search(rf"MemTotal:\s*{_WHOLE} kB", text)
    return int(found[1]) * 1024 if found else None
