"""An Android device (`adb://SERIAL`): LiteRT's own `benchmark_model` runs there, and `adb` takes files to and fro.

Nothing is installed on the device: a private folder is made under /data/local/tmp, and removed whatever happens.
"""

from __future__ import annotations

import atexit
import shutil
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgeres.errors import ConfigError, EdgeresError, TargetError, suggestion
from targets.devices import adb as client
from targets.devices import benchmark_tool, phone
from targets.devices.adb import INSTALL, PROGRAM, Adb, parse_serial
from targets.devices.android_machine import AndroidMachine
from targets.devices.android_target import TOLERANCES, AndroidTarget
from targets.devices.benchmark_tool import Tool
from targets.devices.deadline import Deadline
from targets.devices.device import Device, Entry, Finding
from targets.devices.inventory import shown
from targets.devices.phone import Workspace
from targets.target import Availability

OPTIONS = (
    "benchmark",
    "benchmark_sha256",
    "delegate",
    "delegate_options",
    "delegate_libraries",
    "fixed_performance",
    "connect_s",
    "timeout_s",
)
"""Keys of an entry: the tool's file and its hash; a vendor's delegate for `npu`, its options (`key:value;key:value`)
and further libraries (paths with `:` between them); `fixed_performance = "no"` leaves the clocks alone; seconds until
the device is ready, and for one run of the tool."""

USUAL = "cpu"
_NEEDED_BYTES = 64 << 20
_NNAPI = "NNAPI is deprecated since Android 15, and is not used here"


class AndroidDevice:
    """See `targets.devices.device.Device`."""

    def __init__(self, entry: Entry) -> None:
        """Nothing is connected to.

        Raises:
            ConfigError: a URL or key that does not fit.
        """
        entry.require_options(*OPTIONS)
        self._entry, self.serial = entry, parse_serial(entry.url)
        if entry.options.get("fixed_performance", "yes") not in ("yes", "no"):
            raise ConfigError(f'{entry.name}: expected fixed_performance = "yes" or "no"', fix="correct it")
        usual = client.PATIENCE
        patience = replace(
            usual, connect=entry.seconds("connect_s", usual.connect), run=entry.seconds("timeout_s", usual.run)
        )
        self.adb = Adb(self.serial, name=entry.name, patience=patience)
        self.guard = threading.RLock()
        self._workspace: Workspace | None = None
        self._lost = False
        self.abi, self.tool = "", Tool(b"", "")
        self.reconnects = 0
        self._machine = AndroidMachine(self)

    @property
    def name(self) -> str:
        """See `Device.name`."""
        return self._entry.name

    @property
    def options(self) -> dict[str, str]:
        """The keys of its entry."""
        return dict(self._entry.options)

    @property
    def machine(self) -> AndroidMachine:
        """See `Device.machine`."""
        return self._machine

    def target(self, name: str) -> AndroidTarget:
        """See `Device.target`."""
        kind = name or USUAL
        if kind.startswith("nnapi"):
            raise TargetError(_NNAPI, fix=f"--target {self.name}/npu with the delegate of the chip's vendor")
        if kind not in TOLERANCES:
            known = ", ".join(TOLERANCES)
            raise TargetError(
                f"'{shown(kind)}' does not run on Android; known: {known}", fix=suggestion(kind, TOLERANCES)
            )
        return AndroidTarget(f"{self.name}/{kind}", self, kind)

    def workspace(self) -> Workspace:
        """The private folder on the device, with the tool in it; made where there is none.

        Raises:
            ConfigError: no tool, or one for another processor.
            TargetError: the device is not ready, or there is no room.
        """
        with self.guard:
            if self._workspace is not None and not self._workspace.alive:
                self.lost()
            if self._workspace is None:
                self._workspace = self._prepared()
            return self._workspace

    def _prepared(self) -> Workspace:
        deadline = Deadline(self.adb.patience.connect)
        self.adb.require_ready(deadline)
        self.abi = shown(self.adb.shell("getprop", "ro.product.cpu.abi", deadline=deadline).text.strip())
        self.tool = self._find_tool()
        workspace = Workspace(self.adb, name=self.name, deadline=deadline)
        atexit.register(workspace.close)
        try:
            self.adb.push(self.tool.content, f"{workspace.folder}/benchmark_model", executable=True)
        except BaseException:
            workspace.close()
            raise
        if self._lost:
            self.reconnects, self._lost = self.reconnects + 1, False
        return workspace

    def _find_tool(self) -> Tool:
        options = self._entry.options
        return benchmark_tool.find_tool(options.get("benchmark"), sha256=options.get("benchmark_sha256"), abi=self.abi)

    def delegate(self) -> tuple[bytes, list[tuple[str, bytes]], str | None]:
        """A vendor's delegate for `npu`: its bytes, further libraries by name, its options.

        Raises:
            ConfigError: none is given, or a file cannot be read.
        """
        path = self._entry.options.get("delegate")
        if path is None:
            problem = f"{self.name}: npu needs the delegate of the chip's vendor (as libQnnTFLiteDelegate.so)"
            raise ConfigError(problem, fix='delegate = "/path/to/its.so" in the inventory')
        listed = filter(None, self._entry.options.get("delegate_libraries", "").split(":"))
        libraries = [(f"lib{place}", Path(each)) for place, each in enumerate(listed)]
        try:
            further = [(each.name or name, each.read_bytes()) for name, each in libraries]
            return Path(path).read_bytes(), further, self._entry.options.get("delegate_options")
        except (OSError, ValueError) as problem:
            text = f"{self.name}: the delegate cannot be read: {getattr(problem, 'strerror', problem)}"
            raise ConfigError(text, fix="correct delegate and delegate_libraries in the inventory") from problem

    def lost(self) -> None:
        """Give up the folder, and whatever runs there: the next step begins on a new connection."""
        with self.guard:
            workspace, self._workspace = self._workspace, None
            if workspace is not None:
                self._lost = True
                self._machine.forget()
                self._remove(workspace)

    def witnessed(self) -> dict[str, Any]:
        """See `Device.witnessed`."""
        return self._machine.witnessed()

    def examine(self) -> list[Finding]:
        """See `Device.examine`."""
        try:
            self.adb.require_ready()
            state = phone.read_state(self.adb)
        except EdgeresError as problem:
            text = "; ".join((problem.message, *problem.details))
            return [Finding("connection", text, problem.fix, problem=True)]
        found = phone.environment(state)
        self.abi = str(found.get("machine", ""))
        return [
            Finding("connection", f"adb {self.serial}"),
            Finding("processor", f"{found.get('cpu', 'not told')}, {found.get('cores')} cores, {self.abi}"),
            Finding("system", f"{found.get('model', 'a device')}, {found['os']}"),
            self._tool_finding(),
            _room(phone.free_bytes(state.get("free", ""))),
            _heat(found.get("thermal")),
            _charge(found.get("battery")),
            _screen(found.get("screen")),
        ]

    def _tool_finding(self) -> Finding:
        try:
            tool = self._find_tool()
        except ConfigError as problem:
            return Finding("benchmark_model", "; ".join((problem.message, *problem.details)), problem.fix, problem=True)
        return Finding("benchmark_model", f"SHA-256 {tool.sha256}")

    def close(self) -> None:
        """See `Device.close`."""
        with self.guard:
            workspace, self._workspace = self._workspace, None
        if workspace is not None:
            self._remove(workspace)

    @staticmethod
    def _remove(workspace: Workspace) -> None:
        workspace.close()
        atexit.unregister(workspace.close)


