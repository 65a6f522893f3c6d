"""What a measurement asks of an Android device besides running models; see `targets.machine.Machine`."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeres.errors import EdgeresError
from edgeres.storage import sha256_bytes
from targets.conditions import Counters, Watch
from targets.devices import phone
from targets.devices.benchmark_tool import RUNS
from targets.lock import machine_lock
from targets.machine import Block, Times
from targets.target import Session

if TYPE_CHECKING:
    from targets.devices.android import AndroidDevice
    from targets.devices.tool_runs import ToolRuns

_HEAT_ROUNDS = 10
"""The thermal status is read every so many rounds."""

_log = logging.getLogger(__name__)


class AndroidMachine:
    """See `targets.machine.Machine`. A model's "process" is a number: each block runs in a process of its own there."""

    def __init__(self, device: AndroidDevice) -> None:
        self._device = device
        self._numbers = count(1)
        self.running: dict[int, ToolRuns] = {}
        self._throttled: int | None = None
        self._blocks: dict[str, list[dict[str, Any]]] = {}
        self._performance = "left alone"

    def register(self, runs: ToolRuns) -> int:
        """A number for a model on the device."""
        number = next(self._numbers)
        self.running[number] = runs
        return number

    def describe(self) -> dict[str, Any]:
        """See `Machine.describe`."""
        self._device.workspace()
        found = phone.environment(phone.read_state(self._device.adb))
        if found.get("thermal", "none") != "none":
            _log.warning(
                "%s is hot (%s): its times are those of a phone that throttles", self._device.name, found["thermal"]
            )
        if found.get("screen") == "off":
            _log.warning("%s has its screen off, and may have slowed its cores down", self._device.name)
        return {**found, "versions": {"benchmark_model": f"sha256:{self._device.tool.sha256}"}}

    def forget(self) -> None:
        """Drop what was noted of a measurement that has to begin anew."""
        self._blocks.clear()

    def witnessed(self) -> dict[str, Any]:
        """What was noted since this was last asked for: see `docs/android.md`."""
        blocks, self._blocks = self._blocks, {}
        found: dict[str, Any] = {"benchmark_model_us": blocks, "fixed_performance": self._performance}
        with suppress(EdgeresError):
            found["afterwards"] = phone.conditions(phone.read_state(self._device.adb))
        return found

    @contextmanager
    def lock(self) -> Iterator[None]:
        """See `Machine.lock`: keeps apart what measures on this device from this computer, and holds its clocks."""
        folder = Path(tempfile.gettempdir()) / f"edgeres-adb-{sha256_bytes(self._device.serial.encode())[:16]}"
        with suppress(OSError):
            folder.mkdir(exist_ok=True)
        with machine_lock(folder):
            workspace = self._device.workspace()
            held = self._device.options.get("fixed_performance") != "no" and phone.hold_performance(
                self._device.adb, workspace
            )
            wanted = self._device.options.get("fixed_performance") != "no"
            self._performance = "held" if held else "not supported" if wanted else "left alone"
            try:
                yield
            finally:
                if held:
                    phone.release_performance(workspace)

    @contextmanager
    def pinned(self, processes: Sequence[int | None], threads: int | None) -> Iterator[tuple[int, ...] | None]:
        """See `Machine.pinned`: nothing is pinned, Android's scheduler chooses."""
        del processes
        if threads is not None:
            _log.warning("%s: benchmark_model is not pinned to cores on Android", self._device.name)
        yield None

    def reference_ms(self) -> float:
        """See `Machine.reference_ms`: a loop of fixed length in the device's shell."""
        return phone.loop_ms(self._device.adb)

    def counters(self, processes: Sequence[int | None], /) -> Counters:
        """See `Machine.counters`: `throttled` counts the readings at which Android's thermal status was not 0."""
        self._read_heat()
        text = self._device.adb.script("cat /proc/uptime; cat /proc/pressure/cpu 2>/dev/null").text
        clock = phone.clock_s(text)
        return Counters(
            clock_s=clock or 0.0,
            waited_s=phone.waited_s(text) if clock else None,  # a share of the time, where that is known
            stolen=None,
            ticks=None,
            throttled=self._throttled,
            switches=(None,) * len(processes),
        )

    def _read_heat(self) -> None:
        status = phone.thermal_status(self._device.adb.script("dumpsys thermalservice").text)
        if status is not None:
            self._throttled = (self._throttled or 0) + (status > 0)

    def rounds(
        self, sessions: Sequence[Session], orders: Sequence[Sequence[int]], block: Block, *, watch: Watch | None
    ) -> Iterator[Times]:
        """See `Machine.rounds`: a block is one invocation of the tool, which warms up, and tells its last run.

        Further runs of `block` the tool would not tell.
        """
        del block
        used = [self.running[number] for session in sessions if (number := session.process_id) is not None]
        for place, order in enumerate(orders):
            if place % _HEAT_ROUNDS == _HEAT_ROUNDS - 1:
                self._read_heat()
            if watch is not None:
                watch.each_round()
            times: list[list[float]] = [[] for _ in sessions]
            for each in order:
                report, record = used[each].block(RUNS)
                times[each] = [report.last_ms]
                self._blocks.setdefault(used[each].model_sha256, []).append(record)
            yield times
