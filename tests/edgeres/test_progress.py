from __future__ import annotations

import pytest

from edgeres.progress import shown, silent


def test_nothing_is_shown_where_stderr_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with shown() as progress:
        assert progress is silent
        progress("images", 1, 2)
    assert capsys.readouterr() == ("", "")


def test_a_terminal_gets_a_bar_on_stderr_alone(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes it for a terminal
    with shown() as progress:
        progress("images", 1, 2)
        progress("images", 2, 2)
    out, err = capsys.readouterr()
    assert "images" in err
    assert out == ""
