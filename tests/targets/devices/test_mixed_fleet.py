"""A fleet of both kinds: a device behind a real sshd, and a fake phone behind the real `adb`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from edgeres.console import run
from edgeres.results import read_result
from targets.devices import opened
from tests.targets.bundles import make_bundle, write_images
from tests.targets.conftest import Models
from tests.targets.devices.adbd import Phone
from tests.targets.devices.server import Server

pytestmark = [pytest.mark.ssh, pytest.mark.adb, pytest.mark.slow]


@pytest.fixture(autouse=True)
def inventory(
    server: Server, phone: Phone, tool: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    path = tmp_path / "devices.toml"
    box = f'[box]\nurl = "{server.url}"\npython = "{server.python}"\n'
    path.write_text(f'{box}\n[phone]\nurl = "adb://{phone.serial}"\nbenchmark = "{tool}"\n')
    monkeypatch.setenv("EDGERES_DEVICES", str(path))
    monkeypatch.setenv("HOME", str(server.home))  # adb has a home of its own
    yield
    opened.close_devices()


@pytest.fixture
def bundle(models: Models, tmp_path: Path) -> str:
    return str(make_bundle(tmp_path / "bundle", models("int8")))


def test_a_target_that_only_one_kind_of_device_has_is_measured_there(
    bundle: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "result.json"
    code = run(["profile", bundle, "--device", "all", "--target", "gpu", "--rounds", "30", "--json", str(file)])
    out, err = capsys.readouterr()
    assert code == 6, err
    assert "1 of 2 measurements were not made" in err
    assert "NOT MEASURED on box/gpu" in out
    box, phone = read_result(file).artifacts
    assert (box.target, phone.target) == ("box/gpu", "phone/gpu")
    assert box.failure is not None
    assert "'gpu' does not run on a device" in box.failure.message
    assert box.latency is None
    assert phone.failure is None
    assert phone.latency is not None
    assert phone.proof is not None
    assert phone.proof.passed


def test_both_kinds_are_evaluated_side_by_side(bundle: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, file = write_images(tmp_path / "images", each=5), tmp_path / "result.json"
    code = run(["evaluate", bundle, "--data", source, "--device", "all", "--images", "4", "--json", str(file)])
    assert code == 0, capsys.readouterr().err
    rows = read_result(file).artifacts
    assert [row.target for row in rows] == ["box/cpu", "phone/cpu"]
    assert rows[0].accuracy is not None
    assert rows[0].accuracy == rows[1].accuracy


def test_a_target_that_the_only_device_does_not_have_is_an_error(
    bundle: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "result.json"
    code = run(["profile", bundle, "--device", "box", "--target", "gpu", "--json", str(file)])
    out, err = capsys.readouterr()
    assert (code, out, file.exists()) == (6, "", False)
    assert "'gpu' does not run on a device" in err
