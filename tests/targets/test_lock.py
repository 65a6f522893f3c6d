from __future__ import annotations

import fcntl
import logging
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from targets.lock import LOCK, machine_lock


def test_the_lock_keeps_a_second_measurement_waiting(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    entered = threading.Event()

    def second() -> None:
        with machine_lock(tmp_path):
            entered.set()

    thread = threading.Thread(target=second)
    with caplog.at_level(logging.WARNING), machine_lock(tmp_path):
        thread.start()
        assert not entered.wait(0.2)
    thread.join(10)
    assert entered.is_set()
    assert "waiting" in caplog.text


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    code = f"import os,pathlib;from targets.lock import machine_lock as l;l(pathlib.Path({str(tmp_path)!r}))"
    code += ".__enter__();os.kill(os.getpid(), 9)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == -9
    handle = os.open(tmp_path / LOCK, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(handle)


def test_a_link_in_place_of_the_lock_is_not_followed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    victim = tmp_path / "victim"
    (tmp_path / LOCK).symlink_to(victim)
    with caplog.at_level(logging.WARNING), machine_lock(tmp_path):
        pass
    assert not victim.exists()
    assert "without the lock" in caplog.text
