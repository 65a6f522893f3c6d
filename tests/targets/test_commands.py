from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from edgeres.bundle import MODEL
from edgeres.console import run
from edgeres.history import read
from edgeres.results import read_result
from targets.runtimes.ethosu import ETHOSU
from tests.processes import children, outliving
from tests.targets.bundles import LABELS_OF_DATA, make_bundle, write_images
from tests.targets.conftest import Models

CLI = Path(__file__).parents[2] / "cli.py"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, models: Models) -> Path:
    """A folder with two bundles, two flatbuffers, and images."""
    folder = tmp_path_factory.mktemp("place")
    for name in ("float32", "int8"):
        make_bundle(folder / name, models(name))
        (folder / f"{name}.tflite").write_bytes(models(name))
    write_images(folder / "images")
    return folder


@pytest.fixture(autouse=True)
def _inside(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)


def keys(record: dict[str, Any]) -> set[str]:
    return set(record)


ESTIMATE = {"value", "low", "high", "level", "method", "n"}


def test_evaluate_prints_a_table_and_writes_the_designed_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["evaluate", "float32", "int8", "--data", "folder:images", "--json", "e.json", "--history", "h.db"]) == 0
    out, err = capsys.readouterr()
    assert "top-1" in out
    assert "float32 (baseline)" in out
    assert "%" in out
    assert "[" in out
    assert err == ""
    written = json.loads(Path("e.json").read_text())
    assert keys(written) == {"schema", "created", "environment", "data", "artifacts"}
    assert written["schema"] == "edgeres.result/1"
    assert keys(written["data"]) == {"source", "split", "images", "sha256", "seed", "labels", "truth"}
    first, second = written["artifacts"]
    common = {"name", "path", "sha256", "size_bytes", "target", "baseline", "accuracy", "operators"}
    assert keys(first) == keys(second) == common
    assert keys(first["accuracy"]) == {"images", "top1", "calibration", "predictions"}
    assert keys(second["accuracy"]) == {
        *keys(first["accuracy"]),
        "top1_drop_points",
        "top1_drop_bounds_points",
        "class_drops_points",
        "divergence",
        "flips",
        "lost",
        "won",
        "mcnemar_p",
        "agreement",
        "margin_points",
        "verdict",
        "images_needed",
    }
    assert keys(second["accuracy"]["top1_drop_points"]) == ESTIMATE
    assert len(first["accuracy"]["predictions"]) == len(written["data"]["truth"]) == written["data"]["images"]
    assert read_result(Path("e.json")).artifacts[0].baseline
    assert [entry.artifact for entry in read(Path("h.db"))] == ["float32", "int8"]


