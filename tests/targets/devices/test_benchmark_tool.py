"""What `benchmark_model` prints, in the forms of its versions; where its file comes from."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from edgeres.errors import ConfigError, TargetError
from edgeres.storage import sha256_bytes
from targets.devices.benchmark_tool import (
    VARIABLE,
    Call,
    block_record,
    coverage,
    find_tool,
    parse_report,
    target_flags,
)

NEW = """\
INFO: STARTING!
INFO: Log parameter values verbosely: [0]
INFO: Graph: [/data/local/tmp/edgeres.abcdefghij/1-model.tflite]
INFO: Loaded model /data/local/tmp/edgeres.abcdefghij/1-model.tflite
INFO: Initialized TensorFlow Lite runtime.
INFO: GPU delegate created.
VERBOSE: Replacing 29 out of 31 node(s) with delegate (TfLiteGpuDelegateV2) node, yielding 2 partitions for subgraph 0.
INFO: Explicitly applied GPU delegate, and the model graph will be partially executed by the delegate w/ 1 delegate kernels.
INFO: The input model file size (MB): 3.5
INFO: Initialized session in 870.557ms.
INFO: Running benchmark for at least 1 iterations and at least 0.1 seconds but terminate if exceeding 60 seconds.
INFO: count=4 first=13056 curr=12082 min=11737 max=13056 avg=12237.3 std=493 p5=11737 median=12082 p95=13056

INFO: Running benchmark for at least 2 iterations and at least 0 seconds but terminate if exceeding 60 seconds.
INFO: count=2 first=11921 curr=11805 min=11805 max=11921 avg=11863 std=58 p5=11805 median=11921 p95=11921

INFO: Inference timings in us: Init: 870557, First inference: 13056, Warmup (avg): 12237.3, Inference (avg): 11863
INFO: Note: as the benchmark tool itself affects memory footprint, the following is only APPROXIMATE
INFO: Memory footprint delta from the start of the tool (MB): init=91.5 overall=128
INFO: Profiling Info for Benchmark Initialization:
============================== Run Order ==============================
\t             [node type]\t  [first]\t [avg ms]\t     [%]\t  [cdf%]\t  [mem KB]\t[times called]\t[Name]
\t ModifyGraphWithDelegate\t  800.000\t  800.000\t 99.000%\t 99.000%\t  1000.000\t        1\tModifyGraphWithDelegate/0
\t         AllocateTensors\t    0.100\t    0.100\t  1.000%\t100.000%\t     0.000\t        1\tAllocateTensors/0

============================== Top by Computation Time ==============================
INFO: Operator-wise Profiling Info for Regular Benchmark Runs:
============================== Run Order ==============================
\t             [node type]\t  [first]\t [avg ms]\t     [%]\t  [cdf%]\t  [mem KB]\t[times called]\t[Name]
\t     TfLiteGpuDelegateV2\t   11.000\t   11.000\t 98.000%\t 98.000%\t     0.000\t        1\t[Identity1]:31
\t                    MEAN\t    0.100\t    0.100\t  1.000%\t 99.000%\t     0.000\t        1\t[a/Mean;b: c]:28
\t                 SOFTMAX\t    0.100\t    0.100\t  1.000%\t100.000%\t     0.000\t        1\t[StatefulPartitionedCall:0]:30

============================== Top by Computation Time ==============================
\t     TfLiteGpuDelegateV2\t   11.000\t   11.000\t 98.000%\t 98.000%\t     0.000\t        1\t[Identity1]:31

