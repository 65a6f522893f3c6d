from __future__ import annotations

import dataclasses
import typing
from typing import Any

import pytest

from edgeres import results
from edgeres.annotations import field_types

RECORDS = [each for name in results.__all__ if dataclasses.is_dataclass(each := getattr(results, name))]


@dataclasses.dataclass(frozen=True)
class Heir(results.Estimate):
    unit: str | int | None = None
    notes: dict[str, tuple[int | None, ...]] | None = None


@pytest.mark.parametrize("record", [*RECORDS, Heir])
def test_types_are_those_that_python_itself_finds(record: Any) -> None:
    assert field_types(record) == typing.get_type_hints(record)


def test_unions_are_spelt_as_python_3_9_has_them() -> None:
    types = field_types(Heir)
    assert typing.get_origin(types["unit"]) is typing.Union
    assert set(typing.get_args(types["unit"])) == {str, int, type(None)}
    assert "|" not in repr(types["notes"])
