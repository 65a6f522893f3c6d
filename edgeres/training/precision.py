"""The types that a network computes in; its weights are float32 always."""

from __future__ import annotations

from typing import Any

from edgeres.errors import ConfigError
from edgeres.training.copying import Form, copied


def in_precision(model: Any, policy: str) -> Any:
    """A copy of a tf_keras model, weights and all, whose layers compute in `policy`.

    "float32", or "mixed_float16" and "mixed_bfloat16" (Micikevicius et al., 2018), which halve activations and keep
    the weights float32. The layers' names stay.

    Raises:
        ConfigError: a layer of the user's model does not compute in this precision.
    """

    def form(layer: Any) -> Form:
        config = {**layer.get_config(), "dtype": policy}
        config.pop("rng_type", None)  # of `with_generators`: no business of a model's file
        return type(layer), config

    try:
        return copied(model, form)
    except (TypeError, ValueError) as problem:
        if policy == "float32":
            raise
        reason = next((line.strip() for line in str(problem).splitlines() if line.strip()), type(problem).__name__)
        raise ConfigError(
            f"precision is {policy}, in which {model.name} cannot compute: {reason}",
            fix="leave out precision: float32 trains every network",
        ) from problem
