"""The fleet: one measurement on several devices side by side, and what each found or why it found nothing.

This machine measures first, alone: driving devices would disturb it. A device that fails does not lose the results of
the others; its rows say why.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TypeVar

from edgeres.errors import ConfigError, EdgeresError, TargetError
from edgeres.progress import Progress
from edgeres.results import ArtifactResult, DeviceRecord, Failure, Result
from targets.catalogue import find_target, split_device
from targets.devices.device import ConnectionLost, DeviceTarget
from targets.devices.inventory import ALL, inventory_path, read_inventory
from targets.devices.opened import close_devices
from targets.target import Target, require_available

BEGINNINGS = 3
"""How often a measurement that cannot be gone on with is begun on a device whose connection drops."""

T = TypeVar("T")

_log = logging.getLogger(__name__)


def placed(targets: Sequence[str], devices: Sequence[str]) -> tuple[str, ...]:
    """The targets on each of the devices, `all` being those of the inventory; without devices, the targets here.

    Raises:
        ConfigError: an empty inventory, or a target that names a device itself.
    """
    if not devices:
        return tuple(dict.fromkeys(targets))
    if elsewhere := [target for target in targets if split_device(target)]:
        raise ConfigError(f"the target '{elsewhere[0]}' is on a device already", fix="leave out --device")
    known = list(read_inventory()) if ALL in devices else []
    if ALL in devices and not known:
        problem = f"the inventory {inventory_path()} has no devices"
        raise ConfigError(problem, fix="add one: edgeres devices add NAME ssh://USER@HOST")
    names = dict.fromkeys(each for device in devices for each in (known if device == ALL else [device]))
    return tuple(f"{device}/{target}" for device in names for target in dict.fromkeys(targets))


def require_targets(targets: Sequence[str]) -> list[Target]:
    """Refuse targets that are unknown, or that cannot run here or on the only device, before minutes are spent.

    Of several devices, some may fail, or know no target of that name: those that are known are returned. Somebody can
    be asked for the password of a single one, which is connected here.

    Raises:
        TargetError, ConfigError: says why, and what to do.
    """
    devices = {placed[0] for name in targets if (placed := split_device(name))}
    found: list[Target] = []
    refused: list[TargetError] = []
    for name in targets:
        try:
            target = find_target(name)
        except TargetError as error:
            if len(devices) < 2 or not split_device(name):
                raise
            refused.append(error)
            continue
        if len(targets) == 1 or not isinstance(target, DeviceTarget):
            require_available(target)
        found.append(target)
    if refused and not found:
        raise refused[0]
    return found


def unexpected(bug: Exception) -> TargetError:
    """What a device did that this program is not prepared for, as a device's failure."""
    text = f"an unexpected {type(bug).__name__}: {str(bug)[:300]}"
    return TargetError(text, fix="use this device alone, and report what is printed then")


def spread(targets: Sequence[str], measure: Callable[[str], T], failed: Callable[[str, EdgeresError], T]) -> list[T]:
    """Measure on every target; in the order of the targets, what `measure` gives, or `failed` of a device's error.

    Raises:
        Exception: what a target on this machine raises, or the only device.
    """
    groups: dict[str | None, list[str]] = {}
    for target in targets:
        device = split_device(target)
        groups.setdefault(device[0] if device else None, []).append(target)
    found = {target: measure(target) for target in groups.pop(None, ())}

    def on_device(own: list[str]) -> None:
        for target in own:
            try:
                found[target] = measure(target)
            except Exception as problem:  # noqa: PERF203 - each target on its own, whatever it is
                if len(targets) == 1:
                    raise
                error = problem if isinstance(problem, EdgeresError) else unexpected(problem)
                _log.warning("%s: %s", target, error.message)
                _log.debug("where it came from", exc_info=problem)
                found[target] = failed(target, error)

    _side_by_side([partial(on_device, own) for own in groups.values()])
    return [found[target] for target in targets]


def _side_by_side(work: Sequence[Callable[[], None]]) -> None:
    """Do it all, in threads where there is more than one; an interruption ends the connections, and so the threads."""
    if len(work) < 2:
        for each in work:
            each()
        return
    threads = ThreadPoolExecutor(len(work), thread_name_prefix="device")
    running = [threads.submit(each) for each in work]
    try:
        for future in running:
            future.result()
    except BaseException:
        close_devices()
        raise
    finally:
        threads.shutdown(wait=False, cancel_futures=True)


def persistent(target: Target, measure: Callable[[], T]) -> T:
    """Measure; on a device whose connection drops meanwhile, anew: what came before is not used.

    Raises:
        EdgeresError: what `measure` raises; a `ConnectionLost` only after several beginnings.
    """
    for left in reversed(range(BEGINNINGS)):
        try:
            return measure()
        except ConnectionLost as lost:  # noqa: PERF203 - it is what the loop is for
            if not left or not isinstance(target, DeviceTarget):
                raise
            _log.warning("%s; the measurement begins anew", lost.message)
    raise RuntimeError("the last beginning returns or raises")


def on_device(target: Target, measure: Callable[[], list[ArtifactResult]]) -> list[ArtifactResult]:
    """Measure with what is said of the device in the rows; on this machine, just measure.

    The device is described before the measurement: afterwards the load is the measurement's own.
    """
    if not isinstance(target, DeviceTarget):
        return measure()
    device = target.device
    environment, before = device.machine.describe(), device.reconnects
    rows = persistent(target, measure)
    record = DeviceRecord(device.name, environment, device.reconnects - before, device.witnessed() or None)
    return [replace(row, device=record) for row in rows]


def failed_rows(rows: Sequence[ArtifactResult], error: EdgeresError) -> list[ArtifactResult]:
    """Rows without figures, with the reason."""
    return [replace(row, failure=Failure(error.message, error.details, error.fix)) for row in rows]


def stage(progress: Progress, target: str) -> Progress:
    """The same with the device's name, where several are measured side by side."""
    device = split_device(target)
    if device is None:
        return progress
    return lambda name, done, total: progress(f"{device[0]}: {name}", done, total)


def require_complete(result: Result) -> None:
    """Raise where a device failed, or a target refused an artifact; what was measured is written by then.

    Raises:
        TargetError: says which, and why.
    """
    failures = {(row.target, row.failure.message): row.failure for row in result.artifacts if row.failure}
    if failures:
        lacking = [row.target for row in result.artifacts if row.failure]
        details = [f"{target}: {message}" for target, message in failures]
        fixes = list(dict.fromkeys(failure.fix for failure in failures.values() if failure.fix))
        on_devices = any(split_device(target) for target in lacking)
        usual = (
            "edgeres devices check" if on_devices else "see what each target takes: edgeres inspect FILE --targets all"
        )
        problem = f"{len(lacking)} of {len(result.artifacts)} measurements were not made"
        raise TargetError(problem, details=details, fix=fixes[0] if len(fixes) == 1 else usual)
