"""The Edge TPU's delegate is not here: what is told of a model without it, and that a library is used where one is."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeres.console import run
from edgeres.errors import TargetError
from targets.catalogue import find_target
from targets.forecast.edgetpu import COMPILED
from targets.runtimes import edgetpu
from targets.runtimes.edgetpu import EDGETPU, EdgeTpuTarget, library
from targets.target import Target
from tests.targets.conftest import Models
from tests.targets.forge import forge


def compiled(models: Models) -> bytes:
    """A file as Coral's compiler leaves it, as far as can be told without it: an operator of its own."""

    def rename(model: object) -> None:
        code = model.operatorCodes[0]  # type: ignore[attr-defined]
        code.builtinCode, code.deprecatedBuiltinCode, code.customCode = 32, 32, COMPILED.encode()

    return forge(models("fifty_int8"), rename)


def test_it_keeps_to_the_protocol() -> None:
    target: Target = EDGETPU.member("usb")
    assert (target.name, target.kind, target.timed) == ("edgetpu:usb", "npu", True)
    assert EdgeTpuTarget().name == "edgetpu"


@pytest.mark.parametrize("name", ["edgetpu:usb3", "edgetpu:pci:x", "edgetpu:../x"])
def test_a_device_that_has_no_such_name_is_an_error(name: str) -> None:
    with pytest.raises(TargetError, match="names no Edge TPU"):
        find_target(name)


@pytest.mark.parametrize("name", ["edgetpu", "edgetpu:usb", "edgetpu:pci:0", "edgetpu::1"])
def test_devices_are_named_as_its_library_names_them(name: str) -> None:
    assert find_target(name).name == name


@pytest.mark.skipif(library() is not None, reason="libedgetpu is installed here")
def test_without_its_library_it_says_what_to_install(
    models: Models, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "m.tflite").write_bytes(models("fifty_int8"))
    assert run(["profile", str(tmp_path / "m.tflite"), "--target", "edgetpu"]) == 6
    told = capsys.readouterr().err
    assert "the target 'edgetpu' cannot run here: libedgetpu.so.1 is not installed" in told
    assert "libedgetpu1-std" in told


def test_the_library_is_found_where_the_loader_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "libedgetpu.so.1").touch()
    monkeypatch.setenv("LD_LIBRARY_PATH", f"/nowhere:{tmp_path}")
    assert library() == str(tmp_path / "libedgetpu.so.1")
    assert EDGETPU.check().available


def test_a_model_that_is_not_compiled_is_told_what_to_do_and_whether_it_will_do(models: Models) -> None:
    with pytest.raises(TargetError, match="not compiled for the Edge TPU; 2 of its 2 operators pass") as caught:
        EdgeTpuTarget().open(models("fifty_int8"))
    assert "edgetpu_compiler" in str(caught.value.fix)


def test_a_float_model_runs_on_nothing_of_it(models: Models) -> None:
    with pytest.raises(TargetError, match="runs nothing of this model") as caught:
        EdgeTpuTarget().open(models("float32"))
    assert "takes no float32 input" in "\n".join(caught.value.details)
    assert caught.value.fix == "convert with the recipe int8"


def test_a_compiled_model_goes_to_the_library_with_the_device(
    models: Models, delegate: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library here is a delegate of our own, which knows no option `device`: its error shows what reached it."""
    monkeypatch.setattr(edgetpu, "library", lambda: delegate)
    with pytest.raises(TargetError, match="unknown option device"):
        EDGETPU.member("usb").open(compiled(models))
    with pytest.raises(TargetError, match=COMPILED):  # and it does not take that operator
        EDGETPU.member("").open(compiled(models))
