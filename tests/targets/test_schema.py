from __future__ import annotations

import pytest
from ai_edge_litert import schema_py_generated as generated

from targets import schema


def names(enum: type) -> dict[int, str]:
    return {code: name for name, code in vars(enum).items() if not name.startswith("_")}


def test_tensor_types_are_those_of_the_runtime() -> None:
    assert dict(enumerate(schema.TENSOR_TYPES)) == {c: n.lower() for c, n in names(generated.TensorType).items()}


def test_operators_are_those_of_the_runtime() -> None:
    assert dict(enumerate(schema.OPERATORS)) == names(generated.BuiltinOperator)


@pytest.mark.parametrize("name", [*schema.CALLS, schema.CASE[0]])
def test_options_of_operators_that_run_subgraphs_are_those_of_the_runtime(name: str) -> None:
    union, number = schema.CALLS[name][:2] if name in schema.CALLS else schema.CASE[1:]
    options = names(generated.BuiltinOptions if union == 1 else generated.BuiltinOptions2)[number]
    assert options.lower() == f"{name.replace('_', '').lower()}options"
    fields = [field for field in dir(getattr(generated, options)) if "Subgraph" in field or "Subgraphs" in field]
    slots = schema.CALLS[name][2] if name in schema.CALLS else (0,)
    assert len([field for field in fields if not field.endswith(("Length", "IsNone", "AsNumpy"))]) == len(slots)
