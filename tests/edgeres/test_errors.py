from __future__ import annotations

import pytest

from edgeres import errors
from edgeres.errors import EdgeresError, MissingExtraError, require, suggestion

CODES = {
    "OutputError": 2,
    "ConfigError": 3,
    "MissingExtraError": 3,
    "DataError": 4,
    "ModelError": 5,
    "TargetError": 6,
    "GateError": 7,
    "ArtifactError": 8,
}


@pytest.mark.parametrize(("name", "code"), CODES.items())
def test_every_error_owns_its_documented_exit_code(name: str, code: int) -> None:
    kind = getattr(errors, name)
    assert issubclass(kind, EdgeresError)
    assert kind.exit_code == code
    assert name in (errors.__doc__ or "")


def test_no_error_is_left_out_of_the_table() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, EdgeresError)]
    assert {kind.__name__ for kind in kinds} == {*CODES, "EdgeresError"}


def test_an_error_prints_message_details_and_fix() -> None:
    error = EdgeresError("expected 2, found 3", details=["first: a", "then: b"], fix="remove one")
    assert str(error) == "expected 2, found 3\n  first: a\n  then: b\n  fix: remove one"
    assert str(EdgeresError("alone")) == "alone"


def test_a_misspelt_name_is_answered_with_the_nearest() -> None:
    assert suggestion("resnet50", ["resnet8", "resnet50v2", "vgg"]) == "did you mean 'resnet50v2'?"
    assert suggestion("xyz", ["b", "a"]) == "choose from: a, b"


def test_require_imports_what_is_there() -> None:
    assert require("json.decoder", extra="x", purpose="reading").JSONDecoder


def test_require_names_the_extra_that_brings_what_is_absent() -> None:
    with pytest.raises(MissingExtraError) as caught:
        require("no_such_package.part", extra="report", purpose="the report")
    assert caught.value.message == "the report needs the package 'no_such_package', which is not installed"
    assert caught.value.fix == "pip install 'edgeres[report]'"


def test_require_does_not_hide_a_broken_package(tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "broken_package.py").write_text("import what_it_needs_is_absent\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="what_it_needs_is_absent"):
        require("broken_package", extra="x", purpose="y")
