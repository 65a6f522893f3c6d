from __future__ import annotations

import logging
import os
import sys

import pytest

from edgeres.native_output import muted


def chatter() -> None:
    sys.stdout.write("from Python\n")
    sys.stderr.write("a warning\n")
    os.write(1, b"from C\n")
    os.write(2, b"a native warning\n")


def test_what_a_library_prints_in_whatever_way_goes_to_the_debug_log(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with muted():
        chatter()
    assert capfd.readouterr() == ("", "")
    for words in ("from Python", "a warning", "from C", "a native warning"):
        assert words in caplog.text


def test_afterwards_everything_is_shown_again(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RuntimeError), muted():
        raise RuntimeError
    chatter()
    out, err = capfd.readouterr()
    assert "from Python" in out
    assert "from C" in out
    assert "a native warning" in err
