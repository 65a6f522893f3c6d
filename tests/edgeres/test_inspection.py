from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from edgeres.errors import ModelError
from edgeres.inspection import Inspection, inspect, tables


def test_what_is_absent_or_an_unfinished_run_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="absent does not exist"):
        inspect(tmp_path / "absent")
    with pytest.raises(ModelError, match="is a folder, but no bundle"):
        inspect(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelError, match=r"model\.keras"):
        inspect(tmp_path)


def test_facts_and_layers_become_two_tables() -> None:
    facts = {"input": [8, 8, 3], "labels": ["a", "b"], "parameters": 1234567, "quantized": True, "absent": None}
    found = Inspection("m.keras", "keras", "0" * 64, facts, ({"name": "conv", "macs": 1000}, {"name": "[bold]x"}))
    console = Console(width=200, record=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    for table in tables(found):
        console.print(table)
    shown = console.export_text()
    for text in ("8x8x3", "a, b", "1,234,567", "True", "1,000", "[bold]x"):
        assert text in shown
    assert "absent" not in shown
    assert len(tables(Inspection("m", "keras", "0", {}, ()))) == 1
