"""A sample of the interruptions whose whole number is in docs/reliability.md."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import interrupted
from tests.processes import adopt_orphans


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_ctrl_c_ends_every_command_with_130_and_leaves_nothing(tmp_path: Path) -> None:
    adopt_orphans()
    found = interrupted.measure(tmp_path, moments=1)
    assert found["without_a_row"] == []
    assert found["another_code"] == []
    assert (found["processes_left"], found["outputs_left"]) == (0, [])
