from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgeres.console import run
from edgeres.errors import ArtifactError, ConfigError, TargetError
from edgeres.results import read_result
from targets.artifact import Artifact
from targets.catalogue import find_target
from targets.exactness import exactness
from targets.flatbuffer import walk
from targets.graph import Graph
from targets.profiling import profile
from targets.proof import prove
from targets.runtimes.npu import AHEAD, NPU, OPENVINO, OpenVinoTarget
from targets.runtimes.npu_compiler import compiled
from targets.runtimes.npu_engine import partitioned
from targets.runtimes.npu_vendors import VENDORS, Vendor, installed, required
from targets.sandbox import Sandbox
from targets.target import Accelerator, Compiler, Family
from tests.targets.conftest import Models
from tests.targets.test_profiling import QUICK

IMAGES = np.random.default_rng(5).uniform(0, 255, (6, 16, 16, 3)).astype(np.float32)
INTEL = VENDORS["openvino"].distribution
BOTH = pytest.mark.parametrize("target", [OPENVINO, AHEAD], ids=["jit", "aot"])
needs_openvino = pytest.mark.skipif(
    not OPENVINO.check().available, reason=f"npu:openvino: {OPENVINO.check().why} ({OPENVINO.check().fix})"
)


@needs_openvino
@BOTH
@pytest.mark.parametrize("name", ["float32", "float16", "int8", "dynamic_int8"])
def test_it_computes_what_the_reference_kernels_do_and_dispatches_all_of_it(
    models: Models, target: OpenVinoTarget, name: str
) -> None:
    with target.open(models(name)) as session:
        found = session.operators()
        proof = prove(Artifact("m", "m.tflite", "tflite", models(name)), session, target)
    assert (found.delegated, found.partitions, found.left) == (found.nodes, 1, {})
    assert proof is not None
    assert proof.passed
    assert proof.device == "OpenVINO's CPU backend: functional only, no NPU"
    agreement = exactness(models(name), IMAGES, target=target)
    assert agreement.largest <= (10 if agreement.steps else 3e-4)


@needs_openvino
def test_what_is_compiled_ahead_says_by_what_and_how(models: Models) -> None:
    found = AHEAD.compile(models("int8"))
    assert found.compiler == AHEAD.check().version
    assert found.options == {"vendor": "intel_openvino", "soc": "PTL", "intel_openvino_graph_backends": "cpu"}
    assert walk(found.file).kinds == {"DISPATCH_OP": 1}
    assert (found.operators.delegated, found.operators.partitions) == (9, 1)
    assert (found.estimate, found.memory) == (None, None)


@needs_openvino
def test_float_is_not_rounded_to_bfloat16(models: Models) -> None:
    assert exactness(models("float32"), IMAGES, target=OPENVINO).largest < 1e-6


@needs_openvino
def test_it_has_no_time_and_the_result_says_what_it_ran_on(
    models: Models, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "m.tflite").write_bytes(models("int8"))
    arguments = ["profile", str(tmp_path / "m.tflite"), "--target", "npu:openvino", "--json", str(tmp_path / "r.json")]
    assert run(arguments) == 0
    printed = capsys.readouterr().out
    assert "npu:openvino is OpenVINO's CPU backend: functional only, no NPU" in printed
    (row,) = read_result(tmp_path / "r.json").artifacts
    assert row.latency is None
    assert row.memory is not None
    assert row.operators is not None
    assert (row.operators.partitions, row.operators.delegated) == (1, 9)


@needs_openvino
def test_an_operator_that_the_plugin_leaves_is_an_error_with_its_layer(models: Models) -> None:
    with pytest.raises(TargetError, match="DENSIFY as the layer 'wide' has it"):
        OPENVINO.open(models("sparse"))


@needs_openvino
def test_a_file_of_the_compilers_that_is_no_model_is_refused(models: Models) -> None:
    with pytest.raises(TargetError, match="that is no model") as caught:
        AHEAD.open(models("sparse"))  # it drops what says where the weights lie
    assert "not a well-formed" in caught.value.details[0]


@needs_openvino
def test_what_the_compiler_dies_on_is_a_target_error_with_its_words(models: Models) -> None:
    with pytest.raises(TargetError) as caught:
        OPENVINO.open(models("int4"))
    assert any("i4/u4" in line or "ERROR" in line for line in caught.value.details)


@needs_openvino
def test_a_session_without_evidence_is_an_error(models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a runtime would look like that runs the model on the CPU and says that it is accelerated."""
    with OPENVINO.open(models("int8")) as session:
        lines = session.lines()
        assert partitioned(lines) == (9, 9, 1)
        silent = tuple(line for line in lines if "Partitioned" not in line)
        monkeypatch.setattr(Sandbox, "lines", lambda self: silent)
        with pytest.raises(TargetError, match="no evidence that OpenVINO runs the model: it took 0 of 9"):
            session.operators()


def test_without_openvino_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, models: Models) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    found = OPENVINO.check()
    assert not found.available
    assert "edgeres[npu]" in str(found.fix)
    with pytest.raises(TargetError, match="OpenVINO is not installed"):
        OPENVINO.open(models("int8"))


def test_threads_and_malformed_files_are_refused(models: Models) -> None:
    with pytest.raises(ConfigError, match="no --threads"):
        OPENVINO.open(models("int8"), threads=2)
    with pytest.raises(ArtifactError):
        OPENVINO.open(models("int8")[:300])


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of packages that are found before those that are installed."""
    (tmp_path / "packages").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path / "packages"))
    return tmp_path / "packages"


