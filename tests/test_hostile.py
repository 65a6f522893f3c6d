"""A sample of the files whose whole number is in docs/reliability.md."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.gauntlet import Gauntlet
from tests.hostile import handcrafted, mutant
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
