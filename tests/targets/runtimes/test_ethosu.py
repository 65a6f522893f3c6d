from __future__ import annotations

import csv
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from edgeres.errors import ArtifactError, ModelError, TargetError
from targets import TARGETS
from targets.catalogue import find_target
from targets.flatbuffer import walk
from targets.runtimes.ethosu import CONFIGURATIONS, ETHOSU, EthosUTarget
from targets.target import Compilation, Compiler, Family, Target
from tests.targets.conftest import Models

pytestmark = pytest.mark.skipif(not ETHOSU.check().available, reason=str(ETHOSU.check().why))

U55 = EthosUTarget("u55-256")


@pytest.fixture(scope="module")
def compiled(models: Models) -> Compilation:
    return U55.compile(models("int8"))


def test_the_configurations_are_those_that_vela_has() -> None:
    program = "from ethosu.vela.architecture_features import Accelerator; print(*Accelerator.member_list())"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert {f"ethos-{name}" for name in CONFIGURATIONS} == set(found.stdout.split())


@pytest.mark.parametrize("configuration", CONFIGURATIONS)
def test_every_configuration_is_a_target_that_compiles(configuration: str) -> None:
    target: Target = find_target(f"ethosu:{configuration}")
    assert (target.name, target.kind, target.timed) == (f"ethosu:{configuration}", "npu", False)
    assert isinstance(target, Compiler)
    assert not target.here
    assert not isinstance(target, Family)


@pytest.mark.parametrize(
    ("name", "fix"),
    [
        ("ethosu:u55-257", "did you mean 'ethosu:u55-256'"),
        ("ethosu:", "ethosu:u85-2048"),
        ("ethosu", "ethosu:u55-32"),
        ("etosu:u55-256", "did you mean 'ethosu'"),
    ],
)
def test_a_configuration_that_does_not_exist_is_an_error_with_the_nearest(name: str, fix: str) -> None:
    with pytest.raises(TargetError) as caught:
        find_target(name)
    assert fix in str(caught.value.fix)


def test_checking_imports_nothing_of_it() -> None:
    program = """
import sys
from targets.runtimes.ethosu import ETHOSU
ETHOSU.check()
print([name for name in sys.modules if name.startswith(("ethosu", "ai_edge_litert", "tensorflow"))])
"""
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, models: Models) -> None:
    monkeypatch.setitem(sys.modules, "ethosu", None)  # what `find_spec` takes for a package that is not there
    with pytest.raises(TargetError, match="ethos-u-vela is not installed") as caught:
        U55.compile(models("int8"))
    assert "edgeres[ethosu]" in str(caught.value.fix)