def install(packages: Path, vendor: str, *, library: bytes | None) -> None:
    """As pip leaves a vendor's package: with the libraries that it fetched, or without them."""
    folder = packages / VENDORS[vendor].module
    (folder / "data").mkdir(parents=True)
    (folder / "__init__.py").write_text("def path_to_sdk_libs(*version):\n    return None\n")
    if library is not None:
        (folder / "data" / "libVendor.so").write_bytes(library)


def distribution(packages: Path, name: str, version: str, *requires: str) -> None:
    """The metadata of a package, as pip leaves it."""
    folder = packages / f"{name.replace('-', '_')}-{version}.dist-info"
    folder.mkdir()
    lines = [
        "Metadata-Version: 2.4",
        f"Name: {name}",
        f"Version: {version}",
        *(f"Requires-Dist: {r}" for r in requires),
    ]
    (folder / "METADATA").write_text("\n".join(lines))
    importlib.invalidate_caches()


@needs_openvino
def test_versions_that_were_not_made_for_one_another_are_told_with_the_one_to_install(packages: Path) -> None:
    distribution(packages, "openvino", "2026.9.9")
    found = OPENVINO.check()
    made_for = required(INTEL, "openvino")
    assert not found.available
    assert found.why == f"openvino is 2026.9.9, {INTEL} {installed(INTEL)} was made for {made_for}"
    assert found.fix == f"pip install openvino=={made_for}"
    distribution(packages, INTEL, "9.9.9", "openvino==2026.9.9")
    found = OPENVINO.check()
    assert not found.available
    assert f"{INTEL} 9.9.9: they must be the same version" in str(found.why)
    assert "edgeres[npu]" in str(found.fix)


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("openvino==2026.3.1", "2026.3.1"),
        ("openvino (==2026.3.1) ; python_version >= '3.10'", "2026.3.1"),
        ("openvino>=2026.3.1", None),
        ("openvino==2026.3.*", None),
        ("openvino-telemetry==1", None),
    ],
)
def test_a_required_version_is_one_only_where_it_is_named_exactly(
    packages: Path, text: str, version: str | None
) -> None:
    distribution(packages, "some-plugin", "1", "numpy>=1", text)
    assert required("some-plugin", "openvino") == version


CHIPS = ["qualcomm:SM8750", "mediatek:MT6991", "google-tensor:Tensor_G5", "samsung:E9965"]


@pytest.mark.parametrize("chip", CHIPS)
def test_a_chip_without_its_vendors_libraries_says_what_to_install(models: Models, chip: str) -> None:
    target = NPU.member(chip)
    assert isinstance(target, Compiler)
    assert not target.here
    if target.check().available:
        pytest.skip(f"npu:{chip}: the vendor's libraries are installed here")
    with pytest.raises(TargetError, match="cannot run here") as caught:
        target.compile(models("int8"))
    assert "pip install" in str(caught.value.fix)
    assert "ai-edge-litert-sdk-" in str(caught.value.fix)


@pytest.mark.parametrize("library", [None, b""], ids=["no library", "an empty library"])
def test_a_package_that_was_installed_empty_is_told_from_one_that_is_absent(
    packages: Path, library: bytes | None
) -> None:
    install(packages, "qualcomm", library=library)
    found = find_target("npu:qualcomm:SM8750").check()
    assert not found.available
    assert "installed empty" in str(found.why)
    assert "--force-reinstall" in str(found.fix)


