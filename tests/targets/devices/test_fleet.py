"""Several devices at once: two names of one real sshd, and one of nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgeres.console import run
from edgeres.errors import ConfigError, TargetError
from edgeres.history import read as read_history
from edgeres.report.markdown import render
from edgeres.report.sources import read_story
from edgeres.report.terminal import failures
from edgeres.results import MACHINE, read_result
from targets.claims import Material, check_claims
from targets.comparison import compare
from targets.devices import fleet, opened
from targets.devices.inventory import read_inventory
from targets.gates import Limits, check
from tests.targets.bundles import make_bundle, write_images
from tests.targets.conftest import Models
from tests.targets.devices.server import USER, Server, free_port, left_behind
from tests.targets.test_sandbox import within

pytestmark = [pytest.mark.ssh, pytest.mark.slow]


@pytest.fixture(autouse=True)
def inventory(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Two devices that are there, and between them one that is not."""
    path = tmp_path / "devices.toml"
    there = f'url = "{server.url}"\npython = "{server.python}"\n'
    path.write_text(f'[one]\n{there}\n[gone]\nurl = "ssh://{USER}@127.0.0.1:{free_port()}"\n\n[two]\n{there}')
    monkeypatch.setenv("EDGERES_DEVICES", str(path))
    yield path
    opened.close_devices()
    assert within(60, lambda: not left_behind(server)), left_behind(server)


@pytest.fixture
def bundles(models: Models, tmp_path: Path) -> list[str]:
    return [str(make_bundle(tmp_path / name, models(name))) for name in ("float32", "int8")]


