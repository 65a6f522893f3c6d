"""A sample of the files and of the deaths whose whole numbers are in docs/reliability.md."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import interrupted, killed
from tests.gauntlet import Gauntlet
from tests.hostile import handcrafted, mutant
from tests.processes import adopt_orphans
from tests.targets.bundles import write_images
from tests.targets.conftest import Models, model_folder, models  # noqa: F401 - fixtures

TYPED = {0, 3, 4, 5, 6, 8}
MUTANTS = 300
NAMES = ("float32", "int8", "buffer_offset")


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_hostile_files_end_in_typed_errors_or_results_that_can_be_read(models: Models, tmp_path: Path) -> None:  # noqa: F811
    whole = {name: models(name) for name in NAMES}
    gauntlet = Gauntlet(write_images(tmp_path / "images", each=5), tmp_path)
    try:
        for name, content in (*handcrafted(whole), *(mutant(whole, seed) for seed in range(MUTANTS))):
            for ending in gauntlet.run(content):
                assert ending.code in TYPED, (name, ending)
                assert ending.valid, (name, ending)
                assert ending.peak_bytes < 2 << 30, (name, ending)
            assert gauntlet.orphans() == [], name
    finally:
        gauntlet.close()


def test_mutants_are_the_same_for_the_same_seed_and_are_mutants() -> None:
    whole = {name: bytes(range(256)) * 4 for name in NAMES}
    made = [mutant(whole, seed) for seed in range(40)]
    assert made == [mutant(whole, seed) for seed in range(40)]
    assert {name.split()[1] for name, _ in made} == {"truncated", "bits", "bytes", "spliced"}
    assert sum(content in whole.values() for _, content in made) < 4


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_killed_command_leaves_what_is_valid_or_nothing_and_can_be_given_again(tmp_path: Path) -> None:
    adopt_orphans()
    found = killed.measure(tmp_path, points=8)
    for name, row in found["commands"].items():
        wrong = ("invalid", "orphans", "reruns_that_failed", "epochs_lost", "another_result")
        assert not any(row[each] for each in wrong), (name, row)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_ctrl_c_ends_every_command_with_130_and_leaves_nothing(tmp_path: Path) -> None:
    adopt_orphans()
    found = interrupted.measure(tmp_path, moments=1)
    assert found["without_a_row"] == []
    assert found["another_code"] == []
    assert (found["processes_left"], found["outputs_left"]) == (0, [])
