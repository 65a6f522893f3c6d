"""Numbers and documents that must not change unnoticed: JSON files, rewritten only with `pytest --update-golden`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeres.records import dump, encode

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Golden:
    """Compares with golden files, or rewrites them."""

    update: bool

    def check(self, path: Path, found: Any, *, row: str | None = None) -> None:
        """A whole document, or the entry of its only list whose `name` is `row`."""
        found = json.loads(dump(found))
        if row is None:
            self._write(path, found)
            assert found == json.loads(path.read_text(encoding="utf-8")), f"{path.name}: pytest --update-golden?"
            return
        document = json.loads(path.read_text(encoding="utf-8"))
        (rows,) = document.values()
        if self.update:
            rows[:] = [found if entry["name"] == row else entry for entry in rows]
            rows += [] if found in rows else [found]
            self._write(path, document)
        assert found in rows, f"{path.name}, {row}: pytest --update-golden?"

    def _write(self, path: Path, document: Any) -> None:
        if self.update:
            path.write_text(dump(encode(document)), encoding="utf-8")
