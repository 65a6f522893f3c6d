"""The whole story on an embedded data set, told in the commands that a user would type."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from edgeres.console import cli
from edgeres.storage import discarded_on_failure, require_absent
from edgeres.training.kernels import choose_kernels

RECIPES = ("float16", "dynamic-int8", "int8", "slim-int8", "pruned-int8")


def demonstrate(out: Path, *, model: str, data: str, epochs: int) -> None:
    """Train, convert, measure and report into the folder `out`; where a step fails, nothing is left of it.

    Raises:
        OutputError: `out` exists.
        EdgeresError: whatever a step raises.
    """
    require_absent(out)
    choose_kernels(deterministic=False, narrow=True)  # for all steps are one process, and one of them prunes
    with discarded_on_failure(out):
        _run(out, model=model, data=data, epochs=epochs)


def _run(out: Path, *, model: str, data: str, epochs: int) -> None:
    trained = f"{out}/run/model.keras"
    bundles = [f"{out}/{model}-{recipe}" for recipe in RECIPES]
    accuracy, latency = f"{out}/accuracy.json", f"{out}/latency.json"
    _step("train", model, "--data", data, "--epochs", str(epochs), "--batch", "32", "--out", f"{out}/run")
    for recipe, bundle in zip(RECIPES, bundles, strict=True):
        _step("convert", trained, "--recipe", recipe, "--data", data, "--out", bundle)
    _step("evaluate", trained, *bundles, "--data", data, "--json", accuracy)
    _step("profile", trained, *bundles, "--operators", "--json", latency)
    _step("report", f"{out}/run", *bundles, accuracy, latency, "--out", f"{out}/report.html")


def _step(*arguments: str) -> None:
    click.secho(f"$ edgeres {shlex.join(arguments)}", bold=True)
    cli.main(list(arguments), prog_name="edgeres", standalone_mode=False)
