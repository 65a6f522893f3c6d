from __future__ import annotations

import pytest

from edgeres.data import DATASETS
from edgeres.errors import ConfigError
from edgeres.registry import lookup, require_known, resolve

TABLE = {"root": "math:sqrt", "power": "math:pow"}


def test_an_entry_is_resolved_when_it_is_looked_up() -> None:
    assert lookup(TABLE, "root", noun="function", error=ConfigError)(9) == 3


def test_an_unknown_name_is_the_given_error_with_the_nearest_match() -> None:
    with pytest.raises(ConfigError, match="unknown function 'rot'") as caught:
        lookup(TABLE, "rot", noun="function", error=ConfigError)
    assert caught.value.fix == "did you mean 'root'?"


def test_a_name_is_checked_without_importing_what_it_stands_for() -> None:
    table = {"x": "no_such_module:x"}
    require_known(table, "x", noun="thing", error=ConfigError)
    with pytest.raises(ConfigError, match="unknown thing 'y'"):
        require_known(table, "y", noun="thing", error=ConfigError)


def test_a_wrong_reference_is_a_bug_not_a_users_error() -> None:
    with pytest.raises(AttributeError):
        resolve("math:no_such_function")
    with pytest.raises(ModuleNotFoundError):
        lookup({"x": "no_such_module:x"}, "x", noun="thing", error=ConfigError)


@pytest.mark.parametrize("reference", DATASETS.values())
def test_every_data_source_exists(reference: str) -> None:
    assert callable(resolve(reference))
