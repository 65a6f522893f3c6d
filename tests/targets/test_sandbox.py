from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edgeres.errors import ModelError, TargetError
from targets.sandbox import Limits, Sandbox
from tests.processes import alive

ENGINE = "tests.targets.engines:Engine"
ROOT = Path(__file__).parents[2]


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(ENGINE, limits=Limits(seconds=60)) as opened:
        yield opened


def within(seconds: float, condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


def test_a_call_returns_what_the_engine_returns(sandbox: Sandbox) -> None:
    values, blobs = sandbox.call("echo", b"one", memoryview(b"two"), b"", arguments={"n": [1, 2.5, "ü"]})
    assert values == {"n": [1, 2.5, "ü"]}
    assert blobs == (b"one", b"two", b"")


def test_large_tensors_pass_both_ways(sandbox: Sandbox) -> None:
    tensor = os.urandom(5_000_001)
    assert sandbox.call("echo", tensor, tensor)[1] == (tensor, tensor)


def test_what_is_printed_does_not_disturb_the_answer(sandbox: Sandbox) -> None:
    assert sandbox.call("chatter", arguments={"size": 2_000_000})[0] == {"printed": 2_000_000}
    assert sandbox.call("echo", b"still here")[1] == (b"still here",)


def test_an_engine_s_own_error_arrives_as_it_was_and_the_process_goes_on(sandbox: Sandbox) -> None:
    with pytest.raises(ModelError) as caught:
        sandbox.call("refuse")
    assert (caught.value.message, caught.value.details) == ("the model is too blue", ("blue: 3",))
    assert caught.value.fix == "paint it red"
    assert sandbox.call("echo", arguments={"a": 1})[0] == {"a": 1}


def test_any_other_exception_is_a_target_error(sandbox: Sandbox) -> None:
    with pytest.raises(TargetError, match="failed during 'fail': KeyError: 'a bug in the engine'") as caught:
        sandbox.call("fail")
    assert any("engines.py" in line for line in caught.value.details)


def test_an_engine_that_cannot_be_built_says_why() -> None:
    with Sandbox("tests.targets.engines:NeverBuilt") as sandbox, pytest.raises(ModelError, match="does not start"):
        sandbox.call("echo")


def test_an_engine_that_dies_when_built_is_reported() -> None:
    with Sandbox("tests.targets.engines:KilledAtBirth") as sandbox, pytest.raises(TargetError, match="SIGILL"):
        sandbox.call("echo")


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ("crash", r"ended by SIGSEGV \(it used memory that it does not have\) during 'crash'"),
        ("crash_with_words", "ended by SIGABRT"),
        ("leave", "exit code 3 during 'leave'"),
    ],
)
def test_a_death_names_its_cause_and_the_process_is_reaped(sandbox: Sandbox, method: str, message: str) -> None:
    with pytest.raises(TargetError, match=message):
        sandbox.call(method)
    assert not Path(f"/proc/{sandbox.process_id}").exists()
    with pytest.raises(TargetError, match="has ended"):
        sandbox.call("echo")


def test_the_last_words_of_a_crash_are_kept_without_control_characters(sandbox: Sandbox) -> None:
    with pytest.raises(TargetError) as caught:
        sandbox.call("crash_with_words")
    assert caught.value.details == ("error:  [31mthe tensor is on fire",)


def test_a_hang_is_ended_at_its_time_limit(sandbox: Sandbox) -> None:
    with pytest.raises(TargetError, match=r"no answer to 'hang' within 0\.5 s"):
        sandbox.call("hang", seconds=0.5)
    assert not Path(f"/proc/{sandbox.process_id}").exists()


def test_cpu_time_is_bounded() -> None:
    expected = pytest.raises(TargetError, match=r"SIGXCPU \(it used up its CPU time\)")
    with Sandbox(ENGINE, limits=Limits(seconds=60, cpu_seconds=0)) as sandbox, expected:
        sandbox.call("spin")


def test_python_running_out_of_memory_is_an_error_that_names_the_limit(sandbox: Sandbox) -> None:
    with pytest.raises(TargetError, match="out of memory during 'devour'") as caught:
        sandbox.call("devour")
    assert "bytes of address space" in str(caught.value.fix)


