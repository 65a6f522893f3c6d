from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest

from edgeres import __version__, errors
from edgeres.console import COMMANDS, run
from edgeres.errors import EdgeresError

HEAVY = ("numpy", "tensorflow", "tf_keras", "keras", "ai_edge_litert", "tflite_runtime", "PIL", "sklearn", "plotly")
"""What no `--help` may import."""


def python(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True)


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["--version"], *([name, "--help"] for name in COMMANDS)])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    script = f"""
import sys
from edgeres.console import run
code = run(sys.argv[1:])
print("imported:", [name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)
sys.exit(code)
"""
    done = python(script, *arguments)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == "imported: []"
    assert "Usage: edgeres" in done.stdout or __version__ in done.stdout


def test_help_lists_every_command_with_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    listed = capsys.readouterr().out.partition("Commands:")[2]
    for name in COMMANDS:
        lines = [line.split(maxsplit=1) for line in listed.splitlines() if line.split()[:1] == [name]]
        assert lines, f"{name} is not listed"
        assert len(lines[0]) == 2, f"{name} does not say what it does"
    assert "..." not in listed, "what a command does is cut off"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_and_its_options(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([name, "--help"]) == 0
    capsys.readouterr()
    from edgeres.registry import resolve

    command: click.Command = resolve(COMMANDS[name])
    assert command.name == name
    assert command.help
    for option in command.params:
        if isinstance(option, click.Option):
            assert option.help, f"{name} {option.opts[0]} has no help"


def test_a_misspelt_command_is_answered_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["evalute"]) == 2
    assert "no such command 'evalute': did you mean 'evaluate'?" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["--no-such-option"], ["train"], ["train", "--no-such-option"]])
def test_a_wrong_command_line_is_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 2
    said = capsys.readouterr()
    assert "Usage: edgeres" in said.err
    assert not said.out


def fail(error: BaseException) -> click.Command:
    """A command that ends with an exception."""

    @click.command()
    def command() -> None:
        raise error

    return command


failing: click.Command


