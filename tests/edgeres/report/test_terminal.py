from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console
from rich.table import Table

from edgeres.report import terminal
from edgeres.results import (
    Accuracy,
    ArtifactResult,
    CompilerEstimate,
    DataRecord,
    Estimate,
    Latency,
    Memory,
    Operators,
    Result,
    Start,
    Startup,
)


def estimate(value: float, low: float, high: float) -> Estimate:
    return Estimate(value, low, high, 0.95, "given", 100)


TOP1 = estimate(0.972, 0.961, 0.98)
FLOAT = ArtifactResult("float", "a.tflite", "0" * 64, 313_000, "cpu", True, accuracy=Accuracy(360, TOP1))
INT8 = replace(
    FLOAT,
    name="int8",
    size_bytes=98_496,
    baseline=False,
    accuracy=Accuracy(
        360,
        TOP1,
        top1_drop_points=estimate(0.28, -0.1, 0.66),
        agreement=estimate(0.99, 0.98, 0.995),
        margin_points=1,
        verdict="pass",
    ),
)
DATA = DataRecord("digits", "test", 360, "0" * 64)


def text(table: Table) -> str:
    console = Console(file=io.StringIO(), width=200)
    console.print(table)
    stream = console.file
    assert isinstance(stream, io.StringIO)
    return stream.getvalue()


def test_accuracies_come_with_interval_and_verdict() -> None:
    found = text(terminal.accuracy_table(Result({}, (FLOAT, INT8), data=DATA)))
    assert "97.2 % [96.1, 98.0]" in found
    assert "0.28 points [−0.10, 0.66]" in found
    assert "pass" in found
    assert "98.5 kB" in found
    assert "float (baseline)" in found
    assert "360 images of digits, test split" in found
    assert "top-5" not in found


def test_a_single_artifact_has_no_columns_of_comparison() -> None:
    found = text(terminal.accuracy_table(Result({}, (replace(FLOAT, baseline=False),), data=DATA)))
    assert "verdict" not in found
    assert "(baseline)" not in found


def test_latencies_come_with_interval_and_verdict() -> None:
    timing = Latency(1, estimate(0.27, 0.26, 0.28), estimate(0.3, 0.29, 0.32), ((0.27,),) * 30)
    faster = replace(timing, speedup=estimate(3.52, 3.49, 3.55), verdict="faster")
    memory, operators = Memory(1000, 2_500_000, 300), Operators(15, 13, "XNNPACK", left={"SOFTMAX": 1, "MEAN": 1})
    rows = (replace(FLOAT, latency=timing), replace(INT8, latency=faster, memory=memory, operators=operators))
    found = text(terminal.latency_table(Result({}, rows)))
    assert "3.52x [3.49, 3.55]" in found
    assert "faster" in found
    assert "0.270 ms [0.260, 0.280]" in found
    assert "13 of 15 by XNNPACK; left: 1 MEAN, 1 SOFTMAX" in found
    assert "2.5 MB peak" in found
    assert "1 thread\n" in found.replace(" \n", "\n").replace("  ", "")


def test_both_tables_are_printed_to_stdout_and_lines_stay_whole(capsys: pytest.CaptureFixture[str]) -> None:
    timing = Latency(2, TOP1, TOP1, ((0.27,),) * 30)
    long = replace(FLOAT, name="a" * 60, latency=timing)
    terminal.print_result(Result({}, (long,), data=DATA))
    printed = capsys.readouterr()
    assert "97.2 % [96.1, 98.0]" in printed.out
    assert "2 threads" in printed.out
    assert printed.out.count("a" * 60) == 2
    assert printed.err == ""


def test_hostile_names_neither_style_nor_steer_the_terminal() -> None:
    hostile = replace(FLOAT, name="[red]x[/red]\x1b[2J\u202e")
    found = text(terminal.accuracy_table(Result({}, (hostile,), data=replace(DATA, source="[b]\x07"))))
    assert "[red]x[/red]" in found
    assert "[b]" in found
    assert not {"\x1b", "\u202e", "\x07"} & set(found)


def test_a_99th_percentile_has_a_column_where_an_artifact_has_one_and_a_dash_where_it_has_none() -> None:
    timing = Latency(1, TOP1, TOP1, ((0.27,),) * 30)
    some = replace(FLOAT, latency=replace(timing, p99_ms=estimate(0.31, 0.3, 0.33)))
    none = replace(INT8, latency=timing)
    with_one = text(terminal.latency_table(Result({}, (some, none))))
    assert "0.310 ms [0.300, 0.330]" in with_one
    assert "–" in next(line for line in with_one.splitlines() if "int8" in line)
    assert "p99" not in text(terminal.latency_table(Result({}, (none,))))


def test_start_up_has_a_table_of_its_own() -> None:
    loaded, peak = estimate(3.9e6, 3.8e6, 4e6), estimate(7e6, 6.9e6, 7.2e6)
    startup = Startup(estimate(2.5, 2.4, 2.7), TOP1, loaded, peak, (Start(2.5, 0.972, 3_900_000, 7_000_000),) * 6)
    found = text(terminal.startup_table(Result({}, (replace(FLOAT, startup=startup), INT8))))
    assert "6 fresh processes" in found
    assert "2.50 ms [2.40, 2.70]" in found
    assert "7.0 MB [6.9, 7.2]" in found
    assert "int8" not in found


def test_what_has_no_latency_has_a_table_of_memory(capsys: pytest.CaptureFixture[str]) -> None:
    operators = Operators(nodes=9, delegated=0, left={"ADD": 9})
    micro = replace(INT8, target="micro", accuracy=None, memory=Memory(7776, 7776, 4096), operators=operators)
    terminal.print_result(Result({}, (micro,)))
    found = capsys.readouterr().out
    assert "without a latency" in found
    assert "7.78 kB peak" in found
    assert "0 of 9" in found
    assert "p50" not in found


def test_what_a_compiler_computes_is_marked_as_an_estimate(capsys: pytest.CaptureFixture[str]) -> None:
    figures = CompilerEstimate(
        "vela 5", "Deep_Embedded, Shared", 5e8, 144_058, 109_670, 0.288116, 51_888, 0, 79_184, 10
    )
    npu = replace(INT8, target="ethosu:u55-256", accuracy=None, memory=Memory(51_888, 51_888, 49_152), estimate=figures)
    terminal.print_result(Result({}, (npu,)))
    found = capsys.readouterr().out
    assert "estimated by vela 5: compiled, not run" in found
    for expected in ("time (estimate)", "0.288 ms", "144,058", "51.9 kB", "0 bytes", "79.2 kB", "Deep_Embedded"):
        assert expected in found
    assert "p50" not in found
    assert "without a latency" not in found
