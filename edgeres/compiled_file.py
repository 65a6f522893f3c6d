"""Files that compilers made of a bundle's model, for devices that do not run that. Needs the standard library only."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from edgeres.results import CompilerEstimate, Memory, Operators

COMPILED = "compiled"
"""The folder in a bundle that holds them."""


@dataclass(frozen=True)
class CompiledFile:
    """Where a compiled file lies in its bundle, and how it was made; its SHA-256 is among the manifest's `files`.

    `target`: as it was asked for. `compiler`: with its version. `options`: what the compiler was given. `made_of`:
    SHA-256 of the flatbuffer that it was given. `operators`: what the device would run of it. `memory`, `estimate`:
    what the compiler says of a run, None where it says nothing; nothing ran.
    """

    file: str
    target: str
    compiler: str
    options: dict[str, Any]
    made_of: str
    operators: Operators
    memory: Memory | None = None
    estimate: CompilerEstimate | None = None


def file_name(target: str) -> str:
    """The name in a bundle of what is compiled for a target: `compiled/ethosu-u55-256.tflite`."""
    return f"{COMPILED}/{plain_name(target)}.tflite"


def plain_name(text: str) -> str:
    """A text as a name of a file: letters, digits, dots, underscores and dashes."""
    return re.sub("[^A-Za-z0-9._-]+", "-", text)


def require_provenance(compiled: Iterable[CompiledFile], files: Mapping[str, str], *, model: str) -> None:
    """Check that each compiled file among `files` says how it was made, and was made of the model beside it.

    Raises:
        ValueError: one that does not, is not there, or was made of another flatbuffer than the file `model`.
    """
    told, kept = {each.file for each in compiled}, {name for name in files if name.startswith(f"{COMPILED}/")}
    if told != kept:
        first = min(told ^ kept)
        lacks = "'files' has no" if first in told else "'compiled' says nothing of"
        raise ValueError(f"{lacks} {first!r}")
    for each in compiled:
        if each.made_of != files.get(model):
            raise ValueError(f"{each.file!r} was made of another file than its {model}")