def run_failing(error: BaseException, monkeypatch: pytest.MonkeyPatch, *options: str) -> int:
    """Run a command that is found in the table as any other is."""
    monkeypatch.setitem(COMMANDS, "fail", f"{__name__}:failing")
    monkeypatch.setitem(globals(), "failing", fail(error))
    return run([*options, "fail"])


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (errors.OutputError, 2),
        (errors.ConfigError, 3),
        (errors.MissingExtraError, 3),
        (errors.DataError, 4),
        (errors.ModelError, 5),
        (errors.TargetError, 6),
        (errors.GateError, 7),
        (errors.ArtifactError, 8),
    ],
)
def test_every_error_ends_with_its_exit_code(
    kind: type[EdgeresError], code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_failing(kind("3 of 4", details=["the first"], fix="do this"), monkeypatch) == code
    said = capsys.readouterr()
    assert said.err == "error: 3 of 4\n  the first\n  fix: do this\n"
    assert not said.out


def test_what_a_file_brings_into_an_error_or_the_log_does_not_move_the_cursor(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @click.command()
    def command() -> None:
        logging.getLogger("edgeres").warning("the class %s", "\x1b]0;mine\x07")
        raise errors.DataError("the class \x1b[2Jcat\u202e", details=["\x9b1m", "ünï"])

    monkeypatch.setitem(COMMANDS, "fail", f"{__name__}:failing")
    monkeypatch.setitem(globals(), "failing", command)
    assert run(["fail"]) == 4
    said = capsys.readouterr().err
    assert said.splitlines() == [
        "WARNING:edgeres:the class \ufffd]0;mine\ufffd",
        "error: the class \ufffd[2Jcat\ufffd",
        "  \ufffd1m",
        "  ünï",
    ]


def test_verbose_shows_where_an_error_came_from(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_failing(errors.DataError("x"), monkeypatch)
    assert "Traceback" not in capsys.readouterr().err
    run_failing(errors.DataError("x"), monkeypatch, "-v")
    said = capsys.readouterr().err
    assert "where it came from\nTraceback" in said
    assert said.endswith("error: x\n")


def test_an_interruption_is_130(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_failing(KeyboardInterrupt(), monkeypatch) == 130
    assert "interrupted" in capsys.readouterr().err


def test_a_full_disk_is_2(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_failing(OSError(28, "No space left on device", "/out/x"), monkeypatch) == 2
    assert "cannot write /out/x: no space is left" in capsys.readouterr().err


def test_a_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ZeroDivisionError):
        run_failing(ZeroDivisionError(), monkeypatch)
    with pytest.raises(FileNotFoundError):
        run_failing(FileNotFoundError(2, "No such file"), monkeypatch)


def test_a_code_that_a_command_chose_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_failing(click.exceptions.Exit(7), monkeypatch) == 7


COMMAND = """
import sys, time, click
from edgeres import console
@click.command()
def command():
    {body}
console.command = command
console.COMMANDS["command"] = "edgeres.console:command"
console.main(["command"])
"""


SWALLOWED = """
    import os, signal
    try:
        os.kill(os.getpid(), signal.{number})
        time.sleep(60)
    except BaseException:
        pass
    for _ in range(1200):
        time.sleep(0.05)
"""

SLOWLY = """
    import os, signal
    try:
        os.kill(os.getpid(), signal.{number})
        time.sleep(60)
    finally:
        time.sleep(3 * console.REMINDED_S)
        print("cleaned up")
"""


FINALIZED = """
    import os, signal
    class Kept:
        def __del__(self):
            os.kill(os.getpid(), signal.{number})
            time.sleep(0)
    kept = Kept()
    del kept
    time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(("body", "out"), [(SWALLOWED, ""), (FINALIZED, ""), (SLOWLY, "cleaned up\n")])
def test_a_signal_that_a_library_swallows_is_raised_again_and_cleaning_up_is_left_alone(
    body: str, out: str, number: signal.Signals
) -> None:
    program = COMMAND.format(body=body.format(number=number.name).strip())
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    said = "interrupted" if number == signal.SIGINT else ""
    assert (done.returncode, done.stdout, done.stderr.strip()) == (128 + number, out, said)


def test_a_reader_that_stops_reading_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        for body in ("click.echo('x')", "click.echo('x' * 100_000)"):
            script = COMMAND.format(body=body)
            done = subprocess.run([sys.executable, "-c", script], stdout=writing, stderr=subprocess.PIPE, text=True)
            assert (done.returncode, done.stderr) == (0, "")
    finally:
        os.close(writing)


def test_another_broken_pipe_is_not_mistaken_for_it() -> None:
    done = python(COMMAND.format(body="raise BrokenPipeError(32, 'a child is gone')"))
    assert done.returncode == 1
    assert "a pipe to another process broke" in done.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_unwinds_the_stack(number: signal.Signals, code: int) -> None:
    body = """
    try:
        print("ready", flush=True)
        time.sleep(60)
    finally:
        print("cleaned up", flush=True)
"""
    with subprocess.Popen(
        [sys.executable, "-c", COMMAND.format(body=body.strip())],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert process.returncode == code
    assert out == "cleaned up\n"
    assert "Traceback" not in err


@pytest.mark.parametrize(("number", "code", "said"), [(signal.SIGTERM, 143, ""), (signal.SIGINT, 130, "interrupted")])
def test_a_signal_that_a_library_turned_into_an_error_is_a_signal_still(number: int, code: int, said: str) -> None:
    program = f"""
import os
from edgeres import console
def run(arguments):
    try:
        os.kill(os.getpid(), {int(number)})
        raise AssertionError
    except BaseException as problem:
        raise RuntimeError("wrapped") from problem
console.run = run
console.main([])
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout, ended.stderr.strip()) == (code, "", said)


HEAVY_COMMAND = """
import atexit, os, sys, types
class Torn:
    def __del__(self):
        os.write(1, b"torn down\\n")
module = types.ModuleType("tensorflow")
module.kept, module.loop = Torn(), module
sys.modules["tensorflow"] = module
import click
from edgeres import console
@click.command()
def command():
    atexit.register(print, "closed")
    click.echo("done")
    click.get_current_context().exit(7)
console.command = command
console.COMMANDS["command"] = "edgeres.console:command"
console.main(["command"])
"""


def test_what_was_to_happen_at_the_end_happens_and_the_teardown_is_spared() -> None:
    done = python(HEAVY_COMMAND)
    assert (done.returncode, done.stdout, done.stderr) == (7, "done\nclosed\n", "")


def test_workers_that_train_together_end_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CONFIG", "{}")
    done = python(HEAVY_COMMAND)
    assert (done.returncode, done.stdout) == (7, "done\nclosed\ntorn down\n")


def test_output_that_cannot_be_written_is_no_success() -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = subprocess.run([sys.executable, "-c", HEAVY_COMMAND], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode not in (0, 7)