def test_the_family_tells_what_each_vendor_lacks_with_commands_that_can_be_run(
    packages: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(packages, "qualcomm", library=None)
    install(packages, "mediatek", library=b"one")
    monkeypatch.setitem(sys.modules, "openvino", None)
    found = NPU.check()
    assert (found.available, found.version) == (True, "mediatek")
    assert "OpenVINO is not installed" in str(found.why)
    assert "no libraries of google-tensor, samsung" in str(found.why)
    assert "installed empty: ai-edge-litert-sdk-qualcomm" in str(found.why)
    own, absent, empty = str(found.fix).split("; ")
    assert own.startswith("pip install 'edgeres[npu]'")
    assert absent == "pip install ai-edge-litert-sdk-google-tensor ai-edge-litert-sdk-samsung-nightly"
    assert empty.startswith("pip install --force-reinstall --no-cache-dir ai-edge-litert-sdk-qualcomm (")


@pytest.mark.parametrize("chip", ["qualcomm:SM8750", "mediatek:MT6991"])
def test_a_compiler_that_fails_leaves_no_file_and_overwrites_none(
    packages: Path, models: Models, tmp_path: Path, chip: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """LiteRT's real plugin of the vendor, beside a library that is none of the vendor's."""
    vendor = chip.partition(":")[0]
    install(packages, vendor, library=b"no library")
    (tmp_path / "m.tflite").write_bytes(models("int8"))
    kept = tmp_path / "kept" / f"m.npu-{chip.replace(':', '-')}.tflite"
    kept.parent.mkdir()
    kept.write_bytes(b"a good one")
    arguments = ["profile", str(tmp_path / "m.tflite"), "--target", f"npu:{chip}", "--keep", str(kept.parent)]
    assert run(arguments) == 6
    printed = capsys.readouterr().err
    assert "the compiler for" in printed
    assert "lib" in printed  # the library that the plugin could not load
    assert kept.read_bytes() == b"a good one"
    assert [path.name for path in kept.parent.iterdir()] == [kept.name]


@needs_openvino
def test_a_compiled_file_is_kept_and_reported_without_an_estimate(
    models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Intel's real compiler, for its CPU backend in place of the chip that nothing here can compile for."""

    def on_cpu(model: bytes, graph: Graph, vendor: Vendor, chip: str, _: object, limits: object) -> object:
        return compiled(model, graph, vendor, chip, {"intel_openvino_graph_backends": "cpu"}, None)

    monkeypatch.setattr("targets.runtimes.npu.compiled", on_cpu)
    monkeypatch.setattr(Vendor, "missing", lambda self: None)
    (tmp_path / "m.tflite").write_bytes(models("int8"))
    arguments = ["profile", str(tmp_path / "m.tflite"), "--target", "npu:openvino:PTL"]
    assert run([*arguments, "--keep", str(tmp_path / "kept"), "--json", str(tmp_path / "r.json")]) == 0
    assert "9 of 9 by openvino" in capsys.readouterr().out
    assert walk((tmp_path / "kept" / "m.npu-openvino-PTL.tflite").read_bytes()).kinds == {"DISPATCH_OP": 1}
    (row,) = read_result(tmp_path / "r.json").artifacts
    assert (row.estimate, row.memory, row.latency) == (None, None, None)
    assert row.operators is not None
    assert row.operators.partitions == 1
    assert run(["report", str(tmp_path / "r.json"), "--out", str(tmp_path / "r.html")]) == 0
    assert "9 of 9" in (tmp_path / "r.html").read_text()


def test_a_chip_compiles_and_does_not_run(models: Models) -> None:
    with pytest.raises(TargetError, match="does not run it") as caught:
        NPU.member("qualcomm:SM8750").open(models("int8"))
    assert "reference" in str(caught.value.fix)


@needs_openvino
def test_the_chips_are_those_that_the_runtime_has() -> None:
    program = """
import importlib, sys
for vendor in sys.argv[1:]:
    chips = importlib.import_module(f"ai_edge_litert.aot.vendors.{vendor}.target").SocModel
    print(vendor, *(chip.value for chip in chips if chip.value != "ALL"))
"""
    vendors = [vendor.package for vendor in VENDORS.values()]
    found = subprocess.run([sys.executable, "-c", program, *vendors], capture_output=True, text=True, check=True)
    chips = {line.split()[0]: set(line.split()[1:]) for line in found.stdout.splitlines()}
    assert chips == {vendor.package: set(vendor.chips) for vendor in VENDORS.values()}


@pytest.mark.parametrize(
    ("name", "fix"),
    [
        ("npu:qualcom:SM8750", "did you mean 'npu:qualcomm'"),
        ("npu:qualcomm:SM8570", "did you mean 'npu:qualcomm:SM8"),
        ("npu:qualcomm", "npu:qualcomm:SM8750"),
        ("npu", "npu:openvino"),
    ],
)
def test_a_name_that_does_not_exist_is_an_error_with_the_nearest(name: str, fix: str) -> None:
    with pytest.raises(TargetError) as caught:
        find_target(name)
    assert fix in str(caught.value.fix)


def test_it_is_in_the_table_as_a_family() -> None:
    assert isinstance(NPU, Family)
    assert isinstance(OPENVINO, Accelerator)
    assert not isinstance(OPENVINO, Compiler)
    assert isinstance(AHEAD, Compiler)
    assert find_target("npu:openvino:aot") == AHEAD
    assert find_target("npu:openvino") == OPENVINO


@needs_openvino
def test_both_ways_are_rows_of_a_result(models: Models) -> None:
    given = Artifact("m", "m.tflite", "tflite", models("int8"))
    rows = profile([given], targets=["npu:openvino", "npu:openvino:aot"], protocol=QUICK).artifacts
    assert [row.proof is not None and row.proof.passed for row in rows] == [True, True]


def test_checking_loads_nothing_native_here() -> None:
    program = """
import sys
from targets.runtimes.npu import NPU
NPU.check()
print([name for name in sys.modules if name.startswith(("ai_edge_litert", "openvino", "tensorflow"))])
"""
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"
