"""Compiled files in a bundle, by the real compilers: Vela, and Intel's plugin where it is installed."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from converters.compilers import compile_for, find_compilers
from edgeres import console
from edgeres.bundle import MODEL, open_bundle
from edgeres.results import read_result
from edgeres.storage import sha256_bytes
from targets.flatbuffer import walk
from targets.runtimes.ethosu import ETHOSU
from targets.runtimes.npu import AHEAD
from targets.verification import verify
from tests.trained import Bundles, Trained

needs_vela = pytest.mark.skipif(not ETHOSU.check().available, reason=str(ETHOSU.check().why))


def converting(trained: Trained, out: Path, *options: str) -> list[str]:
    return ["convert", str(trained.model), "--data", "digits", "--out", str(out), *options]


@needs_vela
def test_convert_puts_what_vela_makes_into_the_bundle(
    trained: Trained, bundles: Bundles, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain, out = bundles("int8"), tmp_path / "b"
    twice = ("--compile", "ethosu:u55-128", "--compile", "ethosu:u85-256", "--compile", "ethosu:u55-128")
    capsys.readouterr()
    assert console.run(converting(trained, out, *twice)) == 0
    said = capsys.readouterr().out
    bundle = open_bundle(out)
    assert bundle.read(MODEL) == plain.read(MODEL)
    assert [each.target for each in bundle.compiled] == ["ethosu:u55-128", "ethosu:u85-256"]
    for each in bundle.compiled:
        content = bundle.read(each.file)
        assert walk(content).kinds == {"ethos-u": 1}
        assert f"{out / each.file}: {len(content):,} bytes, 14 of 14 operators by Ethos-U" in said
        assert each.made_of == bundle.manifest.files[MODEL]
        assert each.compiler == ETHOSU.check().version
        assert each.options == {"accelerator": f"ethos-{each.target.partition(':')[2]}"}
        assert each.estimate is not None
    assert verify(out).checks[0].found == "6 files as the manifest says"


@needs_vela
def test_the_file_and_its_estimate_are_those_that_profile_finds(trained: Trained, tmp_path: Path) -> None:
    out = tmp_path / "b"
    assert console.run(converting(trained, out, "--compile", "ethosu:u55-256")) == 0
    arguments = ["profile", str(out), "--target", "ethosu:u55-256", "--keep", str(tmp_path / "kept")]
    assert console.run([*arguments, "--json", str(tmp_path / "r.json")]) == 0
    bundle = open_bundle(out)
    (each,) = bundle.compiled
    assert bundle.read(each.file) == (tmp_path / "kept" / "b.ethosu-u55-256.tflite").read_bytes()
    (row,) = read_result(tmp_path / "r.json").artifacts
    assert (each.estimate, each.memory, each.operators) == (row.estimate, row.memory, row.operators)
    assert console.run(["inspect", str(out), "--json", str(tmp_path / "i.json")]) == 0
    (listed,) = json.loads((tmp_path / "i.json").read_text())["compiled"]
    assert listed["sha256"] == sha256_bytes(bundle.read(each.file))
    assert console.run(["inspect", str(out / each.file)]) == 0


@pytest.mark.parametrize(
    ("targets", "code", "says"),
    [
        (["cpu"], 3, "--compile cpu: this target runs the flatbuffer itself"),
        (["npu:openvino"], 3, "--compile npu:openvino: this target runs the flatbuffer itself"),
        (["ethosu:u55-255"], 6, "did you mean 'ethosu:u55-256'"),
        (["etosu"], 6, "did you mean 'ethosu'"),
        (["npu:qualcomm"], 6, "is no target without a chip"),
    ],
)
def test_what_cannot_compile_is_refused_before_the_model_is_read(
    targets: list[str], code: int, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = [word for target in targets for word in ("--compile", target)]
    arguments = ["convert", str(tmp_path / "absent.keras"), "--data", "digits", "--out", str(tmp_path / "b")]
    assert console.run([*arguments, *options]) == code
    assert says in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_compiler_that_is_not_installed_is_refused_before_the_model_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ethosu", None)  # what `find_spec` takes for a package that is not there
    arguments = ["convert", str(tmp_path / "absent.keras"), "--data", "digits", "--out", str(tmp_path / "b")]
    assert console.run([*arguments, "--compile", "ethosu:u55-256"]) == 6
    said = capsys.readouterr().err
    assert "ethos-u-vela is not installed" in said
    assert "edgeres[ethosu]" in said


@needs_vela
def test_a_model_that_the_compiler_refuses_leaves_no_bundle(
    trained: Trained, bundles: Bundles, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundles("float32")
    capsys.readouterr()
    options = ("--recipe", "float32", "--compile", "ethosu:u55-256")
    assert console.run(converting(trained, tmp_path / "b", *options)) == 6
    said = capsys.readouterr().err
    assert "--compile ethosu:u55-256: the Ethos-U55-256 runs no operator of this model" in said
    assert "convert with the recipe int8" in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not AHEAD.check().available, reason=str(AHEAD.check().why))
def test_what_openvino_compiles_ahead_is_kept_and_still_runs_here(
    trained: Trained, bundles: Bundles, tmp_path: Path
) -> None:
    bundles("int8")
    out = tmp_path / "b"
    assert console.run(converting(trained, out, "--compile", "npu:openvino:aot")) == 0
    bundle = open_bundle(out)
    (each,) = bundle.compiled
    assert each.file == "compiled/npu-openvino-aot.tflite"
    assert walk(bundle.read(each.file)).kinds == {"DISPATCH_OP": 1}
    assert (each.estimate, each.memory) == (None, None)
    assert each.options["soc"] == "PTL"
    assert console.run(["inspect", str(out)]) == 0
    assert console.run(["profile", str(out), "--target", "npu:openvino:aot"]) == 0


@needs_vela
def test_progress_tells_each_compiler(bundles: Bundles) -> None:
    told: list[tuple[str, int, int]] = []
    compilers = find_compilers(["ethosu:u55-32"])
    compile_for(compilers, bundles("int8").read(MODEL), progress=lambda *each: told.append(each))
    assert told == [("compile", 0, 1), ("compile", 1, 1)]


def test_nothing_asked_for_is_nothing_compiled() -> None:
    assert find_compilers([]) == ()
    assert compile_for((), b"") == ()