def test_native_code_gets_no_more_memory_than_the_limit() -> None:
    with Sandbox(ENGINE, limits=Limits(memory_bytes=2 << 30)) as sandbox:
        assert sandbox.call("devour_natively")[0] == {"address": None}


@pytest.fixture
def core_dumps() -> Iterator[None]:
    """What is started meanwhile may dump its memory, as far as this user may allow it."""
    before = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_CORE, before)


@pytest.mark.usefixtures("core_dumps")
def test_limits_are_in_force() -> None:
    with Sandbox(ENGINE) as sandbox:
        found = sandbox.call("limits")[0]
    assert found["core"] == 0
    assert found["memory"] == Limits().memory_bytes
    assert 0 < found["cpu"] <= Limits().cpu_seconds + 60


def test_nonsense_in_the_answer_pipe_is_a_target_error(sandbox: Sandbox) -> None:
    with pytest.raises(TargetError, match="answered nonsense to 'babble'"):
        sandbox.call("babble")
    assert not Path(f"/proc/{sandbox.process_id}").exists()


def test_an_answer_longer_than_the_limit_is_refused() -> None:
    expected = pytest.raises(TargetError, match=r"nonsense.*1,048,576 bytes")
    with Sandbox(ENGINE, limits=Limits(answer_bytes=1000)) as sandbox, expected:
        sandbox.call("boast")


def test_the_child_is_a_session_of_its_own(sandbox: Sandbox) -> None:
    assert sandbox.call("session")[0]["session"] == sandbox.process_id != os.getsid(0)


def test_the_working_directory_cannot_replace_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "targets").mkdir()
    (tmp_path / "targets" / "__init__.py").write_text("raise SystemExit('the wrong package')")
    monkeypatch.chdir(tmp_path)
    with Sandbox(ENGINE) as sandbox:
        assert Path(sandbox.call("session")[0]["path"]) == ROOT


def test_close_ends_the_process_and_may_be_repeated() -> None:
    sandbox = Sandbox(ENGINE)
    sandbox.call("echo")
    sandbox.close()
    sandbox.close()
    assert not Path(f"/proc/{sandbox.process_id}").exists()
    with pytest.raises(TargetError):
        sandbox.call("echo")


def test_close_from_another_thread_ends_a_running_call() -> None:
    sandbox = Sandbox(ENGINE)
    sandbox.call("echo")
    closing = threading.Timer(0.3, sandbox.close)
    closing.start()
    with pytest.raises(TargetError, match="SIGKILL"):
        sandbox.call("hang")
    closing.join()
    assert not Path(f"/proc/{sandbox.process_id}").exists()


def test_a_sandbox_that_is_dropped_takes_its_process_along() -> None:
    sandbox = Sandbox(ENGINE)
    process = sandbox.process_id
    sandbox.call("echo")
    del sandbox
    assert within(10, lambda: not alive({process}))


def test_an_interruption_ends_the_process() -> None:
    with Sandbox(ENGINE) as sandbox:
        sandbox.call("echo")
        main = threading.main_thread().ident
        assert main is not None
        threading.Timer(0.3, signal.pthread_kill, (main, signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            sandbox.call("hang")
        assert not Path(f"/proc/{sandbox.process_id}").exists()


ORPHAN_MAKER = f"""
import sys
from targets.sandbox import Sandbox
sandbox = Sandbox({ENGINE!r})
print(sandbox.process_id, flush=True)
sandbox.call(sys.argv[1], arguments={{"marker": sys.argv[2]}})
"""


@pytest.mark.parametrize("method", ["hang", "spin"])
def test_killing_the_parent_leaves_no_orphan(method: str, tmp_path: Path) -> None:
    marker = tmp_path / "called"
    command = [sys.executable, "-c", ORPHAN_MAKER, method, str(marker)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert within(20, marker.exists)
        parent.kill()
    try:
        assert within(10, lambda: not alive({child}))
    finally:
        if alive({child}):
            os.kill(child, signal.SIGKILL)


def test_no_file_descriptor_is_left_behind() -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        with Sandbox(ENGINE) as sandbox:
            sandbox.call("echo")
    assert len(list(Path("/proc/self/fd").iterdir())) == before