def test_figures_are_those_of_the_command_line(compiled: Compilation, model_folder: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ethosu.vela", str(model_folder / "int8.tflite")]
    subprocess.run([*command, "--output-dir", str(tmp_path)], capture_output=True, check=True)
    (path,) = tmp_path.glob("*_summary_*.csv")
    (row,) = csv.DictReader(path.read_text().splitlines())
    found = compiled.estimate
    assert found.compiler.startswith("ethos-u-vela 5")
    assert found.system == "Ethos_U55_High_End_Embedded, Shared_Sram"
    assert found.cycles == float(row["cycles_total"]) > found.npu_cycles == float(row["cycles_npu"]) > 0
    assert found.inference_ms == pytest.approx(1000 * found.cycles / found.clock_hz)
    assert found.inference_ms == pytest.approx(1000 * float(row["inference_time"]))
    assert found.sram_bytes == 1024 * float(row["sram_memory_used"])
    assert found.flash_bytes == 1024 * float(row["off_chip_flash_memory_used"])
    assert found.macs == float(row["nn_macs"])
    assert compiled.memory.peak_bytes == compiled.memory.load_bytes == found.sram_bytes
    assert compiled.file == (tmp_path / "int8_vela.tflite").read_bytes()


def test_what_is_compiled_says_by_what_and_how(compiled: Compilation) -> None:
    assert compiled.compiler == ETHOSU.check().version == compiled.estimate.compiler
    assert compiled.options == {"accelerator": "ethos-u55-256"}


SECTIONS = "system-config=Ethos_U65_Embedded&memory-mode=Sram_Only"


def test_the_system_is_the_one_that_options_name(models: Models, model_folder: Path, tmp_path: Path) -> None:
    target = find_target(f"ethosu:u65-256?{SECTIONS}")
    assert isinstance(target, EthosUTarget)
    assert target.name == f"ethosu:u65-256?{SECTIONS}"
    found = target.compile(models("int8")).estimate
    command = [sys.executable, "-m", "ethosu.vela", str(model_folder / "int8.tflite"), "--output-dir", str(tmp_path)]
    command += ["--accelerator-config", "ethos-u65-256", *(f"--{option}" for option in SECTIONS.split("&"))]
    subprocess.run(command, capture_output=True, check=True)
    (path,) = tmp_path.glob("*_summary_*.csv")
    (row,) = csv.DictReader(path.read_text().splitlines())
    assert found is not None
    assert found.system == "Ethos_U65_Embedded, Sram_Only"
    assert found.cycles == float(row["cycles_total"])
    assert found.clock_hz == 500e6


def test_a_configuration_file_of_ones_own_is_read(
    models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = importlib.util.find_spec("ethosu")
    assert own is not None
    assert own.submodule_search_locations
    (original,) = (Path(place) / "config_files/Arm/vela.ini" for place in own.submodule_search_locations)
    text = original.read_text().replace("Ethos_U65_Embedded]\ncore_clock=500e6", "Mine]\ncore_clock=123e6")
    (tmp_path / "mine.ini").write_text(text)
    monkeypatch.chdir(tmp_path)
    target = find_target("ethosu:u65-256?system-config=Mine&memory-mode=Sram_Only&config=mine.ini")
    assert isinstance(target, EthosUTarget)
    found = target.compile(models("int8")).estimate
    assert found is not None
    assert (found.system, found.clock_hz) == ("Mine, Sram_Only", 123e6)
    (tmp_path / "mine.ini").unlink()
    with pytest.raises(TargetError, match=r"there is no file mine\.ini"):
        target.compile(models("int8"))


def test_a_section_that_the_file_does_not_have_is_an_error_with_velas_words(models: Models) -> None:
    target = find_target("ethosu:u55-256?system-config=Ethos_U99")
    assert isinstance(target, EthosUTarget)
    with pytest.raises(TargetError, match=r"System_Config\.Ethos_U99 not found") as caught:
        target.compile(models("int8"))
    assert caught.value.fix == "see: vela --list-configs Arm/vela.ini"


@pytest.mark.parametrize(
    ("options", "problem", "fix"),
    [
        ("memory_mode=Sram_Only", "no option 'memory_mode'", "did you mean 'memory-mode'"),
        ("config", "key=value", "system-config=NAME"),
        ("memory-mode=a&memory-mode=b", "given twice", "memory-mode=NAME"),
        ("config=mine.ini", "only with a system-config and a memory-mode", "config=FILE"),
    ],
)
def test_options_that_vela_does_not_take_so_are_errors(options: str, problem: str, fix: str) -> None:
    with pytest.raises(TargetError, match=problem) as caught:
        find_target(f"ethosu:u55-256?{options}")
    assert fix in str(caught.value.fix)


def test_an_int8_model_runs_on_the_npu_whole(compiled: Compilation) -> None:
    found = compiled.operators
    assert (found.nodes, found.delegated, found.delegate, found.left) == (9, 9, "Ethos-U55-256", {})
    graph = walk(compiled.file)
    assert graph.kinds == {"ethos-u": 1}
    assert graph.arena_bytes >= compiled.estimate.sram_bytes  # the memory that the NPU works in is counted


def test_operators_that_stay_on_the_cpu_are_counted(models: Models) -> None:
    found = U55.compile(models("int16")).operators
    assert found.left == {"QUANTIZE": 1, "DEQUANTIZE": 1}  # its input and output are float
    assert found.delegated == 9


def test_a_larger_npu_takes_fewer_cycles(models: Models, compiled: Compilation) -> None:
    smallest = EthosUTarget("u55-32").compile(models("int8"))
    assert smallest.estimate.npu_cycles > compiled.estimate.npu_cycles
    other = EthosUTarget("u85-256").compile(models("int8"))
    assert other.estimate.clock_hz > compiled.estimate.clock_hz  # families assume other clocks
    assert other.estimate.system != compiled.estimate.system


@pytest.mark.parametrize(
    ("name", "layer", "reason"),
    [
        ("float32", r"layer 'stem' \(CONV_2D\)", "Float32"),
        ("dynamic_int8", r"layer 'stem' \(CONV_2D\)", "Float32"),
        ("float16", r"layer 'projection' \(DEQUANTIZE\)", "Unsupported opType"),
    ],
)
def test_a_model_of_floats_is_refused_with_its_first_layer(models: Models, name: str, layer: str, reason: str) -> None:
    with pytest.raises(TargetError, match="U55-256 runs no operator of this model") as caught:
        U55.compile(models(name))
    assert "int8" in str(caught.value.fix)
    assert re.fullmatch(rf"{layer}: .*{reason}.*", "\n".join(caught.value.details))


def test_a_model_that_the_compiler_dies_on_is_a_target_error(models: Models) -> None:
    with pytest.raises(TargetError, match="during 'compile'"):
        U55.compile(models("int4"))


def test_malformed_and_other_models_start_no_compiler(models: Models) -> None:
    with pytest.raises(ArtifactError, match="not a well-formed"):
        U55.compile(models("int8")[:500])
    with pytest.raises(ModelError):
        U55.compile(models("two_inputs"))


def test_it_runs_nothing_and_says_so(models: Models) -> None:
    with pytest.raises(TargetError, match="does not run it") as caught:
        U55.open(models("int8"))
    assert "reference" in str(caught.value.fix)


def test_it_is_in_the_table_as_a_family() -> None:
    assert TARGETS["ethosu"]
    assert isinstance(ETHOSU, Family)
    assert ETHOSU.usage == "ethosu:CONFIG"
