"""A sample of the deaths whose whole number is in docs/reliability.md."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import killed
from tests.processes import adopt_orphans


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_killed_command_leaves_what_is_valid_or_nothing_and_can_be_given_again(tmp_path: Path) -> None:
    adopt_orphans()
    found = killed.measure(tmp_path, points=8)
    for name, row in found["commands"].items():
        wrong = ("invalid", "orphans", "reruns_that_failed", "epochs_lost", "another_result")
        assert not any(row[each] for each in wrong), (name, row)
