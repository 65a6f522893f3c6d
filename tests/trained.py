"""The one trained network that tests share, and the bundles made of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from edgeres.bundle import Bundle, open_bundle
from edgeres.console import run

Bundles = Callable[[str], Bundle]

EPOCHS = 3
ARGUMENTS = ("resnet8", "--width", "0.5", "--data", "digits", "--batch", "32", "--augment", "none")


PRUNING = ("prune.epochs=1", "prune.sparsity=0.6", "prune.ramp=0.3")
"""A short pruning: what the recipe pruned-int8 is overridden with."""


@dataclass(frozen=True)
class Trained:
    """A run folder: resnet8 at half width on the digits, about 90 % right after 3 epochs."""

    folder: Path

    @property
    def model(self) -> Path:
        """Its trained `.keras` file."""
        return self.folder / "model.keras"

    @cached_property
    def job(self) -> Any:
        """The file and its data, ready to be converted."""
        from converters.job import Job
        from edgeres.contracts import contract_for
        from edgeres.data import open_dataset
        from edgeres.keras_file import read_keras_file

        file = read_keras_file(self.model)
        return Job(file, open_dataset("digits"), contract_for(file, None))


def train_tiny(folder: Path) -> Trained:
    """Train it with the command that a user would type."""
    arguments = ["train", *ARGUMENTS, "--epochs", str(EPOCHS), "--out", str(folder)]
    code = run(arguments)
    assert code == 0, f"edgeres {' '.join(arguments)} ended with {code}"
    return Trained(folder)


def bundle_maker(trained: Trained, folder: Path) -> Bundles:
    """A function from a recipe's name to the bundle, which the command makes when it is first asked for."""

    def bundle(recipe: str) -> Bundle:
        out = folder / recipe
        if not out.exists():
            options = [word for setting in PRUNING for word in ("--set", setting)] if recipe == "pruned-int8" else []
            arguments = [str(trained.model), "--recipe", recipe, "--data", "digits", "--out", str(out), *options]
            assert run(["convert", *arguments]) == 0
        return open_bundle(out)

    return bundle