def test_profile_goes_on_where_a_target_refuses_an_artifact_and_ends_with_6(
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ["profile", "float32", "int8.tflite", "--target", "ethosu:u55-256", "--json", "n.json"]
    assert run(arguments) == 6
    out, err = capsys.readouterr()
    refused = "float32: the Ethos-U55-256 runs no operator of this model"
    assert out.startswith(f"NOT MEASURED on ethosu:u55-256: {refused}")
    assert "Ethos_U55_High_End_Embedded" in out
    assert "1 of 2 measurements were not made" in err
    assert f"ethosu:u55-256: {refused}" in err
    assert [row.failure is None for row in read_result(Path("n.json")).artifacts] == [False, True]


def test_a_history_that_is_none_is_refused_before_anything_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    Path("no.db").write_text("text")
    assert run(["evaluate", "float32", "--data", "folder:images", "--history", "no.db"]) == 8
    out, err = capsys.readouterr()
    assert "no.db cannot be read as a history" in err
    assert out == ""


def test_profile_prints_a_table_and_writes_the_designed_json(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["profile", "float32", "int8.tflite", "--target", "cpu", "--threads", "2", "--json", "p.json"]
    assert run(arguments) == 0
    out, _ = capsys.readouterr()
    assert "2 threads" in out
    assert "speed-up" in out
    written = json.loads(Path("p.json").read_text())
    assert keys(written) == {"schema", "created", "environment", "artifacts"}
    first, second = written["artifacts"]
    assert keys(first) - {"latency", "memory", "operators", "proof"} == {
        "name",
        "path",
        "sha256",
        "size_bytes",
        "download_bytes",
        "target",
        "baseline",
    }
    timing = {"threads", "p50_ms", "p90_ms", "rounds", "looks", "processes", "conditions"}
    assert keys(first["latency"]) - {"p99_ms"} == timing
    assert keys(second["latency"]) - {"p99_ms"} == {*timing, "speedup", "speedup_bca", "verdict"}
    assert keys(second["latency"]["speedup"]) == ESTIMATE
    assert keys(first["memory"]) == {"load_bytes", "peak_bytes", "arena_bytes"}
    assert {"nodes", "delegated", "delegate"} <= keys(first["operators"])
    assert first["proof"]["passed"]
    assert (first["latency"]["threads"], first["latency"]["looks"]) == (2, 3)
    assert len(first["latency"]["rounds"]) == len(second["latency"]["rounds"])
    assert len(first["latency"]["rounds"]) in (30, 60, 120)
    read_result(Path("p.json"))


@pytest.mark.slow
def test_profile_measures_further_what_is_asked_for_and_says_what_cannot_be(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["profile", "float32", "int8.tflite", "--throughput", "--energy", "--rounds", "30", "--json", "f.json"]
    assert run(arguments) == 0
    out, _ = capsys.readouterr()
    assert "images/s" in out
    for row in json.loads(Path("f.json").read_text())["artifacts"]:
        first, *others = row["throughput"]
        assert keys(first) == {"threads", "processes", "batch", "images_per_s", "rates"}
        assert all(keys(other) == {*keys(first), "scaling"} for other in others)
        assert keys(first["images_per_s"]) == ESTIMATE
        assert len(first["rates"]) == 12
        assert ("energy" in row) != ("unmeasured" in row)
        if "unmeasured" in row:  # most machines that run tests
            assert keys(row["unmeasured"]["energy"]) == {"message", "details", "fix"}
            assert "energy not measured: " + row["unmeasured"]["energy"]["message"] in " ".join(out.split())
    assert run(["report", "f.json", "--recompute"]) == 0


def test_profile_keeps_what_a_compiler_makes_and_marks_its_figures(capsys: pytest.CaptureFixture[str]) -> None:
    if not ETHOSU.check().available:
        pytest.skip(str(ETHOSU.check().why))
    arguments = ["profile", "int8", "--target", "ethosu:u55-128", "--keep", "kept", "--json", "c.json"]
    assert run(arguments) == 0
    assert "not run" in capsys.readouterr().out
    (row,) = read_result(Path("c.json")).artifacts
    assert row.estimate is not None
    assert row.latency is None
    assert Path("kept/int8.ethosu-u55-128.tflite").read_bytes()[4:8] == b"TFL3"
    assert run(["inspect", "kept/int8.ethosu-u55-128.tflite"]) == 0
    assert run(["profile", "float32", "--target", "ethosu:u55-128"]) == 6
    assert "float32: the Ethos-U55-128 runs no operator" in capsys.readouterr().err


def test_targets_lists_every_target(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["targets", "--json", "t.json"]) == 0
    assert "reference" in capsys.readouterr().out
    rows = json.loads(Path("t.json").read_text())["targets"]
    assert [row["name"] for row in rows][:2] == ["cpu", "reference"]
    assert all(keys(row) == {"name", "kind", "available", "why", "fix", "version"} for row in rows)


def test_verify_passes_what_was_made_here(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["verify", "int8", "--json", "v.json"]) == 0
    assert "FAILED" not in capsys.readouterr().out
    written = json.loads(Path("v.json").read_text())
    assert written["verified"] is True
    assert [check["name"] for check in written["checks"]] == ["files", "preprocessing", "reference", "cpu"]


def test_verify_ends_with_8_where_a_file_was_altered(
    tmp_path: Path, models: Models, capsys: pytest.CaptureFixture[str]
) -> None:
    make_bundle(tmp_path / "b", models("int8"))
    (tmp_path / "b" / MODEL).write_bytes(models("int8") + b" ")
    assert run(["verify", str(tmp_path / "b"), "--json", str(tmp_path / "v.json")]) == 8
    out, err = capsys.readouterr()
    assert "FAILED" in out
    assert "altered" in err
    assert json.loads((tmp_path / "v.json").read_text())["verified"] is False


def test_a_file_without_a_contract_needs_the_option(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["evaluate", "float32.tflite", "--data", "folder:images"]
    assert run(arguments) == 3
    assert "--preprocess" in capsys.readouterr().err
    assert run([*arguments, "--preprocess", "raw", "--images", "5", "--split", "train"]) == 0
    assert "5 images of folder:images, train split" in capsys.readouterr().out
    assert run([*arguments, "--preprocess", "rwa"]) == 3
    assert "did you mean 'raw'" in capsys.readouterr().err


def test_the_baseline_option_and_the_margin_are_heeded() -> None:
    arguments = ["evaluate", "float32", "--data", "folder:images", "--baseline", "int8", "--margin", "100"]
    assert run([*arguments, "--json", "e.json"]) == 0
    first, second = read_result(Path("e.json")).artifacts
    assert (first.path, first.baseline) == ("int8", True)
    assert second.accuracy is not None
    assert (second.accuracy.margin_points, second.accuracy.verdict) == (100, "pass")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["evaluate", "--data", "folder:images"], 2, "Missing argument"),
        (["evaluate", "int8"], 2, "--data"),
        (["profile", "int8", "--rounds", "5"], 2, "--rounds"),
        (["profile", "int8", "--starts", "5"], 2, "--starts"),
        (["profile", "int8", "--rounds", "60", "--max-rounds", "40"], 2, "at least --rounds (60), found 40"),
        (["profile", "int8", "--threads", "0"], 2, "--threads"),
        (["evaluate", "int8", "--data", "folder:images", "--margin", "nan"], 3, "margin"),
        (["profile", "int8", "--json", "images"], 2, "not a regular file"),
        (["profile", "int8", "--json", "int8.tflite/x.json"], 2, "not a folder"),
        (["evaluate", "int8", "--data", "folder:absent"], 4, "does not exist"),
        (["evaluate", "int8", "--data", "digit"], 4, "did you mean 'digits'"),
        (["evaluate", "int8", "--data", "folder:images", "--split", "tets"], 4, "did you mean 'test'"),
        (["evaluate", "absent", "--data", "folder:images"], 5, "absent does not exist"),
        (["profile", "absent.tflite"], 5, "absent.tflite does not exist"),
        (["verify", "absent"], 5, "does not exist"),
        (["profile", "int8", "--target", "cpuu"], 6, "did you mean 'cpu'"),
        (["evaluate", "int8", "--data", "folder:images", "--target", "referense"], 6, "did you mean 'reference'"),
        (["profile", "int8", "--target", "ethosu:u55-25"], 6, "did you mean 'ethosu:u55-256'"),
        (["profile", "int8", "--keep", "kept"], 3, "no target compiles"),
        (["profile", "int8", "--keep", "kept", "--target", "npu:openvino:aot"], 3, "no target compiles"),
        (["verify", "images"], 8, "not a bundle"),
        (["profile", "junk.tflite"], 8, "junk.tflite"),
    ],
)
def test_bad_input_ends_with_its_exit_code_and_one_clear_error(
    arguments: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("junk.tflite").write_bytes(b"\x10\0\0\0TFL3" + b"\xff" * 100)
    assert run(arguments) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert "Traceback" not in err


def test_json_replaces_a_file_and_leaves_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "t.json"
    assert run(["targets", "--json", str(target)]) == 0
    target.write_text("old")
    assert run(["targets", "--json", str(target)]) == 0
    assert "targets" in json.loads(target.read_text())
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("command", ["evaluate", "profile", "targets", "verify"])
def test_help_of_every_command(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([command, "--help"]) == 0
    assert "--json" in capsys.readouterr().out


def test_help_imports_neither_numpy_nor_tensorflow() -> None:
    code = (
        "import sys; from edgeres.console import run; run(['profile', '--help']); "
        "sys.exit('numpy' in sys.modules or 'tensorflow' in sys.modules or 'rich' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=CLI.parent).returncode == 0


def test_from_a_checkout_results_go_to_stdout_and_the_rest_to_stderr() -> None:
    command = [sys.executable, str(CLI), "evaluate", "int8", "--data", "folder:images"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "top-1" in done.stdout
    failed = subprocess.run([*command, "--target", "moon"], capture_output=True, text=True)
    assert (failed.returncode, failed.stdout) == (6, "")
    assert failed.stderr.startswith("error: unknown target 'moon'")


def interrupt(arguments: list[str], *, sessions: int) -> tuple[int, str, str, list[int]]:
    """Run a command, send SIGINT once its sessions are there, and say what came of it."""
    with subprocess.Popen(
        [sys.executable, str(CLI), *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        deadline = time.monotonic() + 60
        while len(born := children(process.pid)) < sessions:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    return process.returncode, out, err, born


def test_ctrl_c_while_profiling_ends_with_130_and_leaves_no_child(tmp_path: Path) -> None:
    report = tmp_path / "p.json"
    arguments = ["profile", "float32", "int8", "--rounds", "1000000", "--json", str(report)]
    code, out, err, born = interrupt(arguments, sessions=2)
    assert (code, out, err.strip()) == (130, "", "interrupted")
    assert not outliving(born)
    assert not report.exists()


def test_ctrl_c_while_evaluating_ends_with_130_and_leaves_no_child(tmp_path: Path) -> None:
    Image.new("RGB", (1200, 1200), (9, 99, 200)).save(tmp_path / "large.png")
    for label in LABELS_OF_DATA:
        (tmp_path / "large" / label).mkdir(parents=True)
        for number in range(60):  # some seconds of decoding: more than passes until the signal
            os.link(tmp_path / "large.png", tmp_path / "large" / label / f"{number}.png")
    arguments = ["evaluate", "float32", "int8", "--data", f"folder:{tmp_path / 'large'}", "--split", "train"]
    code, out, err, born = interrupt(arguments, sessions=2)
    assert (code, out, err.strip()) == (130, "", "interrupted")
    assert not outliving(born)