def edgeres(*arguments: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = run(list(arguments))
    return code, *capsys.readouterr()


def test_profile_measures_all_devices_and_says_which_failed(
    bundles: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "result.json"
    options = ("--device", "all", "--rounds", "30", "--json", str(file), "--history", str(tmp_path / "h.sqlite"))
    code, out, err = edgeres("profile", *bundles, *options, capsys=capsys)
    assert code == 6
    assert "2 of 6 measurements were not made" in err
    assert "NOT MEASURED on gone/cpu" in out
    assert out.index("NOT MEASURED") < out.index("one/cpu")
    result = read_result(file)
    assert [row.target for row in result.artifacts] == ["one/cpu"] * 2 + ["gone/cpu"] * 2 + ["two/cpu"] * 2
    for row in result.artifacts:
        if row.target == "gone/cpu":
            assert row.failure is not None
            assert "cannot be reached" in row.failure.message
            assert (row.latency, row.device) == (None, None)
        else:
            assert row.failure is None
            assert row.latency is not None
            assert row.proof is not None
            assert row.proof.passed
            assert row.device is not None
            assert set(MACHINE) - {"governor"} <= set(row.device.environment)
            assert "tensorflow" not in row.device.environment["versions"]
    assert [row.latency is not None and row.latency.verdict is not None for row in result.artifacts[1::2]] == [
        True,
        False,
        True,
    ]
    assert {entry.target for entry in read_history(tmp_path / "h.sqlite")} == {"one/cpu", "two/cpu"}


def test_evaluate_gives_the_same_answers_on_every_device(
    bundles: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, file = write_images(tmp_path / "images"), tmp_path / "result.json"
    options = ("--data", source, "--json", str(file))
    code, _, err = edgeres("evaluate", *bundles, "--device", "all", *options, capsys=capsys)
    assert code == 6, err
    rows = read_result(file).artifacts
    assert edgeres("evaluate", *bundles, *options, capsys=capsys)[0] == 0
    here = read_result(file)
    expected = [row.accuracy for row in here.artifacts]
    assert [row.accuracy for row in rows] == [*expected, None, None, *expected]
    assert here.data is not None


def test_one_device_that_fails_is_an_error_and_no_result(
    bundles: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "result.json"
    code, out, err = edgeres("profile", *bundles, "--device", "gone", "--json", str(file), capsys=capsys)
    assert (code, out, file.exists()) == (6, "", False)
    assert "the target 'gone/cpu' cannot run there" in err
    assert "fix: check that the device is on" in err


def test_a_result_of_a_fleet_goes_through_everything_that_reads_results(
    bundles: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "result.json"
    edgeres("profile", *bundles, "--device", "all", "--rounds", "30", "--json", str(file), capsys=capsys)
    result = read_result(file)
    checked = check([(file, result)], Limits(max_latency_ms=1e6))
    assert [(gate.outcome, gate.target) for gate in checked.gates] == [
        ("inconclusive", "gone/cpu"),
        ("passed", "one/cpu"),
        ("passed", "two/cpu"),
    ]
    assert not checked.passed
    assert all(row.basis != "not comparable" for row in compare(result, result).rows)
    text = render(read_story([file]))
    assert "NOT MEASURED" in text
    assert "result.json" in text
    assert ", one" in text
    assert len(failures(result.artifacts)) == 1


def test_claims_of_a_device_are_measured_again_on_it(
    bundles: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], inventory: Path
) -> None:
    source, files = write_images(tmp_path / "images"), [tmp_path / "accuracy.json", tmp_path / "latency.json"]
    for file, command in zip(files, (("evaluate", "--data", source), ("profile", "--rounds", "30")), strict=True):
        assert edgeres(*command, bundles[1], "--device", "one", "--json", str(file), capsys=capsys)[0] == 0
    results = [(file, read_result(file)) for file in files]
    found = {claim.claim: claim for claim in check_claims(bundles[1], results, Material(data=source))}
    assert found["top-1"].outcome == "confirmed"
    assert found["p50"].outcome != "not comparable"
    inventory.write_text("")
    opened.close_devices()
    found = {claim.claim: claim for claim in check_claims(bundles[1], results, Material(data=source))}
    assert [found[name].outcome for name in ("top-1", "p50")] == ["not comparable"] * 2
    assert "no device 'one'" in str(found["p50"].why)


def test_targets_and_devices_are_put_together(inventory: Path) -> None:
    assert fleet.placed(("cpu", "cpu", "reference"), ()) == ("cpu", "reference")
    assert fleet.placed(("cpu", "reference"), ("two", "all")) == (
        *("two/cpu", "two/reference", "one/cpu", "one/reference", "gone/cpu", "gone/reference"),
    )
    assert fleet.placed(("cpu",), ("ssh://pi",)) == ("ssh://pi/cpu",)
    with pytest.raises(ConfigError, match="is on a device already"):
        fleet.placed(("one/cpu",), ("two",))
    inventory.unlink()
    with pytest.raises(ConfigError, match="has no devices"):
        fleet.placed(("cpu",), ("all",))


def test_a_device_that_is_unknown_ends_the_command_before_anything_is_measured(
    bundles: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = edgeres("profile", *bundles, "--device", "one", "--device", "too", capsys=capsys)
    assert code == 3
    assert "did you mean 'two'" in err


def test_an_error_of_this_machine_is_not_put_into_a_row() -> None:
    def measure(target: str) -> str:
        raise TargetError(target)

    with pytest.raises(TargetError, match=r"^cpu$"):
        fleet.spread(("one/cpu", "cpu"), measure, lambda target, _: f"{target} failed")
    assert fleet.spread(("one/cpu", "two/cpu"), measure, lambda target, _: f"{target} failed") == [
        "one/cpu failed",
        "two/cpu failed",
    ]


def test_check_looks_at_all_devices_and_fails_for_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "found.json"
    code, out, err = edgeres("devices", "check", "--json", str(file), capsys=capsys)
    assert code == 6
    assert "not ready: gone" in err
    assert "PROBLEM" in out
    found = {each["name"]: each["findings"] for each in json.loads(file.read_text())["devices"]}
    assert list(found) == list(read_inventory())
    assert [each["what"] for each in found["gone"]] == ["connection"]
    assert not any(each["problem"] for each in found["one"])