def _room(free: int | None) -> Finding:
    if free is None:
        return Finding("storage", "not told")
    fix = None if free >= _NEEDED_BYTES else f"free some in {phone.ROOT}"
    return Finding("storage", f"{free / 1e6:,.0f} MB free in {phone.ROOT}", fix, problem=fix is not None)


def _heat(state: str | None) -> Finding:
    return Finding("heat", state or "not told", None if state in (None, "none") else "let it cool down")


def _charge(state: dict[str, Any] | None) -> Finding:
    if state is None:
        return Finding("battery", "not told")
    fix = "charge it: many phones are slower below 20 %" if state["percent"] < 20 else None
    return Finding("battery", f"{state['percent']} %, {state['celsius']} °C", fix)


def _screen(state: str | None) -> Finding:
    fix = "keep it on: adb shell svc power stayon true" if state == "off" else None
    return Finding("screen", state or "not told", fix)


@dataclass(frozen=True)
class AdbScheme:
    """See `targets.devices.device.Scheme`."""

    usage: str = "adb://SERIAL/TARGET"

    def check(self) -> Availability:
        """Whether the client is there; which `benchmark_model` a phone takes is known once it is connected."""
        if shutil.which(PROGRAM) is None:
            why = "adb, Android's debugging client, is not installed"
            return Availability(available=False, why=why, fix=INSTALL)
        return Availability(available=True)

    def open(self, entry: Entry) -> Device:
        """The device of an entry."""
        return AndroidDevice(entry)


ADB = AdbScheme()
