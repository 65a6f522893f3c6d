"""What a person sees while a training runs."""

from __future__ import annotations

import pytest

from edgeres.training import progress
from edgeres.training.progress import EpochLines
from edgeres.training.run import Epoch


def test_the_time_left_counts_the_steps_since_the_clock_began(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight steps a call, as in a training of several processes: 8 steps in 4 s, 16 more in 8 s."""
    seconds = iter([100.0, 104.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(seconds))
    lines = EpochLines(3)
    assert lines._words(8, 32, 0) == "step 8/32"
    assert lines._words(16, 32, 250) == "step 16/32  250 images/s  0:00:08 left in this epoch"


def test_no_epoch_is_announced_after_the_last(capsys: pytest.CaptureFixture[str]) -> None:
    with EpochLines(2) as lines:
        for number, status in ((1, "epoch 2/2"), (2, "measuring")):
            lines(Epoch(number, 1.0, 0.5, 1.0, 0.5, 0.1, 3.0), 2, 0.0)
            assert lines._status.status == status
    assert "epoch   2/2" in capsys.readouterr().err