Number of nodes executed: 3
"""  # noqa: E501

KINDS = {"CONV_2D": 20, "ADD": 9, "MEAN": 1, "SOFTMAX": 1}


def test_a_report_is_read_whole() -> None:
    report = parse_report(NEW, runs=2)
    assert report.last_ms == 11.805
    assert (report.initialization_us, report.first_us) == (870557, 13056)
    assert report.warm_up["count"] == 4
    assert (report.load_bytes, report.peak_bytes) == (int(91.5 * 2**20), 128 * 2**20)
    assert report.replaced == {"TfLiteGpuDelegateV2": 29}
    assert report.ran == Counter({"TfLiteGpuDelegateV2": 1, "MEAN": 1, "SOFTMAX": 1})
    assert block_record(report) == {
        "count": 2, "first": 11921, "curr": 11805, "min": 11805, "max": 11921, "avg": 11863, "std": 58, "p5": 11805,
        "median": 11921, "p95": 11921,
    }  # fmt: skip


def test_coverage_is_that_of_the_profile() -> None:
    found = coverage(parse_report(NEW, runs=2), "gpu", kinds=KINDS)
    assert (found.nodes, found.delegated, found.delegate) == (31, 29, "the GPU delegate")
    assert found.left == {"MEAN": 1, "SOFTMAX": 1}


@pytest.mark.parametrize(
    ("line", "last"),
    [
        ("count=2 curr=55(all same)", 0.055),
        ("curr=55 count=2(all same)", 0.055),
        ("count=2 first=1 curr=3 min=1 max=3 avg=2 std=1", 0.003),
        ("count=2 first=1.5e+06 curr=3e+06 min=1.5e+06 max=3e+06 avg=2 std=1", 3000.0),
    ],
)
def test_lines_of_other_versions_are_read(line: str, last: float) -> None:
    old = NEW.replace("INFO: ", "").replace(NEW.splitlines()[14].removeprefix("INFO: "), line)
    assert parse_report(old, runs=2).last_ms == last


def test_a_single_run_has_one_time() -> None:
    one = NEW.replace(NEW.splitlines()[14], "INFO: count=1 curr=77 p5=77 median=77 p95=77")
    assert parse_report(one, runs=1).last_ms == 0.077


@pytest.mark.parametrize("lines", range(len(NEW.splitlines()) - 1))
def test_an_output_that_ends_early_is_an_error_or_lacks_its_profile(lines: int) -> None:
    cut = "\n".join(NEW.splitlines()[:lines])
    if "Inference timings" not in cut:
        with pytest.raises(TargetError, match="not whole"):
            parse_report(cut, runs=2)
    else:
        assert parse_report(cut, runs=2).last_ms == 11.805


@pytest.mark.parametrize(
    "line",
    [
        "count=3 first=11921 curr=11805 min=11805 max=11921 avg=11863 std=58",
        "count=2 first=0 curr=0 min=0 max=0 avg=0 std=0",
        "count=2 first=9 curr=11 min=1 max=10 avg=5 std=5",
        "count=2 first=-5 curr=-5 min=-5 max=-5 avg=-5 std=0",
        "count=0",
        "count=2 first=1.2.3 curr=1.2.3 min=1.2.3 max=1.2.3",
        "count=2.5.5 first=3 curr=3 min=3 max=3",
        f"count=2 first=3 curr={'9' * 5000} min=3 max=3",
        "count=2 first=3 curr=1e999 min=3 max=1e999",
    ],
)
def test_numbers_that_make_no_sense_are_refused(line: str) -> None:
    with pytest.raises(TargetError, match="make no sense"):
        parse_report(NEW.replace(NEW.splitlines()[14], line), runs=2)


def test_numbers_with_too_many_digits_are_none() -> None:
    huge = "9" * 5000
    with pytest.raises(TargetError, match="not whole"):
        parse_report(NEW.replace("Init: 870557", f"Init: {huge}"), runs=2)
    report = parse_report(NEW.replace("Replacing 29", f"Replacing {huge}").replace("std=58", "std=1e999"), runs=2)
    assert report.replaced == {}
    assert "std" not in block_record(report)


def test_an_option_that_the_tool_does_not_know_is_named() -> None:
    with pytest.raises(TargetError, match="does not know --output_filepath=/x"):
        parse_report(f"INFO: Unconsumed cmdline flags: --output_filepath=/x\n{NEW}", runs=2)


def test_a_delegate_that_takes_nothing_is_an_error() -> None:
    refused = NEW.replace(
        NEW.splitlines()[7],
        "INFO: Though GPU delegate is explicitly applied, the model graph will not be executed by the delegate.",
    )
    with pytest.raises(TargetError, match="takes none of the model's 31 operators"):
        coverage(parse_report(refused, runs=2), "gpu", kinds=KINDS)


def test_a_tool_that_contradicts_itself_is_not_believed() -> None:
    boasting = NEW.replace("partially executed by the delegate w/ 1 delegate kernels", "completely executed by it")
    with pytest.raises(TargetError, match="says that the GPU delegate runs the model completely, its profile has 2"):
        coverage(parse_report(boasting, runs=2), "gpu", kinds=KINDS)


def test_a_tool_without_a_profile_proves_nothing() -> None:
    with pytest.raises(TargetError, match="no profile of the operators"):
        coverage(parse_report(NEW.partition("INFO: Profiling")[0], runs=2), "gpu", kinds=KINDS)


def test_no_target_asks_for_nnapi_and_each_for_its_own_delegate() -> None:
    assert target_flags("cpu") == ("--use_xnnpack=true",)
    assert target_flags("gpu") == ("--use_gpu=true", "--use_xnnpack=false")
    npu = target_flags("npu", delegate="/d/delegate.so", options="backend:htp")
    assert npu[0] == "--external_delegate_path=/d/delegate.so"
    assert npu[-1] == "--external_delegate_options=backend:htp"
    words = Call("/t", "/m", 4, target_flags("cpu")).words(runs=2, warm_up=(1, 0.1), seconds=60)
    assert words[:5] == ["/t", "--graph=/m", "--num_threads=4", "--num_runs=2", "--min_secs=0"]
    assert not [word for word in words if "nnapi" in word]


def test_the_tool_is_found_where_it_is_named_and_in_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGERES_CACHE", str(tmp_path))
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(ConfigError, match="is nowhere") as caught:
        find_tool(None, sha256=None, abi="arm64-v8a")
    assert "bazel build" in caught.value.details[0]
    assert "SHA-256" in caught.value.details[1]
    assert f"{tmp_path}/android/benchmark_model-arm64-v8a" in str(caught.value.fix)
    cached = tmp_path / "android" / "benchmark_model-arm64-v8a"
    cached.parent.mkdir()
    cached.write_bytes(b"cached")
    assert find_tool(None, sha256=None, abi="arm64-v8a").content == b"cached"
    (tmp_path / "other").write_bytes(b"other")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "other"))
    assert find_tool(None, sha256=None, abi="arm64-v8a").content == b"other"
    (tmp_path / "given").write_bytes(b"given")
    found = find_tool(str(tmp_path / "given"), sha256=sha256_bytes(b"given").upper(), abi="arm64-v8a")
    assert found.content == b"given"


def test_a_tool_with_another_hash_or_for_another_processor_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tool").write_bytes(b"\x7fELF" + bytes(14) + b"\x3e\x00" + bytes(40))
    with pytest.raises(ConfigError, match="the inventory expects 00"):
        find_tool(str(tmp_path / "tool"), sha256="0" * 64, abi="x86_64")
    with pytest.raises(ConfigError, match="built for x86_64, the device runs arm64-v8a"):
        find_tool(str(tmp_path / "tool"), sha256=None, abi="arm64-v8a")
    assert find_tool(str(tmp_path / "tool"), sha256=None, abi="x86_64").content
    with pytest.raises(ConfigError, match="cannot be read"):
        find_tool(str(tmp_path), sha256=None, abi="x86_64")
