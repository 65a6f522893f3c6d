"""What a fleet does with its devices, on devices that are none: no connection is made."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

import pytest

from edgeres.errors import ConfigError, EdgeresError, TargetError
from targets.devices import DEVICES, examination, fleet
from targets.devices.device import Entry, Finding
from targets.target import Availability
from tests.targets.double import DoubleSession, DoubleTarget


@dataclass
class Toy:
    """A device that knows one target, that of its address."""

    entry: Entry

    @property
    def name(self) -> str:
        return self.entry.name

    def target(self, name: str) -> DoubleTarget:
        if self.entry.url != f"toy://{name}":
            raise TargetError(f"'{name}' does not run on {self.name}")
        return DoubleTarget(lambda _: DoubleSession(), name=f"{self.name}/{name}")

    def examine(self) -> list[Finding]:
        if self.name == "odd":
            raise KeyError("versions")
        return [Finding("connection", "there")]

    def close(self) -> None:
        """There is no connection."""


class Toys:
    usage = "toy://NAME/TARGET"

    def check(self) -> Availability:
        return Availability(True)

    def open(self, entry: Entry) -> Toy:
        return Toy(entry)


TOYS = Toys()


@pytest.fixture(autouse=True)
def inventory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DEVICES, "toy", f"{__name__}:TOYS")
    path = tmp_path / "devices.toml"
    path.write_text('[one]\nurl = "toy://cpu"\n[two]\nurl = "toy://gpu"\n[odd]\nurl = "toy://npu"\n')
    monkeypatch.setenv("EDGERES_DEVICES", str(path))


def spread(targets: tuple[str, ...], measure: object) -> list[str]:
    return fleet.spread(targets, measure, lambda target, error: f"{target}: {error.message}")  # type: ignore[arg-type]


def test_devices_are_measured_at_the_same_time() -> None:
    """Each waits for the other ones, in vain where they take turns."""
    meeting = threading.Barrier(3)

    def measure(target: str) -> str:
        meeting.wait(30)
        return f"{target} was there"

    names = ("one/cpu", "two/gpu", "odd/npu")
    assert spread(names, measure) == [f"{name} was there" for name in names]


def test_targets_of_one_device_take_turns_and_this_machine_is_alone() -> None:
    running: list[str] = []

    def measure(target: str) -> str:
        device = target.partition("/")[0]
        assert device not in running
        assert target != "cpu" or not running
        running.append(device)
        threading.Event().wait(0.05)
        running.remove(device)
        return target

    names = ("one/cpu", "cpu", "two/gpu", "one/gpu")
    assert spread(names, measure) == list(names)


def test_what_nobody_expected_of_a_device_is_its_failure_and_does_not_lose_the_others() -> None:
    def measure(target: str) -> str:
        if target == "odd/npu":
            return str(float("cat: /proc/uptime: Permission denied"))
        return target

    found = spread(("one/cpu", "odd/npu", "two/gpu"), measure)
    assert found[::2] == ["one/cpu", "two/gpu"]
    assert found[1].startswith("odd/npu: an unexpected ValueError: could not convert string to float: 'cat: /proc")
    rows: list[EdgeresError] = []
    fleet.spread(("one/cpu", "odd/npu"), measure, lambda _, error: rows.append(error) or "")
    assert rows[0].exit_code == 6
    assert rows[0].fix


def test_what_nobody_expected_of_the_only_target_or_of_this_machine_is_a_bug() -> None:
    def measure(target: str) -> str:
        raise IndexError(target)

    for names in (("one/cpu",), ("cpu", "one/cpu", "two/gpu")):
        with pytest.raises(IndexError, match=names[0]):
            spread(names, measure)


def test_an_interruption_is_no_failure_of_a_device() -> None:
    def measure(target: str) -> str:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        spread(("one/cpu", "two/gpu"), measure)


def test_a_target_that_one_of_several_devices_does_not_have_is_left_to_its_row() -> None:
    names = fleet.placed(("gpu",), ("all",))
    assert [target.name for target in fleet.require_targets(names)] == ["two/gpu"]
    assert [target.name for target in fleet.require_targets(("one/gpu", "two/gpu", "cpu"))] == ["two/gpu", "cpu"]


@pytest.mark.parametrize("names", [("one/gpu",), ("one/cpu", "one/gpu"), ("cpu", "one/gpu"), ("one/gpu", "two/cpu")])
def test_a_target_that_the_only_device_or_no_device_has_is_an_error(names: tuple[str, ...]) -> None:
    with pytest.raises(TargetError, match="does not run on one"):
        fleet.require_targets(names)


def test_a_device_that_nobody_knows_is_an_error_in_any_fleet() -> None:
    with pytest.raises(ConfigError, match="did you mean 'two'"):
        fleet.require_targets(("one/cpu", "too/gpu"))
    with pytest.raises(TargetError, match="unknown target"):
        fleet.require_targets(("one/cpu", "two/gpu", "cpv"))


def test_examining_an_odd_device_does_not_lose_what_others_told() -> None:
    found = examination.examine(("one", "odd"))
    assert found["one"] == [Finding("connection", "there")]
    assert found["odd"][0].problem
    assert found["odd"][0].found == "an unexpected KeyError: 'versions'"
